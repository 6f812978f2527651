package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// many is how many processes start at the same time: "docker compose pull" and "buildx bake" do that.
const many = 64

// answered is the result of one process.
type answered struct {
	stdout, stderr string
	err            error
}

// storm starts many processes that get the same registry, each in the environment of the job, and
// returns their results. If released is not nil, storm calls it when so many of them wait for a
// lock, or on other systems than Linux, when all have started.
func storm(t *testing.T, j *job, waiters int, released func()) []answered {
	t.Helper()
	var (
		answers = make([]answered, many)
		pids    = make([]int, many)
		all     sync.WaitGroup
	)
	for i := range answers {
		cmd, stdout, stderr := j.command("get", usual)
		if err := cmd.Start(); err != nil {
			t.Error(err)
			continue
		}
		pids[i] = cmd.Process.Pid
		all.Go(func() {
			err := cmd.Wait()
			answers[i] = answered{stdout.String(), stderr.String(), err}
		})
	}
	if released != nil {
		for start := time.Now(); runtime.GOOS == "linux" && lockWaiters(t, pids) < waiters; {
			if time.Since(start) > 10*time.Second { // a waiter gives up after 15 seconds
				t.Logf("this machine is slow: only %d of %d processes wait for the lock", lockWaiters(t, pids), waiters)
				break
			}
			time.Sleep(time.Millisecond)
		}
		released()
	}
	all.Wait()
	return answers
}

// lockWaiters returns how many of the processes wait for a file lock. A row of /proc/locks for a
// waiter is "1: -> FLOCK  ADVISORY  WRITE PID DEVICE:INODE 0 EOF".
func lockWaiters(t *testing.T, pids []int) (n int) {
	t.Helper()
	table, err := os.ReadFile("/proc/locks")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) < 6 || fields[1] != "->" {
			continue
		}
		if pid, err := strconv.Atoi(fields[5]); err == nil && slices.Contains(pids, pid) {
			n++
		}
	}
	return n
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
	slow(t, "starts 64 programs")
	for _, held := range []bool{true, false} {
		j := newJob(t)
		gate := make(chan struct{})
		var release func()
		if held { // STS answers when all others wait
			j.server.Fail("sts", emulator.Fault{Until: gate})
			release = func() { close(gate) }
		}
		answers := storm(t, j, many-1, release)
		first := answers[0].password(t)
		for _, a := range answers {
			if a.password(t) != first {
				t.Error("two passwords")
			}
			if a.stderr != "" {
				t.Errorf("stderr of a good get: %s", a.stderr)
			}
		}
		counted(t, j.server, 1, 1, 1)
	}
}

// Sixty-four that AWS refuses are told so, every one, for one call; those that come a moment later too.
func TestStormRefused(t *testing.T) {
	t.Parallel()
	slow(t, "starts 64 programs")
	for _, held := range []bool{true, false} {
		j := newJob(t)
		j.env = withJob(j.env, j.server.GitHub(emulator.GitHubJob{Event: "pull_request"}))
		gate := make(chan struct{})
		var release func()
		if held {
			j.server.Fail("sts", emulator.Fault{Until: gate})
			release = func() { close(gate) }
		}
		want := `ecr-oidc: AWS refused role ci in 123456789012 (from ECR_OIDC_ROLE) for "repo:acme/app:pull_request", aud "sts.amazonaws.com", source github: AccessDenied`
		answers := storm(t, j, many-1, release)
		for _, a := range answers {
			if a.err == nil || !strings.HasPrefix(a.stdout, want) || a.stderr != a.stdout || a.stdout != answers[0].stdout {
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
	slow(t, "starts 64 programs")
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
			if tt.name == "stopped" && runtime.GOOS == "windows" {
				t.Skip("Windows has no signal that stops a process")
			}
			j := newJob(t)
			gate := make(chan struct{})
			defer close(gate)
			j.server.Fail("sts", emulator.Fault{Until: gate, Times: 1})
			holder, _, _ := j.command("get", usual)
			if err := holder.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { holder.Process.Kill(); holder.Wait() }()
			for j.server.Count("sts") == 0 {
				time.Sleep(time.Millisecond)
			}
			start := time.Now()
			lose := func() {
				if err := tt.loses(holder); err != nil {
					t.Error(err)
				}
			}
			var answers []answered
			if tt.name == "stopped" { // before the others begin to wait
				lose()
				answers = storm(t, j, many, nil)
			} else {
				answers = storm(t, j, many, lose)
			}
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
