package e2e

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/build"
)

// A windowsInstallation is one run of install.ps1 with Windows PowerShell 5.1 ("powershell") or
// PowerShell 7 ("pwsh").
type windowsInstallation struct {
	t          *testing.T
	powershell string
	env        map[string]string
	dir        string
}

func inPowerShells(t *testing.T, test func(i *windowsInstallation)) {
	for _, name := range []string{"powershell", "pwsh"} {
		t.Run(name, func(t *testing.T) {
			path, err := exec.LookPath(name)
			if err != nil {
				t.Skipf("%s is not on PATH", name)
			}
			if err := build.Track("install.ps1"); err != nil {
				t.Fatal(err)
			}
			home := t.TempDir()
			i := &windowsInstallation{
				t:          t,
				powershell: path,
				dir:        filepath.Join(home, "Programs", program),
				env:        map[string]string{},
			}
			for _, v := range os.Environ() {
				if name, value, ok := strings.Cut(v, "="); ok && name != "" {
					i.env[strings.ToUpper(name)] = value
				}
			}
			temp := filepath.Join(home, "temp")
			if err := os.Mkdir(temp, 0o700); err != nil {
				t.Fatal(err)
			}
			for name, value := range map[string]string{
				"LOCALAPPDATA":         home,
				"TEMP":                 temp,
				"TMP":                  temp,
				"TMPDIR":               temp,
				"GITHUB_ACTIONS":       "",
				"GITHUB_PATH":          "",
				"ECR_OIDC_VERSION":     "",
				"ECR_OIDC_INSTALL_DIR": "",
				"ECR_OIDC_MIRROR":      "",
				"ECR_OIDC_VERIFY":      "",
			} {
				i.env[name] = value
			}
			delete(i.env, "PSMODULEPATH") // set by PowerShell 7 if it started this test
			test(i)
		})
	}
}

func (i *windowsInstallation) run(args ...string) (stdout, stderr string, err error) {
	i.t.Helper()
	return i.exec(append([]string{"-File", "../install.ps1"}, args...)...)
}

func (i *windowsInstallation) exec(args ...string) (stdout, stderr string, err error) {
	i.t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(
		i.powershell,
		append([]string{"-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass"}, args...)...,
	)
	cmd.Env = environ(i.env)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	if left, globErr := filepath.Glob(filepath.Join(i.dir, ".*")); globErr != nil || len(left) > 0 {
		i.t.Errorf("left behind: %q, %v", left, globErr)
	}
	return out.String(), errs.String(), err
}

func (i *windowsInstallation) mustInstall(args ...string) string {
	i.t.Helper()
	stdout, stderr, err := i.run(args...)
	if err != nil {
		i.t.Fatalf("%v\n%s%s", err, stdout, stderr)
	}
	return stdout
}

func (i *windowsInstallation) mustFail(want string, args ...string) {
	i.t.Helper()
	stdout, stderr, err := i.run(args...)
	if err == nil || !regexp.MustCompile("(?m)^install.ps1: "+want+"\r?$").MatchString(stderr) {
		i.t.Errorf("%v\n%s%swant\ninstall.ps1: %s", err, stdout, stderr, want)
	}
}

// TestInstallPS1Elsewhere checks that install.ps1 names install.sh on other systems than Windows.
func TestInstallPS1Elsewhere(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skipf("this is Windows")
	}
	inPowerShells(t, func(i *windowsInstallation) {
		i.mustFail("this script is for Windows; on other systems, use install.sh")
	})
}

