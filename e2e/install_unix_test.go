//go:build unix

package e2e

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// asUnprivilegedUser runs the installation as a user that can write only to its home directory, because
// permissions do not restrict root. It does nothing unless the tests run as root.
func asUnprivilegedUser(t *testing.T, i *installation, tools string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Skipf("this is root, and setpriv is not on PATH")
	}
	script, err := os.ReadFile(i.script)
	if err != nil {
		t.Fatal(err)
	}
	i.script = filepath.Join(i.home, "install.sh") // the user cannot read a checkout in root's home
	if err := os.WriteFile(i.script, script, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{filepath.Dir(i.home), filepath.Dir(tools), i.home, tools} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{i.home, i.env["TMPDIR"]} {
		if err := os.Chown(dir, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	i.shell = slices.Concat([]string{setpriv, "--reuid=65534", "--regid=65534", "--clear-groups"}, i.shell)
}

// TestInstallNotWritable checks that install.sh downloads nothing if it may not write to the
// directory.
func TestInstallNotWritable(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		s := newMirror(t, newRelease(t))
		tools := newToolDir(t, "curl", checksumTool)
		i := newInstallation(t, shell, tools)
		i.dir = filepath.Join(i.home, "bin")
		if err := os.Mkdir(i.dir, 0o555); err != nil {
			t.Fatal(err)
		}
		asUnprivilegedUser(t, i, tools)
		i.mustFail(
			"the directory "+i.dir+" is not writable; specify another with --dir, or use --sudo",
			"--dir", i.dir, "--version", released, "--mirror", s.URL,
		)
		i.mustFail(
			"cannot create the directory "+i.dir+"/below; specify another with --dir, or use --sudo",
			"--dir", i.dir+"/below", "--version", released, "--mirror", s.URL,
		)
		if requests := s.requests(); len(requests) > 0 {
			t.Errorf("requests %q, want none", requests)
		}
	})
}

// TestInstallSudo checks that with --sudo only the commands that write to the directory run under
// sudo.
func TestInstallSudo(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		tools := newToolDir(t, "curl", checksumTool)
		stub(t, tools, "sudo", `echo "$1" >>"$HOME/sudo"
exec "$@"`)
		i := newInstallation(t, shell, tools)
		i.mustInstall("--sudo", "--version", released, "--mirror", newMirror(t, newRelease(t)).URL)
		i.requireInstalled([]byte(scriptBinary))
		b, err := os.ReadFile(filepath.Join(i.home, "sudo"))
		if err != nil || string(b) != "mkdir\nmktemp\ncp\nchmod\nmv\n" {
			t.Errorf("sudo ran %q, %v", b, err)
		}
	})
}

// TestInstallInterrupted checks that an interrupted installation leaves no file behind.
func TestInstallInterrupted(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		r := newRelease(t)
		arrived, done := make(chan struct{}), make(chan struct{})
		server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
			if filepath.Ext(req.URL.Path) == ".gz" {
				close(arrived)
				<-done
				return
			}
			serveRelease(rw, req, r, "/v"+released+"/")
		}))
		t.Cleanup(server.Close)
		defer close(done)
		i := newInstallation(t, shell, newToolDir(t, "curl", checksumTool))
		cmd, _, stderr := i.command("--version", released, "--mirror", server.URL)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-arrived:
		case <-time.After(time.Minute):
			t.Errorf("no request: %s", stderr)
		}
		syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) // the whole group, as a terminal's ^C
		if err := cmd.Wait(); err == nil {
			t.Error("install.sh succeeded")
		}
		i.requireNoLeftovers()
		if _, err := os.Stat(filepath.Join(i.dir, program)); err == nil {
			t.Error("the interrupted installation left a binary")
		}
	})
}
