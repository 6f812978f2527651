package e2e

import (
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// A runner whose clock is hours off works: what AWS's and the CI's clocks say counts, and lives are lengths of time.
// Only AWS's signature check needs the true time; the SDK learns it from the first refusal.
func TestClockHoursOff(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"behind": 7 * time.Hour, "ahead": -7 * time.Hour, "a day behind": 25 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newJobIn(t, emulator.Options{Clock: func() time.Time { return time.Now().Add(off) }})
			first := answered{}
			first.stdout, first.stderr, first.err = j.get(usual)
			password := first.password(t)
			counted(t, j.server, 1, 1, 2) // ECR's refusal of the first signature, and its answer
			again := answered{}
			again.stdout, again.stderr, again.err = j.get(usual)
			if again.password(t) != password || first.stderr != "" || again.stderr != "" {
				t.Errorf("the second get: %v", again)
			}
			counted(t, j.server, 1, 1, 2)
		})
	}
}
