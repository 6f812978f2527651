package e2e

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestInstallLatest checks that the latest version is the target of the redirect of
// releases/latest, and that TLS certificates are verified, also after the redirect of a download.
func TestInstallLatest(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		site := gitHubSite(t, newRelease(t))
		for _, downloader := range []string{"curl", "wget"} {
			t.Run(downloader, func(t *testing.T) {
				i := newInstallation(t, shell, newToolDir(t, downloader, checksumTool))
				maps.Copy(i.env, site)
				for _, version := range []string{"", "latest", "v" + released} {
					i.env["ECR_OIDC_VERSION"] = version
					stdout, _ := i.mustInstall()
					i.requireInstalled([]byte(scriptBinary))
					contains(t, "stdout", stdout, "checksum ok: "+hostArchive)
				}
				delete(i.env, "CURL_CA_BUNDLE")
				delete(i.env, "WGETRC")
				i.dir = filepath.Join(i.home, "other")
				i.env["SSL_CERT_FILE"] = os.DevNull
				i.mustFail(
					"requesting the latest version: .*certificate.*; specify one with --version",
					"--dir", i.dir, "--version", "latest",
				)
				i.mustFail(
					"downloading https://github.com/.*/releases/download/v0.1.0/checksums.txt: "+
						".*certificate.*",
					"--dir", i.dir, "--version", released,
				)
			})
		}
		t.Run("wget without certificate checks", func(t *testing.T) {
			tools := newToolDir(t, checksumTool)
			stub(t, tools, "wget", `echo "wget: note: TLS certificate validation not implemented" >&2
while [ $# -gt 0 ]; do if [ "$1" = -O ]; then : >"$2"; fi; shift; done`)
			i := newInstallation(t, shell, tools)
			for _, version := range []string{released, "latest"} {
				i.mustFail(
					"this wget does not check TLS certificates; install curl or GNU wget",
					"--version", version,
				)
			}
		})
	})
}

// TestInstallMirrorLogin checks a mirror with a login. The login appears in no message and in no
// argument of a program.
func TestInstallMirrorLogin(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		r := newRelease(t)
		server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
			if user, password, ok := req.BasicAuth(); !ok || user != "jane" || password != "s3cret@home" {
				rw.Header().Set("WWW-Authenticate", `Basic realm="mirror"`)
				http.Error(rw, "login required", http.StatusUnauthorized)
				return
			}
			serveRelease(rw, req, r, "/v"+released+"/")
		}))
		t.Cleanup(server.Close)
		host := strings.TrimPrefix(server.URL, "http://")
		for _, downloader := range []string{"curl", "wget"} {
			t.Run(downloader, func(t *testing.T) {
				tools := newToolDir(t, downloader, checksumTool)
				path, err := filepath.EvalSymlinks(filepath.Join(tools, downloader))
				if err != nil {
					t.Fatal(err)
				}
				stub(t, tools, downloader, `echo "$*" >>"$HOME/arguments"; exec `+path+` "$@"`)
				i := newInstallation(t, shell, tools)
				i.env["ECR_OIDC_MIRROR"] = "http://jane:s3cret%40home@" + host
				stdout, stderr := i.mustInstall("--version", released)
				i.requireInstalled([]byte(scriptBinary))
				all := stdout + stderr
				for mirror, want := range map[string]string{
					"http://jane:s3cret%40home@" +
						host: "/v9.9.9/checksums.txt: not found; check that version 9.9.9 exists",
					"http://jane:s3cret%40work@" + host:     "/v9.9.9/checksums.txt: ",
					"http://jane:s3cret%40home@localhost:1": "http://localhost:1/v9.9.9/checksums.txt: ",
					"ftp://jane:s3cret%40home@" + host:      "the mirror must begin with https://",
				} {
					stdout, stderr, err := i.run("--version", "9.9.9", "--mirror", mirror)
					if err == nil || !strings.Contains(stderr, want) {
						t.Errorf("%v %s, want %s", err, stderr, want)
					}
					all += stdout + stderr
				}
				arguments, err := os.ReadFile(filepath.Join(i.home, "arguments"))
				if err != nil || strings.Contains(all+string(arguments), "s3cret") {
					t.Errorf("%v\n%s%s", err, all, arguments)
				}
			})
		}
		t.Run("busybox", func(t *testing.T) {
			newInstallation(t, shell, busybox(t)).mustFail(
				"with this wget, other processes can read the mirror's login; install curl or GNU wget",
				"--version", released, "--mirror", "http://jane:s3cret%40home@"+host,
			)
		})
	})
}

// TestInstallPlatforms checks that install.sh downloads the archive for the system and architecture
// of the machine.
func TestInstallPlatforms(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		for uname, platform := range map[string]string{
			"Linux x86_64":  "linux_amd64",
			"Linux aarch64": "linux_arm64",
			"Darwin arm64":  "darwin_arm64",
			"Darwin x86_64": "darwin_amd64",
			"Linux amd64":   "linux_amd64",
		} {
			tools := newToolDir(t, "curl", checksumTool)
			system, machine, _ := strings.Cut(uname, " ")
			stub(t, tools, "uname", "case $1 in -s) echo "+system+" ;; -m) echo "+machine+" ;; esac")
			name := program + "_" + released + "_" + platform + ".tar.gz"
			r := release{name: packArchive(name, []byte(scriptBinary))}
			i := newInstallation(t, shell, tools)
			i.mustInstall(
				"--version", released,
				"--mirror", newMirror(t, r.addChecksums()).URL,
			)
			i.requireInstalled([]byte(scriptBinary))
		}
	})
}
