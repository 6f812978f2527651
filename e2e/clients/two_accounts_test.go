//go:build clients

package clients

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// spokeHost is a registry in the second account.
const spokeHost = emulator.SpokeAccount + ".dkr.ecr." + emulator.Region + ".amazonaws.com"

// jobWithoutSpokeRole returns a job with both registries that can use only the first one.
// ECR_OIDC_ROLE is a bare name, so it is a role in the account of each registry, and the second
// account has no such role.
func jobWithoutSpokeRole(t *testing.T) *job {
	t.Helper()
	j := newJob(t, trustedJob(), host, spokeHost)
	return j.withEnv("ECR_ROLE_TO_ASSUME", "").withEnv("ECR_OIDC_ROLE", "ci")
}

// jobWithSpokeRole returns a job that can use both registries, the second one by role chaining.
func jobWithSpokeRole(t *testing.T) *job {
	t.Helper()
	j := newJob(t, trustedJob(), host, spokeHost)
	return j.withEnv("ECR_OIDC_ROLE_"+emulator.SpokeAccount, emulator.CIRole+",spoke")
}

// wantSpokeDenied checks that the output contains the helper's error for the second account.
func wantSpokeDenied(t *testing.T, out string) {
	t.Helper()
	for _, want := range []string{"ecr-oidc: ", "role ci in " + emulator.SpokeAccount, "AccessDenied"} {
		if !strings.Contains(out, want) {
			t.Errorf("the output does not contain %q", want)
		}
	}
}

// wantNoHelperError checks that the output contains no error of the helper.
func wantNoHelperError(t *testing.T, out string) {
	t.Helper()
	if strings.Contains(out, "ecr-oidc: ") {
		t.Error("the output contains an error of the helper")
	}
}

// TestTwoAccountsClassicBuilder checks the classic builder, which gets the logins of all entries
// for every build. It prints the error for the denied entry and continues (before Docker 23:
// without any login). A push or a pull gets only the login of its registry.
func TestTwoAccountsClassicBuilder(t *testing.T) {
	eachDocker(t, func(t *testing.T, d docker) {
		j := jobWithoutSpokeRole(t).withEnv("DOCKER_HOST", engine(t)).withEnv("DOCKER_BUILDKIT", "0")
		ref := host + "/app:two-accounts-" + d.major()
		wantSpokeDenied(t, j.run(t, d.path, "build", "--tag", ref,
			buildContext(t, j, "two-accounts"+d.major(), "scratch")))
		wantNoHelperError(t, j.run(t, d.path, "push", ref))
		from := buildContext(t, j, "from-two-accounts"+d.major(), ref)
		if d.major() < "23" {
			out := j.runFails(t, d.path, "build", "--pull", from)
			wantSpokeDenied(t, out)
			if !strings.Contains(out, "no basic auth credentials") {
				t.Error("the build failed with another error")
			}
			return
		}
		wantSpokeDenied(t, j.run(t, d.path, "build", "--pull", from))
		wantSpokeDenied(t, j.runFails(t, d.path, "build", "--pull",
			buildContext(t, j, "from-spoke"+d.major(), spokeHost+"/app:none")))
	})
}

