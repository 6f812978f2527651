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

// many is the number of processes that start at the same time. "docker compose pull" and "buildx bake"
// start a helper for each image.
const many = 64

// getResult is the result of one process.
type getResult struct {
	stdout, stderr string
	err            error
}

// concurrentGets starts many gets of the same registry in the environment of the job, and returns their
// results. If released is not nil, it is called once that many of them wait for a lock. Without a
// table of locks, that is on other systems than Linux, it is called when all have started.
func concurrentGets(t *testing.T, j *job, waiters int, released func()) []getResult {
	t.Helper()
	var (
		answers = make([]getResult, many)
		pids    = make([]int, many)
		all     sync.WaitGroup
	)
	for i := range answers {
		cmd, stdout, stderr := j.command("get", defaultHost)
		if err := cmd.Start(); err != nil {
			t.Error(err)
			continue
		}
		pids[i] = cmd.Process.Pid
		all.Go(func() {
			err := cmd.Wait()
			answers[i] = getResult{stdout.String(), stderr.String(), err}
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

// requireCalls fails the test unless the services have received these numbers of calls.
func requireCalls(t *testing.T, w *emulator.Server, oidc, sts, ecr int) {
	t.Helper()
	if a, b, c := w.Count("oidc"), w.Count("sts"), w.Count("ecr"); a != oidc || b != sts || c != ecr {
		t.Errorf("%d calls to OIDC, %d to STS, %d to ECR; want %d, %d, %d", a, b, c, oidc, sts, ecr)
	}
}

// password returns the password of a get that must succeed.
func (a getResult) password(t *testing.T) string {
	t.Helper()
	var reply struct{ Username, Secret string }
	if a.err != nil || json.Unmarshal([]byte(a.stdout), &reply) != nil ||
		reply.Username != "AWS" || reply.Secret == "" {
		t.Fatalf("%v\nstdout %s\nstderr %s", a.err, a.stdout, a.stderr)
	}
	return reply.Secret
}

// TestConcurrentGets checks that 64 concurrent gets without a cache entry request one token, one role
// session and one password, and return the same password.
func TestConcurrentGets(t *testing.T) {
	t.Parallel()
	slow(t, "starts 64 programs")
	for _, held := range []bool{true, false} {
		j := newJob(t)
		gate := make(chan struct{})
		var release func()
		if held { // STS responds when all other processes wait
			j.server.AddFault("sts", emulator.Fault{Until: gate})
			release = func() { close(gate) }
		}
		answers := concurrentGets(t, j, many-1, release)
		first := answers[0].password(t)
		for _, a := range answers {
			if a.password(t) != first {
				t.Error("different passwords")
			}
			if a.stderr != "" {
				t.Errorf("stderr of a successful get: %s", a.stderr)
			}
		}
		requireCalls(t, j.server, 1, 1, 1)
	}
}

// TestConcurrentRefusals checks that 64 concurrent gets report one refusal of AWS, and that later gets
// report it too, without a call.
func TestConcurrentRefusals(t *testing.T) {
	t.Parallel()
	slow(t, "starts 64 programs")
	for _, held := range []bool{true, false} {
		j := newJob(t)
		j.env = withJob(j.env, j.server.GitHub(emulator.GitHubJob{Event: "pull_request"}))
		gate := make(chan struct{})
		var release func()
		if held {
			j.server.AddFault("sts", emulator.Fault{Until: gate})
			release = func() { close(gate) }
		}
		const want = `ecr-oidc: AWS refused role ci in 123456789012 (from ECR_OIDC_ROLE) for ` +
			`"repo:acme/app:pull_request", aud "sts.amazonaws.com", source github: AccessDenied`
		answers := concurrentGets(t, j, many-1, release)
		for _, a := range answers {
			if a.err == nil || !strings.HasPrefix(a.stdout, want) || a.stderr != a.stdout ||
				a.stdout != answers[0].stdout {
				t.Errorf("%v\nstdout %s\nstderr %s", a.err, a.stdout, a.stderr)
			}
		}
		requireCalls(t, j.server, 1, 1, 0)
		// nerdctl tries these six forms of a host.
		for _, form := range []string{
			defaultHost + ":443", "https://" + defaultHost + ":443", "http://" + defaultHost + ":443",
			defaultHost, "https://" + defaultHost, "http://" + defaultHost,
		} {
			if stdout, _, err := j.get(form); err == nil || stdout != answers[0].stdout {
				t.Errorf("%s: %s", form, stdout)
			}
		}
		// The registry of another account in the region has the same cache key, and its own name in the message.
		other := "210987654321" + strings.TrimPrefix(defaultHost, emulator.Account)
		if stdout, _, err := j.get(other); err == nil || !strings.HasPrefix(stdout, want) {
			t.Errorf("%s: %s", other, stdout)
		}
		requireCalls(t, j.server, 1, 1, 0)
	}
}

// TestConcurrentGetsLoseHolder checks gets that wait for the process that holds the lock. When it is
// killed, one of them fetches. When it is stopped, they time out, and each returns a login within the
// time limit of a get.
func TestConcurrentGetsLoseHolder(t *testing.T) {
	t.Parallel()
	slow(t, "starts 64 programs")
	for _, tt := range []struct {
		name      string
		interrupt func(*exec.Cmd) error
		limit     time.Duration
	}{
		{"killed", func(c *exec.Cmd) error { return c.Process.Kill() }, 20 * time.Second},
		{"stopped", func(c *exec.Cmd) error { return c.Process.Signal(stop) }, 28 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.name == "stopped" && runtime.GOOS == "windows" {
				t.Skip("Windows has no signal that stops a process")
			}
			j := newJob(t)
			gate := make(chan struct{})
			defer close(gate)
			j.server.AddFault("sts", emulator.Fault{Until: gate, Times: 1})
			holder, _, _ := j.command("get", defaultHost)
			if err := holder.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { holder.Process.Kill(); holder.Wait() }()
			for j.server.Count("sts") == 0 {
				time.Sleep(time.Millisecond)
			}
			start := time.Now()
			interrupt := func() {
				if err := tt.interrupt(holder); err != nil {
					t.Error(err)
				}
			}
			var answers []getResult
			if tt.name == "stopped" { // before the other processes start
				interrupt()
				answers = concurrentGets(t, j, many, nil)
			} else {
				answers = concurrentGets(t, j, many, interrupt)
			}
			first := answers[0].password(t)
			for _, a := range answers {
				if a.password(t) != first && tt.name == "killed" {
					t.Error("different passwords")
				}
			}
			if took := time.Since(start); took > tt.limit {
				t.Errorf("it took %v", took)
			}
			if tt.name == "killed" {
				requireCalls(t, j.server, 2, 2, 1)
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
