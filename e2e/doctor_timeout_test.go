package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// makePipe creates a named pipe without a writer below the job's directory. A read from it blocks.
func (j *job) makePipe(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(j.dir, filepath.FromSlash(name))
	if out, err := exec.Command("mkfifo", path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// A file that a get does not read does not block doctor. Docker's file is read only if it is a
// regular file.
func TestDoctorProbeTimeout(t *testing.T) {
	t.Parallel()
	skipOnWindows(t)
	j := newDoctorJob(t, emulator.Options{})
	j.env["DOCKER_CONFIG"] = filepath.Join(j.dir, "odd")
	if err := os.Mkdir(j.env["DOCKER_CONFIG"], 0o700); err != nil {
		t.Fatal(err)
	}
	notRegular := "reading " + j.makePipe(t, "odd/config.json") + ": it is not a regular file"
	out := j.doctor(t, defaultHost)
	if out.code != 1 ||
		!strings.Contains(out.stdout, "Docker cannot call this helper: "+notRegular+"\n") ||
		!strings.Contains(out.stdout, "a Docker CLI that is started from here finds ") {
		t.Errorf("Docker's file: %+v", out)
	}
	out = j.doctor(t)
	if out.code != 1 || !strings.Contains(out.stderr, "finding the registries to diagnose: "+
		notRegular+"; name a registry: ") {
		t.Errorf("Docker's file, no argument: %+v", out)
	}

	j = newDoctorJob(t, emulator.Options{})
	j.onGitHub(emulator.GitHubJob{NoIDToken: true})
	j.env["GITHUB_EVENT_PATH"] = j.makePipe(t, "event.json")
	start := time.Now()
	out = j.doctor(t, defaultHost)
	if out.code != 1 || !strings.Contains(out.stdout, "! permission ") {
		t.Errorf("event file: %+v", out)
	}
	if took := time.Since(start); took > 4*time.Second {
		t.Errorf("event file: took %v", took)
	}
}

// When a step of a get blocks, doctor ends after the time limit of a get and prints the checks before
// that step.
func TestDoctorTimeout(t *testing.T) {
	t.Parallel()
	slow(t, "waits for the time limit of a get, 28 seconds")
	skipOnWindows(t)
	const (
		check = "  ✗ settings  running get: timed out after 28s\n              → a file may block: "
		get   = "\nget would return:\necr-oidc: running get: timed out after 28s; to see why: " +
			"docker-credential-ecr-oidc doctor " + defaultHost + "\n"
	)
	j := newDoctorJob(t, emulator.Options{})
	j.env["ECR_OIDC_TOKEN_FILE"] = j.makePipe(t, "pipe")
	out := j.doctor(t, defaultHost) // TestHangingServers tests get itself
	if out.code != 1 || !strings.Contains(out.stdout, check) ||
		!strings.HasSuffix(out.stdout, get) {
		t.Errorf("%+v", out)
	}
}
