package e2e

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// stepRunner runs a step as a user; a nil credential is root.
type stepRunner func(
	credential *syscall.Credential,
	env map[string]string,
	script string,
) (stdout, stderr string, err error)

// alpine creates a root directory like that of the image docker:*, with the applets of BusyBox, no bash, the
// home of root and /usr/local/bin. It returns the directory and a function that runs a step in it.
func alpine(t *testing.T) (root string, step stepRunner) {
	t.Helper()
	slow(t, "builds an Alpine root directory")
	if os.Geteuid() != 0 {
		t.Skipf("only root can change the root directory")
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Skipf("busybox is not on PATH")
	}
	ldd, err := exec.LookPath("ldd")
	if err != nil {
		t.Skipf("ldd is not on PATH")
	}
	root = t.TempDir()
	for _, dir := range []string{"bin", "dev", "root", "tmp", "usr/local/bin", "home/user"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{filepath.Dir(root), root} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(root, "tmp"), 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mknod(filepath.Join(root, "dev/null"), syscall.S_IFCHR|0o666, 1<<8|3); err != nil {
		t.Skipf("creating a device: %v", err)
	}
	if err := os.Chmod(filepath.Join(root, "dev/null"), 0o666); err != nil {
		t.Fatal(err)
	}
	copyIn := func(from, to string, mode os.FileMode) {
		t.Helper()
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		to = filepath.Join(root, to)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, b, mode); err != nil {
			t.Fatal(err)
		}
	}
	copyIn(busybox, "bin/busybox", 0o755)
	applets, err := exec.Command(busybox, "--list").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, applet := range strings.Fields(string(applets)) {
		if applet != "busybox" {
			if err := os.Symlink("busybox", filepath.Join(root, "bin", applet)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, binary := range []string{busybox, helperPath()} { // neither is static everywhere
		out, _ := exec.Command(ldd, binary).Output()
		for _, m := range regexp.MustCompile(`(?m)(/\S+) \(0x`).FindAllStringSubmatch(string(out), -1) {
			copyIn(m[1], m[1], 0o755)
		}
	}
	return root, func(credential *syscall.Credential, env map[string]string, script string) (string, string, error) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(root, "tmp/step"), []byte(script), 0o644); err != nil {
			t.Fatal(err)
		}
		var out, errs bytes.Buffer
		cmd := exec.Command("/bin/sh", "-eo", "pipefail", "/tmp/step")
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: credential}
		cmd.Env, cmd.Dir = environ(env), "/"
		cmd.Stdout, cmd.Stderr = &out, &errs
		err := cmd.Run()
		return out.String(), errs.String(), err
	}
}

// TestOrbAlpine checks an image without bash. As root the orb installs into /usr/local/bin, and
// later steps get a login. For a user who may not write to any directory of PATH it fails before it
// downloads anything: nothing can change PATH for later steps.
func TestOrbAlpine(t *testing.T) {
	t.Parallel()
	root, step := alpine(t)
	const imagePath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" // PATH of docker:29-cli
	j := newOrbJob(t, []string{"/bin/sh"}, imagePath)
	if err := os.WriteFile(filepath.Join(root, "ca.pem"), j.server.CAPEM(), 0o644); err != nil {
		t.Fatal(err)
	}
	maps.Copy(j.env, map[string]string{
		"HOME":          "/root",
		"TMPDIR":        "/tmp",
		"BASH_ENV":      "/tmp/.bash_env-42",
		"AWS_CA_BUNDLE": "/ca.pem",
	})
	delete(j.env, "GOCOVERDIR")

	user := maps.Clone(j.env)
	user["HOME"] = "/home/user"
	install := orbSteps(t, "commands", "install", map[string]any{"version": released})
	maps.Copy(user, install[0].env)
	_, errs, err := step(&syscall.Credential{Uid: 65534, Gid: 65534}, user, install[0].script)
	const want = "install.sh: no directory of PATH is writable, " +
		"and a job without bash cannot change PATH for its later steps; specify one with --dir\n"
	if err == nil || errs != want {
		t.Errorf("as a user: %v %swant %s", err, errs, want)
	}

	configure := orbSteps(t, "commands", "configure", map[string]any{"registries": defaultHost})
	for _, s := range slices.Concat(install, configure) {
		env := maps.Clone(j.env)
		maps.Copy(env, s.env)
		out, errs, err := step(nil, env, s.script)
		if err != nil {
			t.Fatalf("%s: %v\n%s%s", s.name, err, out, errs)
		}
		if strings.HasPrefix(s.name, "Install") {
			contains(t, "install", out, "installed /usr/local/bin/"+program)
		}
	}
	out, errs, err := step(nil, j.env, "printf %s "+defaultHost+" | docker-credential-ecr-oidc get")
	if err != nil || !strings.Contains(out, `"Username":"AWS"`) {
		t.Errorf("a later step: %v\n%s%s", err, out, errs)
	}
	if n := j.server.Count("sts"); n != 1 {
		t.Errorf("%d calls of STS, want 1", n)
	}
	if _, err := os.Stat(filepath.Join(root, "tmp/.bash_env-42")); err == nil {
		t.Error("the orb wrote BASH_ENV, although no shell of the image reads it")
	}
}