// TestTwoAccountsDockerPy checks docker-py, which pushes and pulls with one entry but builds with
// all of them. A build fails if one entry is denied, even if the image needs neither registry.
func TestTwoAccountsDockerPy(t *testing.T) {
	python := dockerPy(t)
	j := jobWithoutSpokeRole(t).withEnv("DOCKER_HOST", engine(t))
	ref := host + "/app:docker-py"
	script := j.scratch("client.py")
	check(t, os.WriteFile(script, []byte(`import sys, docker
client = docker.from_env()
command, ref = sys.argv[1:3]
if command == "build":
    client.images.build(path=sys.argv[3], tag=ref)
elif command == "push":
    for line in client.images.push(ref, stream=True, decode=True):
        if "error" in line:
            sys.exit(line["error"])
else:
    client.images.pull(ref)
print(command, "done")
`), 0o600))
	dir := buildContext(t, j, "docker-py", "scratch")

	t.Run("build", func(t *testing.T) {
		out := j.runFails(t, python, script, "build", ref, dir)
		wantSpokeDenied(t, out)
		if !strings.Contains(out, "Credentials store error") {
			t.Error("the build failed with another error")
		}
	})
	t.Run("build with the allowed entry only", func(t *testing.T) {
		one := newJob(t, trustedJob(), host).withEnv("DOCKER_HOST", j.env["DOCKER_HOST"])
		wantNoHelperError(t, one.run(t, python, script, "build", ref, dir))
	})
	t.Run("push and pull", func(t *testing.T) {
		wantNoHelperError(t, j.run(t, python, script, "push", ref))
		wantNoHelperError(t, j.run(t, python, script, "pull", ref))
		wantSpokeDenied(t, j.runFails(t, python, script, "pull", spokeHost+"/app:none"))
	})
}

// dockerPy returns the path of a Python that has Docker's client library.
func dockerPy(t *testing.T) string {
	t.Helper()
	python := need(t, "python3")
	// sys.executable, because a version manager's shim does not work in a job's home.
	out, err := exec.Command(python, "-c",
		"import sys, docker; print(sys.executable, docker.__version__)").Output()
	if err != nil {
		skip(t, "docker-py", "python3 has no module docker here")
	}
	path, version, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	t.Log("docker-py", version, "at", path)
	return path
}

// TestTwoAccountsPodman checks podman. The local client gets the login of one registry. The remote
// client, which podman uses on macOS and Windows, sends the logins of all entries with each pull,
// push and build, and fails if one is denied.
func TestTwoAccountsPodman(t *testing.T) {
	podman, store := need(t, "podman"), append(storage(t), "--cgroup-manager", "cgroupfs")
	j := jobWithoutSpokeRole(t)
	ref, dir := host+"/app:two-accounts-podman", buildContext(t, j, "two-accounts-podman", "scratch")
	local := func(args ...string) []string { return append(store[:len(store):len(store)], args...) }

	t.Run("local", func(t *testing.T) {
		wantNoHelperError(t, j.run(t, podman, local("build", "--isolation", "chroot", "--tag", ref, dir)...))
		wantNoHelperError(t, j.run(t, podman, local("push", ref)...))
		wantNoHelperError(t, j.run(t, podman, local("pull", ref)...))
		wantSpokeDenied(t, j.runFails(t, podman, local("pull", spokeHost+"/app:none")...))
	})

	t.Run("remote", func(t *testing.T) {
		url := podmanService(t, podman, local)
		remote := func(args ...string) []string { return append([]string{"--remote", "--url", url}, args...) }
		for _, args := range [][]string{{"pull", ref}, {"push", ref},
			{"build", "--isolation", "chroot", "--tag", ref, dir}} {
			t.Run(args[0], func(t *testing.T) {
				wantSpokeDenied(t,
					j.runFails(t, podman, remote(args...)...))
			})
		}
		t.Run("with the allowed entry only", func(t *testing.T) {
			one := newJob(t, trustedJob(), host)
			wantNoHelperError(t, one.run(t, podman, remote("pull", ref)...))
			wantNoHelperError(t, one.run(t, podman, remote("push", ref)...))
		})
	})
}

// podmanService starts podman's service with the same image store, and returns its address.
func podmanService(t *testing.T, podman string, local func(...string) []string) string {
	t.Helper()
	dir, err := os.MkdirTemp("/run", "")
	check(t, err)
	socket := filepath.Join(dir, "s")
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	check(t, err)
	defer log.Close()
	cmd := exec.Command(podman, local("system", "service", "--time", "0", "unix://"+socket)...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir()) // so that the service has no login of its own
	cmd.Stdout, cmd.Stderr = log, log
	check(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if respondsToPing(socket) {
			return "unix://" + socket
		}
	}
	text, _ := os.ReadFile(log.Name())
	skip(t, "podman-remote", "its service does not start: "+string(text))
	return ""
}
