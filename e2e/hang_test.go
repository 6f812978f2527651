package e2e

import (
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/world"
)

// Servers that never answer, or drip: each get ends by itself, inside the 28 s that BuildKit's minute for two hosts
// leaves, and says who did not answer. The three wait at the same time.
func TestHangingServers(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for the program's own limits, about 20 seconds")
	}
	var all sync.WaitGroup
	for service, want := range map[string]string{
		"oidc": "ecr-oidc: asking GitHub for the job's OIDC token (",
		"sts":  "ecr-oidc: asking AWS for role ci in 123456789012 ",
		"ecr":  "ecr-oidc: asking AWS for a password for " + usual,
	} {
		j := newJob(t)
		j.world.Fail(service, world.Fault{Hang: true})
		all.Go(func() {
			start := time.Now()
			stdout, stderr, err := j.get(usual)
			if took := time.Since(start); took > 28*time.Second {
				t.Errorf("%s hangs: get took %v", service, took)
			}
			if err == nil || !strings.HasPrefix(stdout, want) || stdout != stderr || !strings.Contains(stdout, "no answer in time") {
				t.Errorf("%s hangs: %v\nstdout %sstderr %s", service, err, stdout, stderr)
			}
		})
	}
	if runtime.GOOS != "windows" { // a pipe that nobody writes to, where a token's file should be
		j := newJob(t)
		j.env["ECR_OIDC_TOKEN_FILE"] = filepath.Join(j.dir, "pipe")
		if out, err := exec.Command("mkfifo", j.env["ECR_OIDC_TOKEN_FILE"]).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		all.Go(func() {
			stdout, stderr, err := j.get(usual)
			if err == nil || stdout != stderr || stdout != "ecr-oidc: answering get: not done within 28s\n" {
				t.Errorf("a pipe hangs: %v\nstdout %sstderr %s", err, stdout, stderr)
			}
		})
	}
	all.Wait()
}
