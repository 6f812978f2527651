package e2e

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// A process of the same user that holds every lock, and keeps the lock files looking new, delays a get and never makes
// it fail. The login that the get fetched without the lock is then in the cache.
func TestHeldLocks(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for the program's own limit, 18 seconds")
	}
	j := newJob(t)
	get := func() (string, time.Duration) {
		start := time.Now()
		var a answered
		a.stdout, a.stderr, a.err = j.get(usual)
		return a.password(t), time.Since(start)
	}
	get() // creates the lock files
	if stdout, stderr, err := j.run("erase", usual); err != nil {
		t.Fatal(err, stdout, stderr)
	}

	done, stopped := make(chan struct{}), make(chan struct{})
	held := map[string]*lockedfile.File{}
	hold := func() int {
		paths, err := filepath.Glob(filepath.Join(j.dir, "runner", "*", "*.lock"))
		if err != nil {
			t.Error(err)
		}
		for _, path := range paths {
			if held[path] == nil {
				f, err := lockedfile.OpenFile(path, os.O_RDWR, 0)
				if err != nil {
					t.Error(err)
					continue
				}
				held[path] = f
			}
			now := time.Now()
			if err := os.Chtimes(path, now, now); err != nil {
				t.Error(err)
			}
		}
		return len(paths)
	}
	if hold() == 0 {
		t.Fatal("there is no lock file")
	}
	go func() {
		defer close(stopped)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				hold()
			case <-done:
				return
			}
		}
	}()
	defer func() {
		close(done)
		<-stopped
		for _, f := range held {
			f.Close()
		}
	}()

	j.server.ResetCalls()
	password, took := get()
	counted(t, j.server, 1, 1, 1)
	if took > 28*time.Second { // a guard against hangs
		t.Errorf("it took %v", took)
	}
	if again, _ := get(); again != password {
		t.Error("the login was not cached")
	}
	counted(t, j.server, 1, 1, 1)
}

// A role session that is over when STS returns it makes no entry that is returned without asking AWS again.
func TestSessionWithoutLength(t *testing.T) {
	t.Parallel()
	j := newJobIn(t, emulator.Options{SessionTTL: -time.Second})
	for n := 1; n <= 2; n++ {
		var a answered
		a.stdout, a.stderr, a.err = j.get(usual)
		a.password(t)
		if got := j.server.Count("ecr"); got != n {
			t.Errorf("after %d gets ECR was asked %d times", n, got)
		}
	}
	// While AWS cannot be reached, the password is still good.
	j.server.Fail("sts", emulator.Fault{Status: 500})
	var a answered
	a.stdout, a.stderr, a.err = j.get(usual)
	a.password(t)
}

// The password of public.ecr.aws is not used for longer than the role session behind it, less 15 minutes; a private
// registry's is.
func TestPublicPasswordLifetime(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		host    string
		session time.Duration
		calls   int
	}{
		{"public.ecr.aws", 14 * time.Minute, 2},
		{"public.ecr.aws", 20 * time.Minute, 1},
		{usual, 14 * time.Minute, 1},
	} {
		j := newJobIn(t, emulator.Options{SessionTTL: tt.session})
		j.env["ECR_OIDC_ROLE_PUBLIC"] = emulator.CIRole
		for range 2 {
			var a answered
			a.stdout, a.stderr, a.err = j.get(tt.host)
			a.password(t)
		}
		if n := j.server.Count("ecr") + j.server.Count("ecr-public"); n != tt.calls {
			t.Errorf("%s with a session of %v: asked %d times, want %d", tt.host, tt.session, n, tt.calls)
		}
	}
}
