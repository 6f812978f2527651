package e2e

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// TestHeldLocks checks a get while another process holds every lock and keeps the lock files new. The
// get is delayed and succeeds. It fetches without the lock, and caches the login.
func TestHeldLocks(t *testing.T) {
	t.Parallel()
	slow(t, "waits for the limit of the program, 18 seconds")
	j := newJob(t)
	get := func() (string, time.Duration) {
		start := time.Now()
		var a getResult
		a.stdout, a.stderr, a.err = j.get(defaultHost)
		return a.password(t), time.Since(start)
	}
	get() // creates the lock files
	if stdout, stderr, err := j.run("erase", defaultHost); err != nil {
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
		t.Fatal("no lock file")
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
	requireCalls(t, j.server, 1, 1, 1)
	if took > 28*time.Second {
		t.Errorf("it took %v", took)
	}
	if again, _ := get(); again != password {
		t.Error("the login was not cached")
	}
	requireCalls(t, j.server, 1, 1, 1)
}

// TestExpiredSession checks a role session that has expired when STS returns it: each get makes a new
// call, and the cached password is returned only when that fails.
func TestExpiredSession(t *testing.T) {
	t.Parallel()
	slow(t, "waits for retries of a failed request")
	j := newJobIn(t, emulator.Options{SessionTTL: -time.Second})
	for n := 1; n <= 2; n++ {
		var a getResult
		a.stdout, a.stderr, a.err = j.get(defaultHost)
		a.password(t)
		if got := j.server.Count("ecr"); got != n {
			t.Errorf("%d gets made %d calls to ECR", n, got)
		}
	}
	// STS fails; the cached password is still valid.
	j.server.AddFault("sts", emulator.Fault{Status: 500})
	var a getResult
	a.stdout, a.stderr, a.err = j.get(defaultHost)
	a.password(t)
}

// TestPublicPasswordLifetime checks that a cached password of public.ecr.aws expires 15 minutes before
// its role session, and that one of a private registry does not.
func TestPublicPasswordLifetime(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		host    string
		session time.Duration
		calls   int
	}{
		{"public.ecr.aws", 14 * time.Minute, 2},
		{"public.ecr.aws", 20 * time.Minute, 1},
		{defaultHost, 14 * time.Minute, 1},
	} {
		j := newJobIn(t, emulator.Options{SessionTTL: tt.session})
		j.env["ECR_OIDC_ROLE_PUBLIC"] = emulator.CIRole
		for range 2 {
			var a getResult
			a.stdout, a.stderr, a.err = j.get(tt.host)
			a.password(t)
		}
		if n := j.server.Count("ecr") + j.server.Count("ecr-public"); n != tt.calls {
			t.Errorf("%s with a session of %v: %d calls, want %d", tt.host, tt.session, n, tt.calls)
		}
	}
}
