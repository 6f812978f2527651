package e2e

import (
	"encoding/json"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// many is how many processes ask at once: what "docker compose pull" and "buildx bake" start.
const many = 64

// answered is what came of one process.
type answered struct {
	stdout, stderr string
	err            error
}

// storm starts many processes that ask for the same host, each in the given environment, and returns their answers.
// Once each of them waits for its turn, or fills, released is called.
func storm(t *testing.T, j *job, released func()) []answered {
	t.Helper()
	var (
		answers = make([]answered, many)
		waiting atomic.Int32
		all     sync.WaitGroup
	)
	for i := range answers {
		cmd, stdout, _ := j.command("get", usual)
		var stderr strings.Builder
		cmd.Stderr = io.MultiWriter(&stderr, whenSaid("waiting for the lock", func() {
			if waiting.Add(1) == many {
				released()
			}
		}))
		all.Go(func() {
			err := cmd.Run()
			answers[i] = answered{stdout.String(), stderr.String(), err}
		})
	}
	all.Wait()
	return answers
}

// whenSaid calls do when a writer's text first has what in it.
type said struct {
	text strings.Builder
	what string
	do   func()
}

func whenSaid(what string, do func()) io.Writer { return &said{what: what, do: do} }

func (s *said) Write(p []byte) (int, error) {
	s.text.Write(p)
	if s.do != nil && strings.Contains(s.text.String(), s.what) {
		s.do()
		s.do = nil
	}
	return len(p), nil
}

// counted fails the test unless the emulator was asked so often.
func counted(t *testing.T, w *emulator.Server, oidc, sts, ecr int) {
	t.Helper()
	if a, b, c := w.Count("oidc"), w.Count("sts"), w.Count("ecr"); a != oidc || b != sts || c != ecr {
		t.Errorf("asked OIDC %d, STS %d, ECR %d times; want %d, %d, %d", a, b, c, oidc, sts, ecr)
	}
}

// password is the secret of a good answer.
func (a answered) password(t *testing.T) string {
	t.Helper()
	var reply struct{ Username, Secret string }
	if a.err != nil || json.Unmarshal([]byte(a.stdout), &reply) != nil || reply.Username != "AWS" || reply.Secret == "" {
		t.Fatalf("%v\nstdout %s\nstderr %s", a.err, a.stdout, a.stderr)
	}
	return reply.Secret
}

// Sixty-four cold pulls at once cost one token, one role and one password, also when AWS is slow; and all get the same.
func TestStorm(t *testing.T) {
	t.Parallel()
	for _, held := range []bool{true, false} {
		j := newJob(t)
		gate := make(chan struct{})
		release := func() {}
		if held { // STS answers when all are waiting
			j.env["ECR_OIDC_DEBUG"] = "1"
			j.server.Fail("sts", emulator.Fault{Until: gate})
			release = sync.OnceFunc(func() { close(gate) })
		}
		answers := storm(t, j, release)
		first := answers[0].password(t)
		for _, a := range answers {
			if a.password(t) != first {
				t.Error("two passwords")
			}
			if !held && a.stderr != "" {
				t.Errorf("stderr of a good get: %s", a.stderr)
			}
		}
		counted(t, j.server, 1, 1, 1)
	}
}

// Sixty-four that AWS refuses are told so, every one, for one call; those that come a moment later too.
func TestStormRefused(t *testing.T) {
	t.Parallel()
	for _, held := range []bool{true, false} {
		j := newJob(t)
		j.env = withJob(j.env, j.server.GitHub(emulator.GitHubJob{Event: "pull_request"}))
		gate := make(chan struct{})
		release := func() {}
		if held {
			j.env["ECR_OIDC_DEBUG"] = "1"
			j.server.Fail("sts", emulator.Fault{Until: gate})
			release = sync.OnceFunc(func() { close(gate) })
		}
		want := `ecr-oidc: AWS refused role ci in 123456789012 (from ECR_OIDC_ROLE) for "repo:acme/app:pull_request", aud "sts.amazonaws.com", source github: AccessDenied`
		answers := storm(t, j, release)
		for _, a := range answers {
			if a.err == nil || !strings.HasPrefix(a.stdout, want) || !strings.HasSuffix(a.stderr, a.stdout) || a.stdout != answers[0].stdout {
				t.Errorf("%v\nstdout %s\nstderr %s", a.err, a.stdout, a.stderr)
			}
		}
		counted(t, j.server, 1, 1, 0)
		// The six forms in which nerdctl asks for one host.
		for _, form := range []string{usual + ":443", "https://" + usual + ":443", "http://" + usual + ":443", usual, "https://" + usual, "http://" + usual} {
			if stdout, _, err := j.get(form); err == nil || stdout != answers[0].stdout {
				t.Errorf("%s: %s", form, stdout)
			}
		}
		// Another account's registry there shares the password, so it shares the refusal, under its own name.
		other := "210987654321" + strings.TrimPrefix(usual, emulator.Account)
		if stdout, _, err := j.get(other); err == nil || !strings.HasPrefix(stdout, want) {
			t.Errorf("%s: %s", other, stdout)
		}
		counted(t, j.server, 1, 1, 0)
	}
}

// A process that is killed while it fetches costs the others one more fetch. One that is stopped delays them: each of them
// gets a login within the time of a get, and they may fetch more than once.
func TestStormLosesItsHolder(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		loses func(*exec.Cmd) error
		bound time.Duration // a guard against hangs
	}{
		{"killed", func(c *exec.Cmd) error { return c.Process.Kill() }, 20 * time.Second},
		{"stopped", func(c *exec.Cmd) error { return c.Process.Signal(stop) }, 28 * time.Second}, // on Unix
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.name == "stopped" && testing.Short() {
				t.Skip("waits for the program's own limit, 18 seconds")
			}
			if tt.name == "stopped" && runtime.GOOS == "windows" {
				t.Skip("Windows has no signal that stops a process")
			}
			j := newJob(t)
			j.env["ECR_OIDC_DEBUG"] = "1"
			reached := make(chan struct{})
			gate := make(chan struct{})
			defer close(gate)
			j.server.Fail("sts", emulator.Fault{Until: gate, Times: 1})
			holder, _, _ := j.command("get", usual)
			holder.Stderr = whenSaid("by web identity", func() { close(reached) })
			if err := holder.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { holder.Process.Kill(); holder.Wait() }()
			<-reached
			for j.server.Count("sts") == 0 {
				time.Sleep(time.Millisecond)
			}
			start := time.Now()
			if tt.name == "stopped" {
				if err := tt.loses(holder); err != nil {
					t.Fatal(err)
				}
			}
			answers := storm(t, j, func() {
				if tt.name == "killed" {
					if err := tt.loses(holder); err != nil {
						t.Error(err)
					}
				}
			})
			first := answers[0].password(t)
			for _, a := range answers {
				if a.password(t) != first && tt.name == "killed" {
					t.Error("two passwords")
				}
			}
			if took := time.Since(start); took > tt.bound {
				t.Errorf("it took %v", took)
			}
			if tt.name == "killed" {
				counted(t, j.server, 2, 2, 1)
			}
		})
	}
}

func withJob(env, job map[string]string) map[string]string {
	for k, v := range job {
		env[k] = v
	}
	return env
}
