package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// TestConfigureWithLockHeld checks that configure reports a lock file that another process holds,
// and changes nothing.
func TestConfigureWithLockHeld(t *testing.T) {
	t.Parallel()
	slow(t, "waits for the limit of the program, 10 seconds")
	for _, file := range []string{"config.json", "ecr-oidc.yaml"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			lock := filepath.Join(dir, "."+file+".ecr-oidc.lock")
			held, err := lockedfile.Create(lock)
			if err != nil {
				t.Fatal(err)
			}
			defer held.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, helperPath(), "configure", "--role", "ci", defaultHost)
			for _, name := range []string{"PATH", "SystemRoot", "GOCOVERDIR"} {
				cmd.Env = append(cmd.Env, name+"="+os.Getenv(name))
			}
			cmd.Env = append(cmd.Env, "DOCKER_CONFIG="+dir)
			start := time.Now()
			out, err := cmd.CombinedOutput()
			took := time.Since(start)
			wait := strings.Contains(string(out), "another process holds the lock file ")
			if err == nil || !wait || !strings.Contains(string(out), filepath.Base(lock)) {
				t.Errorf("%v: %s", err, out)
			}
			if took > 30*time.Second {
				t.Errorf("it took %v", took)
			}
			for _, name := range []string{"config.json", "ecr-oidc.yaml"} {
				if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
					t.Errorf("%s was written", name)
				}
			}
		})
	}
}
