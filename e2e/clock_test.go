package e2e

import (
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// TestWrongClock checks a runner whose clock is hours off. The program computes lifetimes as durations.
// Only a signature contains the time: the SDK corrects it after AWS has refused the first one.
func TestWrongClock(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"behind": 7 * time.Hour, "ahead": -7 * time.Hour, "a day behind": 25 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newJobIn(t, emulator.Options{Clock: func() time.Time { return time.Now().Add(off) }})
			first := getResult{}
			first.stdout, first.stderr, first.err = j.get(defaultHost)
			password := first.password(t)
			requireCalls(t, j.server, 1, 1, 2) // ECR refuses the first signature
			again := getResult{}
			again.stdout, again.stderr, again.err = j.get(defaultHost)
			if again.password(t) != password || first.stderr != "" || again.stderr != "" {
				t.Errorf("the second get: %v", again)
			}
			requireCalls(t, j.server, 1, 1, 2)
		})
	}
}
