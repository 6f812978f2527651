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

// Two registries in one configuration, of which the job may use the first: ECR_OIDC_ROLE is a bare name, so it is a
// role in each registry's own account, and the second account has none.
const (
	good = host
	bad  = emulator.SpokeAccount + ".dkr.ecr." + emulator.Region + ".amazonaws.com"
)

func severalJob(t *testing.T) *job {
	t.Helper()
	return newJob(t, trusted(), good, bad).with("ECR_ROLE_TO_ASSUME", "").with("ECR_OIDC_ROLE", "ci")
}

// twoAccounts is a job that may use both, the second account by way of the first.
func twoAccounts(t *testing.T) *job {
	t.Helper()
	return newJob(t, trusted(), good, bad).with("ECR_OIDC_ROLE_"+emulator.SpokeAccount, emulator.CIRole+",spoke")
}

// saysRefusal fails the test unless a person reads who was refused where.
func saysRefusal(t *testing.T, out string) {
	t.Helper()
	for _, want := range []string{"ecr-oidc: ", "role ci in " + emulator.SpokeAccount, "AccessDenied"} {
		if !strings.Contains(out, want) {
			t.Errorf("the person does not see %q", want)
		}
	}
}

func silent(t *testing.T, out string) {
	t.Helper()
	if strings.Contains(out, "ecr-oidc: ") {
		t.Error("something was said about the other registry")
	}
}

// The classic builder asks about every entry on every build. It says which one failed, and goes on (before Docker 23: it
// goes on without any login); a push or a pull asks about its own host alone.
func TestSeveralClassicBuilder(t *testing.T) {
	eachDocker(t, func(t *testing.T, d docker) {
		j := severalJob(t).with("DOCKER_HOST", engine(t)).with("DOCKER_BUILDKIT", "0")
		ref := good + "/app:several-" + d.major()
		saysRefusal(t, j.ok(t, d.path, "build", "--tag", ref, buildContext(t, j, "several"+d.major(), "scratch")))
		silent(t, j.ok(t, d.path, "push", ref))
		from := buildContext(t, j, "from-several"+d.major(), ref)
		if d.major() < "23" {
			out := j.refused(t, d.path, "build", "--pull", from)
			saysRefusal(t, out)
			if !strings.Contains(out, "no basic auth credentials") {
				t.Error("it failed for another reason")
			}
			return
		}
		saysRefusal(t, j.ok(t, d.path, "build", "--pull", from))
		saysRefusal(t, j.refused(t, d.path, "build", "--pull", buildContext(t, j, "from-bad"+d.major(), bad+"/app:none")))
	})
}

// docker-py pushes and pulls with one entry, but builds with all, and a single refusal stops it, also where the image
// that it builds needs neither registry.
func TestSeveralDockerPy(t *testing.T) {
	python := dockerPy(t)
	j := severalJob(t).with("DOCKER_HOST", engine(t))
	ref := good + "/app:docker-py"
	script := j.scratch("client.py")
	check(t, os.WriteFile(script, []byte(`import sys, docker
client = docker.from_env()
verb, ref = sys.argv[1:3]
if verb == "build":
    client.images.build(path=sys.argv[3], tag=ref)
elif verb == "push":
    for line in client.images.push(ref, stream=True, decode=True):
        if "error" in line:
            sys.exit(line["error"])
else:
    client.images.pull(ref)
print(verb, "done")
`), 0o600))
	dir := buildContext(t, j, "docker-py", "scratch")

	t.Run("build", func(t *testing.T) {
		out := j.refused(t, python, script, "build", ref, dir)
		saysRefusal(t, out)
		if !strings.Contains(out, "Credentials store error") {
			t.Error("it stopped for another reason")
		}
	})
	t.Run("build with the good entry alone", func(t *testing.T) {
		one := newJob(t, trusted(), good).with("DOCKER_HOST", j.env["DOCKER_HOST"])
		silent(t, one.ok(t, python, script, "build", ref, dir))
	})
	t.Run("push and pull", func(t *testing.T) {
		silent(t, j.ok(t, python, script, "push", ref))
		silent(t, j.ok(t, python, script, "pull", ref))
		saysRefusal(t, j.refused(t, python, script, "pull", bad+"/app:none"))
	})
}

// dockerPy finds a Python that has Docker's client library.
func dockerPy(t *testing.T) string {
	t.Helper()
	python := need(t, "python3")
	// A version manager's shim does not work in a job's own home.
	out, err := exec.Command(python, "-c", "import sys, docker; print(sys.executable, docker.__version__)").Output()
	if err != nil {
		skip(t, "docker-py", "python3 has no module docker here")
	}
	path, version, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	t.Log("docker-py", version, "at", path)
	return path
}

// podman on this machine asks about one host. Its remote client, which is every podman on macOS and Windows, sends all
// logins along with each pull, push and build, and a single refusal stops it.
func TestSeveralPodman(t *testing.T) {
	podman, store := need(t, "podman"), append(storage(t), "--cgroup-manager", "cgroupfs")
	j := severalJob(t)
	ref, dir := good+"/app:several-podman", buildContext(t, j, "several-podman", "scratch")
	local := func(args ...string) []string { return append(store[:len(store):len(store)], args...) }

	t.Run("local", func(t *testing.T) {
		silent(t, j.ok(t, podman, local("build", "--isolation", "chroot", "--tag", ref, dir)...))
		silent(t, j.ok(t, podman, local("push", ref)...))
		silent(t, j.ok(t, podman, local("pull", ref)...))
		saysRefusal(t, j.refused(t, podman, local("pull", bad+"/app:none")...))
	})

	t.Run("remote", func(t *testing.T) {
		url := podmanService(t, podman, local)
		remote := func(args ...string) []string { return append([]string{"--remote", "--url", url}, args...) }
		for _, args := range [][]string{{"pull", ref}, {"push", ref}, {"build", "--isolation", "chroot", "--tag", ref, dir}} {
			t.Run(args[0], func(t *testing.T) { saysRefusal(t, j.refused(t, podman, remote(args...)...)) })
		}
		t.Run("with the good entry alone", func(t *testing.T) {
			one := newJob(t, trusted(), good)
			silent(t, one.ok(t, podman, remote("pull", ref)...))
			silent(t, one.ok(t, podman, remote("push", ref)...))
		})
	})
}

// podmanService starts podman's engine over the same images, and returns its address.
func podmanService(t *testing.T, podman string, local func(...string) []string) string {
	t.Helper()
	dir, err := os.MkdirTemp("/run", "")
	check(t, err)
	socket := filepath.Join(dir, "s")
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	check(t, err)
	defer log.Close()
	cmd := exec.Command(podman, local("system", "service", "--time", "0", "unix://"+socket)...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir()) // the engine has no login of its own
	cmd.Stdout, cmd.Stderr = log, log
	check(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if pinged(socket) {
			return "unix://" + socket
		}
	}
	text, _ := os.ReadFile(log.Name())
	skip(t, "podman-remote", "its service does not start here: "+string(text))
	return ""
}
