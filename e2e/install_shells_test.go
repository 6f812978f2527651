package e2e

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// shells are the shells that install.sh and the scripts of the orb support. sh is tested only if it is
// none of the others.
var shells = []struct {
	name string
	argv []string
}{
	{"dash", []string{"dash"}},
	{"ash", []string{"busybox", "sh"}},
	{"bash", []string{"bash"}},
	{"sh", []string{"sh"}},
}

// allShells selects the shells of inShells. .ci/run sets it, because each shell takes ten seconds of
// processor time.
var allShells = flag.Bool("all-shells", false, "test install.sh and the orb in every shell that is installed")

// inShells runs a test in the first shell that is installed, or in each with -all-shells.
func inShells(t *testing.T, test func(t *testing.T, shell []string)) {
	if runtime.GOOS == "windows" {
		t.Skipf("%s: for Linux and macOS", t.Name())
	}
	slow(t, "starts a shell for each step")
	var done []string
	for _, s := range shells {
		path, err := exec.LookPath(s.argv[0])
		if err == nil {
			real, err := filepath.EvalSymlinks(path)
			if err != nil {
				t.Fatal(err)
			}
			if s.name == "sh" && slices.Contains(done, real) {
				continue
			}
			if len(done) > 0 && !*allShells {
				break
			}
			done = append(done, real)
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			if err != nil {
				t.Skipf("%s is not on PATH", s.argv[0])
			}
			test(t, append([]string{path}, s.argv[1:]...))
		})
	}
}

// requiredTools are the programs that install.sh runs besides those that download and compute checksums.
var requiredTools = []string{
	"uname", "mktemp", "mkdir", "rm", "cp", "mv", "chmod", "tar",
	"gzip", "sed", "grep", "cut", "tr", "head", "tail", "sh",
}

// checksumTool is the program with which install.sh computes checksums on this machine.
var checksumTool = func() string {
	for _, name := range []string{"sha256sum", "shasum"} {
		if _, err := exec.LookPath(name); err == nil {
			return name
		}
	}
	return "openssl"
}()

// newToolDir returns a directory for PATH that contains only requiredTools and these programs.
func newToolDir(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range slices.Concat(requiredTools, names) {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Skipf("%s is not on PATH", name)
		}
		if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// busybox returns a directory for PATH that contains only the applets of BusyBox, as on Alpine.
func busybox(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("busybox")
	if err != nil {
		t.Skipf("busybox is not on PATH")
	}
	list, err := exec.Command(path, "--list").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, applet := range strings.Fields(string(list)) {
		if err := os.Symlink(path, filepath.Join(dir, applet)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// stub writes a shell script into a directory of PATH.
func stub(t *testing.T, dir, name, script string) {
	t.Helper()
	os.Remove(filepath.Join(dir, name)) // may be a symlink from newToolDir
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}