func TestInstallPS1(t *testing.T) {
	if runtime.GOOS != "windows" {
		t.Skipf("install.ps1 is for Windows")
	}
	inPowerShells(t, func(i *windowsInstallation) {
		t, target := i.t, filepath.Join(i.dir, exe(program))
		r, binary := realRelease()
		mirror := newMirror(t, r).URL
		requireSame := func() {
			t.Helper()
			if got, err := os.ReadFile(target); err != nil || !bytes.Equal(got, binary) {
				t.Errorf("%s differs from the binary of the release: %v", target, err)
			}
		}

		stdout := i.mustInstall("-Version", released, "-Mirror", mirror)
		requireSame()
		contains(
			t,
			"output",
			stdout,
			"checksum ok: "+hostArchive,
			"signature not checked: cosign is not on PATH",
			"installed "+target+": "+program,
		)
		// PowerShell breaks the lines of a warning.
		if !regexp.MustCompile(`is\s+not\s+on\s+PATH`).MatchString(stdout) {
			t.Errorf("no warning that %s is not on PATH:\n%s", i.dir, stdout)
		}

		// Again, with variables instead of flags, as text, and while the old binary runs.
		cmd := exec.Command(target, "get")
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		i.env["ECR_OIDC_VERSION"], i.env["ECR_OIDC_MIRROR"] = "v"+released, mirror
		stdout, stderr, err := i.exec("-Command", "Get-Content -Raw ../install.ps1 | Invoke-Expression")
		if err != nil || !strings.Contains(stdout, "installed "+target) {
			t.Errorf("as text: %v\n%s%s", err, stdout, stderr)
		}
		requireSame()
		stdin.Close()
		cmd.Wait()
		i.mustInstall()
		requireSame()
		if old, err := filepath.Glob(target + ".*"); err != nil || len(old) > 0 {
			t.Errorf("old binaries: %q, %v", old, err)
		}
		i.env["ECR_OIDC_VERSION"], i.env["ECR_OIDC_MIRROR"] = "", ""

		// Later steps of a GitHub job.
		i.env["GITHUB_ACTIONS"], i.env["GITHUB_PATH"] = "true", filepath.Join(t.TempDir(), "path")
		contains(
			t,
			"output",
			i.mustInstall("-Version", released, "-Mirror", mirror+"/"),
			i.dir+" is on PATH in later steps of this job",
		)
		if got, err := os.ReadFile(i.env["GITHUB_PATH"]); err != nil || string(got) != i.dir+"\n" {
			t.Errorf("GITHUB_PATH has %q, %v", got, err)
		}
		// The path of the directory adds no other line to GITHUB_PATH, no other directory to PATH,
		// and no code to the advice.
		i.env["ECR_OIDC_INSTALL_DIR"] = i.dir + "\nC:\\evil"
		args := []string{"-Version", released, "-Mirror", mirror}
		i.mustFail(
			"the path of the directory contains a control character; specify another with -Dir",
			args...,
		)
		i.env["ECR_OIDC_INSTALL_DIR"] = filepath.Join(t.TempDir(), "a;evil")
		i.mustFail(
			"the directory is .*; its path must not contain a semicolon; specify another with -Dir",
			args...,
		)
		if got, err := os.ReadFile(i.env["GITHUB_PATH"]); err != nil || string(got) != i.dir+"\n" {
			t.Errorf("GITHUB_PATH has %q, %v", got, err)
		}
		i.env["GITHUB_ACTIONS"] = ""
		i.env["ECR_OIDC_INSTALL_DIR"] = filepath.Join(t.TempDir(), "it's")
		advice := strings.Join(strings.Fields(i.mustInstall(args...)), "") // without PowerShell's line breaks
		contains(t, "advice", advice, "it''s;'+[Environment]")
		i.env["ECR_OIDC_INSTALL_DIR"] = ""

		// An error is reported, and the installed binary stays.
		broken, _ := realRelease()
		broken[hostArchive] = append(broken[hostArchive], 0)
		i.mustFail(
			fmt.Sprintf(
				"checksum mismatch: http://.*/v0.1.0/%s has %x, checksums.txt lists %x; "+
					"nothing was installed",
				regexp.QuoteMeta(hostArchive),
				sha256.Sum256(broken[hostArchive]),
				sha256.Sum256(r[hostArchive]),
			),
			"-Version", released, "-Mirror", newMirror(t, broken).URL,
		)
		unlisted := release{"other.zip": []byte("x")}.addChecksums()
		i.mustFail(
			"version 0.1.0 has no build for windows/"+runtime.GOARCH+": checksums.txt does not list .*",
			"-Version", released, "-Mirror", newMirror(t, unlisted).URL,
		)
		i.mustFail(
			"downloading http://.*/v9.9.9/checksums.txt: not found; check that version 9.9.9 exists",
			"-Version", "9.9.9", "-Mirror", mirror,
		)
		missing, _ := realRelease()
		delete(missing, hostArchive)
		i.mustFail(
			"downloading http://.*zip: not found",
			"-Version", released, "-Mirror", newMirror(t, missing).URL,
		)
		cut, _ := realRelease()
		cut[hostArchive] = cut[hostArchive][:1000]
		i.mustFail(
			"unpacking .*; nothing was installed",
			"-Version", released, "-Mirror", newMirror(t, cut.addChecksums()).URL,
		)
		i.mustFail(
			"a mirror has no latest version; specify one with -Version or ECR_OIDC_VERSION",
			"-Mirror", mirror,
		)
		i.mustFail("one is not a version; use a version such as 0.1.0", "-Version", "one", "-Mirror", mirror)
		i.mustFail("the mirror must begin with https://", "-Version", released, "-Mirror", "mirror.example")
		for _, url := range []string{
			"http://mirror.example",
			"http://127.0.0.1@mirror.example/",
			"http://127.0.0.1.mirror.example/",
			"http://loopback/",
			"http://mirror.example#@127.0.0.1/",
		} {
			i.mustFail(
				"the mirror must begin with https://: "+
					"with http, an attacker in the network can replace the archive and its checksum",
				"-Version", released, "-Mirror", url,
			)
		}
		redirecting := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
			http.Redirect(rw, req, mirror+req.URL.Path, http.StatusFound)
		}))
		t.Cleanup(redirecting.Close)
		i.mustFail(
			"downloading http://.*: it redirects to http",
			"-Version", released, "-Mirror", redirecting.URL,
		)
		i.env["ECR_OIDC_VERIFY"] = "required"
		i.mustFail(
			"ECR_OIDC_VERIFY is required, but cosign is not on PATH; install cosign 2.4 or later",
			"-Version", released, "-Mirror", mirror,
		)
		i.env["ECR_OIDC_VERIFY"] = "yes"
		i.mustFail(
			`ECR_OIDC_VERIFY is yes; set it to "required", or unset it`,
			"-Version", released, "-Mirror", mirror,
		)
		i.env["ECR_OIDC_VERIFY"] = ""
		locked := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
			if user, password, ok := req.BasicAuth(); !ok || user != "jane" || password != "s3cret@home" {
				http.Error(rw, "login required", http.StatusUnauthorized)
				return
			}
			serveRelease(rw, req, r, "/v"+released+"/")
		}))
		t.Cleanup(locked.Close)
		withLogin := strings.Replace(locked.URL, "//", "//jane:s3cret%40home@", 1)
		stdout = i.mustInstall("-Version", released, "-Mirror", withLogin)
		if strings.Contains(stdout, "s3cret") {
			t.Errorf("the output contains the login:\n%s", stdout)
		}
		i.mustFail(
			"downloading "+regexp.QuoteMeta(locked.URL)+"/v0.1.1/checksums.txt: not found; .*",
			"-Version", "0.1.1", "-Mirror", withLogin,
		)
		i.mustFail(
			"downloading "+regexp.QuoteMeta(locked.URL)+"/v0.1.0/checksums.txt: HTTP status 401",
			"-Version", released, "-Mirror", locked.URL,
		)
		requireSame()

		// If cosign is on PATH, its result decides.
		bin := t.TempDir()
		const stub = "@echo off\r\nif \"%~1\"==\"version\" (echo GitVersion:    %VERSION%& exit /b 0)\r\n" +
			"echo %*>\"%ARGUMENTS%\"\r\necho %OUTPUT% 1>&2\r\nexit /b %CODE%\r\n"
		if err := os.WriteFile(filepath.Join(bin, "cosign.cmd"), []byte(stub), 0o755); err != nil {
			t.Fatal(err)
		}
		i.env["PATH"], i.env["VERSION"] = bin+";"+i.env["PATH"], "v2.3.0"
		contains(
			t,
			"output",
			i.mustInstall("-Version", released, "-Mirror", mirror),
			"signature not checked: cosign is version 2.3; version 2.4 or later is required",
		)
		i.env["ECR_OIDC_VERIFY"] = "required"
		i.mustFail(
			"ECR_OIDC_VERIFY is required, but cosign is version 2.3; version 2.4 or later is required; "+
				"install cosign 2.4 or later",
			"-Version", released, "-Mirror", mirror,
		)
		i.env["VERSION"] = "v2.4.1"
		i.mustFail(
			"downloading http://.*/checksums.txt.sigstore.json: not found; "+
				"without it, cosign cannot check the signature",
			"-Version", released, "-Mirror", mirror,
		)
		r["checksums.txt.sigstore.json"] = []byte("{}")
		mirror = newMirror(t, r).URL
		const identity = "https://github.com/ecr-oidc/docker-credential-ecr-oidc/.github/workflows/release.yml@refs/tags/v0.1.0"
		i.env["ARGUMENTS"] = filepath.Join(bin, "arguments")
		i.env["OUTPUT"] = "Verified OK"
		i.env["CODE"] = "0"
		contains(
			t,
			"output",
			i.mustInstall("-Version", released, "-Mirror", mirror),
			"signature checked by cosign: "+identity,
		)
		arguments, _ := os.ReadFile(i.env["ARGUMENTS"])
		contains(
			t,
			"cosign's arguments",
			string(arguments),
			"verify-blob --bundle ",
			"--certificate-identity "+identity+" ",
			"--certificate-oidc-issuer https://token.actions.githubusercontent.com --new-bundle-format ",
		)
		i.env["OUTPUT"], i.env["CODE"] = "no matching identity", "1"
		i.mustFail(
			"cosign cannot verify that checksums.txt is signed by "+regexp.QuoteMeta(identity)+
				": no matching identity; nothing was installed",
			"-Version", released, "-Mirror", mirror,
		)
	})
}
