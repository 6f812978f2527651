package e2e

import (
	"bytes"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/build"
)

// An installation is one run of install.sh with its own home directory.
type installation struct {
	t         *testing.T
	shell     []string
	script    string
	env       map[string]string
	home, dir string
}

// installScript returns the absolute path of install.sh. A cached result of the test depends on the file.
func installScript(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../install.sh")
	if err != nil {
		t.Fatal(err)
	}
	if err := build.Track("install.sh"); err != nil {
		t.Fatal(err)
	}
	return path
}

func newInstallation(t *testing.T, shell []string, path string) *installation {
	t.Helper()
	home := t.TempDir()
	i := &installation{
		t:      t,
		shell:  shell,
		script: installScript(t),
		home:   home,
		dir:    filepath.Join(home, ".local", "bin"),
	}
	tmp := filepath.Join(home, "tmp")
	if err := os.Mkdir(tmp, 0o777); err != nil {
		t.Fatal(err)
	}
	i.env = map[string]string{"PATH": path, "HOME": home, "TMPDIR": tmp}
	return i
}

func (i *installation) command(args ...string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	cmd = exec.Command(i.shell[0], slices.Concat(i.shell[1:], []string{i.script}, args)...)
	cmd.Env = environ(i.env)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return cmd, stdout, stderr
}

func environ(env map[string]string) (all []string) {
	for _, name := range slices.Sorted(maps.Keys(env)) {
		all = append(all, name+"="+env[name])
	}
	return all
}

// run runs install.sh and checks that it leaves no temporary file behind, even if it fails.
func (i *installation) run(args ...string) (stdout, stderr string, err error) {
	i.t.Helper()
	cmd, out, errs := i.command(args...)
	err = cmd.Run()
	i.requireNoLeftovers()
	return out.String(), errs.String(), err
}

func (i *installation) requireNoLeftovers() {
	i.t.Helper()
	for _, pattern := range []string{filepath.Join(i.env["TMPDIR"], "*"), filepath.Join(i.dir, ".*")} {
		if left, err := filepath.Glob(pattern); err != nil || len(left) > 0 {
			i.t.Errorf("left behind: %q, %v", left, err)
		}
	}
}

// mustInstall runs install.sh, which must succeed.
func (i *installation) mustInstall(args ...string) (stdout, stderr string) {
	i.t.Helper()
	stdout, stderr, err := i.run(args...)
	if err != nil {
		i.t.Fatalf("%v\n%s%s", err, stdout, stderr)
	}
	return stdout, stderr
}

// mustFail runs install.sh, which must fail with an error that matches want, and install nothing.
func (i *installation) mustFail(want string, args ...string) {
	i.t.Helper()
	stdout, stderr, err := i.run(args...)
	if err == nil {
		i.t.Fatalf("install.sh succeeded:\n%s%s", stdout, stderr)
	}
	last := stderr[strings.LastIndex(strings.TrimSuffix(stderr, "\n"), "\n")+1:]
	if !regexp.MustCompile("^install.sh: " + want + "\n$").MatchString(last) {
		i.t.Errorf("stderr:\n%swant\ninstall.sh: %s", stderr, want)
	}
	if _, err := os.Lstat(filepath.Join(i.dir, program)); err == nil {
		i.t.Error("install.sh failed and left a binary")
	}
}

// requireInstalled fails the test unless the installed binary has this content and mode 0755.
func (i *installation) requireInstalled(want []byte) {
	i.t.Helper()
	file := filepath.Join(i.dir, program)
	got, err := os.ReadFile(file)
	if err != nil {
		i.t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		i.t.Errorf("%s differs from the binary of the release", file)
	}
	if fi, err := os.Lstat(file); err != nil || fi.Mode() != 0o755 {
		i.t.Errorf("%s has mode %v, %v", file, fi.Mode(), err)
	}
}

func contains(t *testing.T, what, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("%s has no %q:\n%s", what, want, text)
		}
	}
}

// TestInstall installs the program under test from a mirror, with the tools of most machines.
func TestInstall(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		r, binary := realRelease()
		s := newMirror(t, r)
		i := newInstallation(t, shell, newToolDir(t, "curl", checksumTool))
		stdout, stderr := i.mustInstall("--version", released, "--mirror", s.URL)
		i.requireInstalled(binary)
		contains(
			t,
			"stdout",
			stdout,
			"checksum ok: "+hostArchive,
			"signature not checked: cosign is not on PATH\n",
			"installed "+i.dir+"/"+program+": "+program+" ",
		)
		contains(
			t,
			"stderr",
			stderr,
			i.dir+" is not on PATH, where Docker looks for "+program+`; add it: export PATH='`+i.dir+
				`':"$PATH"`,
		)
		got, want := s.requests(), []string{"/v0.1.0/checksums.txt", "/v0.1.0/" + hostArchive}
		if !slices.Equal(got, want) {
			t.Errorf("requests %q, want %q", got, want)
		}
	})
}

// TestInstallTools checks install.sh with each program that can download and each that can compute
// a checksum.
func TestInstallTools(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		s := newMirror(t, newRelease(t))
		for _, tools := range [][]string{
			{"wget", "sha256sum"}, {"curl", "shasum", "perl"}, {"curl", "openssl"}, {"busybox"},
		} {
			t.Run(strings.Join(tools, " "), func(t *testing.T) {
				dir := ""
				if tools[0] == "busybox" {
					dir = busybox(t)
				} else {
					dir = newToolDir(t, tools...)
				}
				i := newInstallation(t, shell, dir)
				i.mustInstall("--version="+released, "--mirror="+s.URL+"/")
				i.requireInstalled([]byte(scriptBinary))
				i.env["ECR_OIDC_MIRROR"] = s.URL
				if err := os.Remove(filepath.Join(i.dir, program)); err != nil {
					t.Fatal(err)
				}
				i.mustFail(
					regexp.QuoteMeta("downloading "+s.URL+
						"/v9.9.9/checksums.txt: not found; check that version 9.9.9 exists"),
					"--version", "9.9.9",
				)
			})
		}
		for want, tools := range map[string][]string{
			"neither curl nor wget is on PATH; install one of them":                 {"sha256sum"},
			"none of sha256sum, shasum and openssl is on PATH; install one of them": {"curl"},
		} {
			newInstallation(t, shell, newToolDir(t, tools...)).mustFail(
				want,
				"--version", released, "--mirror", s.URL,
			)
		}
	})
}

// TestInstallTwice checks that a second installation replaces the first atomically, and that a
// failed one does not change it.
func TestInstallTwice(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		i := newInstallation(t, shell, newToolDir(t, "curl", checksumTool))
		s := newMirror(t, newRelease(t))
		i.mustInstall("--version", released, "--mirror", s.URL)
		file := filepath.Join(i.dir, program)
		// A process that has the old binary open continues to read the old file.
		open, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer open.Close()
		newer := []byte("#!/bin/sh\necho newer\n")
		i.mustInstall(
			"--version",
			released,
			"--mirror", newMirror(t, release{hostArchive: packArchive(hostArchive, newer)}.addChecksums()).URL,
		)
		i.requireInstalled(newer)
		if old, err := io.ReadAll(open); err != nil || string(old) != scriptBinary {
			t.Errorf("the old file was overwritten: %q, %v", old, err)
		}
		broken := newRelease(t)
		broken[hostArchive] = []byte("broken")
		if _, _, err := i.run("--version", released, "--mirror", newMirror(t, broken).URL); err == nil {
			t.Error("a broken archive was installed")
		}
		i.requireInstalled(newer)

		// A symlink, such as one of a package manager, is replaced. Its target does not change.
		elsewhere := filepath.Join(i.home, "elsewhere")
		if err := os.Rename(file, elsewhere); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(elsewhere, file); err != nil {
			t.Fatal(err)
		}
		i.mustInstall("--version", released, "--mirror", s.URL)
		i.requireInstalled([]byte(scriptBinary))
		if b, err := os.ReadFile(elsewhere); err != nil || !bytes.Equal(b, newer) {
			t.Errorf("the target of the symlink has changed: %q, %v", b, err)
		}
		// A directory is not replaced.
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(file, 0o755); err != nil {
			t.Fatal(err)
		}
		if _, stderr, err := i.run("--version", released, "--mirror", s.URL); err == nil ||
			!strings.Contains(stderr, "is a directory; move it away") {
			t.Errorf("%v %s", err, stderr)
		}
	})
}
