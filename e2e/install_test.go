package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/build"
)

// An installation is one run of install.sh on a machine of its own.
type installation struct {
	t         *testing.T
	shell     []string
	script    string
	env       map[string]string
	home, dir string
}

// installScript returns the absolute path of install.sh, on which the cached result of the test then depends.
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
	i := &installation{t: t, shell: shell, script: installScript(t), home: home, dir: filepath.Join(home, ".local", "bin")}
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

// run installs, and looks that nothing is left behind, whatever came of it.
func (i *installation) run(args ...string) (stdout, stderr string, err error) {
	i.t.Helper()
	cmd, out, errs := i.command(args...)
	err = cmd.Run()
	i.clean()
	return out.String(), errs.String(), err
}

func (i *installation) clean() {
	i.t.Helper()
	for _, pattern := range []string{filepath.Join(i.env["TMPDIR"], "*"), filepath.Join(i.dir, ".*")} {
		if left, err := filepath.Glob(pattern); err != nil || len(left) > 0 {
			i.t.Errorf("left behind: %q, %v", left, err)
		}
	}
}

// good installs, and fails the test when that fails.
func (i *installation) good(args ...string) (stdout, stderr string) {
	i.t.Helper()
	stdout, stderr, err := i.run(args...)
	if err != nil {
		i.t.Fatalf("%v\n%s%s", err, stdout, stderr)
	}
	return stdout, stderr
}

// bad wants one line of complaint, and nothing installed.
func (i *installation) bad(want string, args ...string) {
	i.t.Helper()
	stdout, stderr, err := i.run(args...)
	if err == nil {
		i.t.Fatalf("it went well, and should not have:\n%s%s", stdout, stderr)
	}
	last := stderr[strings.LastIndex(strings.TrimSuffix(stderr, "\n"), "\n")+1:]
	if !regexp.MustCompile("^install.sh: " + want + "\n$").MatchString(last) {
		i.t.Errorf("it says\n%swant\ninstall.sh: %s", stderr, want)
	}
	if _, err := os.Lstat(filepath.Join(i.dir, program)); err == nil {
		i.t.Error("it installed something all the same")
	}
}

// installed compares what is there with a binary.
func (i *installation) installed(want []byte) {
	i.t.Helper()
	file := filepath.Join(i.dir, program)
	got, err := os.ReadFile(file)
	if err != nil {
		i.t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		i.t.Errorf("%s is not what the release has", file)
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
		s := newShelf(t, r)
		i := newInstallation(t, shell, toolbox(t, "curl", sums))
		stdout, stderr := i.good("--version", released, "--mirror", s.URL)
		i.installed(binary)
		contains(t, "stdout", stdout, "checksum ok: "+ourArchive, "signature not checked: cosign is not on PATH\n", "installed "+i.dir+"/"+program+": "+program+" ")
		contains(t, "stderr", stderr, i.dir+" is not on PATH, where Docker looks for "+program+`; add it: export PATH='`+i.dir+`':"$PATH"`)
		if got, want := s.requests(), []string{"/v0.1.0/checksums.txt", "/v0.1.0/" + ourArchive}; !slices.Equal(got, want) {
			t.Errorf("it asked for %q, want %q", got, want)
		}
	})
}

// TestInstallTools checks install.sh with each program that can download and each that can compute
// a checksum.
func TestInstallTools(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		s := newShelf(t, newRelease(t))
		for _, tools := range [][]string{
			{"wget", "sha256sum"}, {"curl", "shasum", "perl"}, {"curl", "openssl"}, {"busybox"},
		} {
			t.Run(strings.Join(tools, " "), func(t *testing.T) {
				box := ""
				if tools[0] == "busybox" {
					box = busybox(t)
				} else {
					box = toolbox(t, tools...)
				}
				i := newInstallation(t, shell, box)
				i.good("--version="+released, "--mirror="+s.URL+"/")
				i.installed([]byte(scriptBinary))
				i.env["ECR_OIDC_MIRROR"] = s.URL
				if err := os.Remove(filepath.Join(i.dir, program)); err != nil {
					t.Fatal(err)
				}
				i.bad(regexp.QuoteMeta("downloading "+s.URL+"/v9.9.9/checksums.txt: not found; check that version 9.9.9 exists"), "--version", "9.9.9")
			})
		}
		for want, tools := range map[string][]string{
			"neither curl nor wget is on PATH; install one of them":                 {"sha256sum"},
			"none of sha256sum, shasum and openssl is on PATH; install one of them": {"curl"},
		} {
			newInstallation(t, shell, toolbox(t, tools...)).bad(want, "--version", released, "--mirror", s.URL)
		}
	})
}

// TestInstallLatest checks that the latest version is the target of the redirect of
// releases/latest, and that TLS certificates are verified, also after the redirect of a download.
func TestInstallLatest(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		site := gitHubSite(t, newRelease(t))
		for _, downloader := range []string{"curl", "wget"} {
			t.Run(downloader, func(t *testing.T) {
				i := newInstallation(t, shell, toolbox(t, downloader, sums))
				maps.Copy(i.env, site)
				for _, version := range []string{"", "latest", "v" + released} {
					i.env["ECR_OIDC_VERSION"] = version
					stdout, _ := i.good()
					i.installed([]byte(scriptBinary))
					contains(t, "stdout", stdout, "checksum ok: "+ourArchive)
				}
				delete(i.env, "CURL_CA_BUNDLE")
				delete(i.env, "WGETRC")
				i.dir = filepath.Join(i.home, "other")
				i.env["SSL_CERT_FILE"] = os.DevNull
				i.bad("requesting the latest version: .*certificate.*; specify one with --version", "--dir", i.dir, "--version", "latest")
				i.bad("downloading https://github.com/.*/releases/download/v0.1.0/checksums.txt: .*certificate.*", "--dir", i.dir, "--version", released)
			})
		}
		t.Run("wget that does not look at certificates", func(t *testing.T) {
			box := toolbox(t, sums)
			stub(t, box, "wget", `echo "wget: note: TLS certificate validation not implemented" >&2
while [ $# -gt 0 ]; do if [ "$1" = -O ]; then : >"$2"; fi; shift; done`)
			i := newInstallation(t, shell, box)
			for _, version := range []string{released, "latest"} {
				i.bad("this wget does not check TLS certificates; install curl or GNU wget", "--version", version)
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
				http.Error(rw, "who are you?", http.StatusUnauthorized)
				return
			}
			serveRelease(rw, req, r, "/v"+released+"/")
		}))
		t.Cleanup(server.Close)
		host := strings.TrimPrefix(server.URL, "http://")
		for _, downloader := range []string{"curl", "wget"} {
			t.Run(downloader, func(t *testing.T) {
				box := toolbox(t, downloader, sums)
				real, err := filepath.EvalSymlinks(filepath.Join(box, downloader))
				if err != nil {
					t.Fatal(err)
				}
				stub(t, box, downloader, `echo "$*" >>"$HOME/arguments"; exec `+real+` "$@"`)
				i := newInstallation(t, shell, box)
				i.env["ECR_OIDC_MIRROR"] = "http://jane:s3cret%40home@" + host
				stdout, stderr := i.good("--version", released)
				i.installed([]byte(scriptBinary))
				all := stdout + stderr
				for mirror, want := range map[string]string{
					"http://jane:s3cret%40home@" + host:     "/v9.9.9/checksums.txt: not found; check that version 9.9.9 exists",
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
			newInstallation(t, shell, busybox(t)).bad("with this wget, other processes can read the mirror's login; install curl or GNU wget",
				"--version", released, "--mirror", "http://jane:s3cret%40home@"+host)
		})
	})
}

// TestInstallRefuses checks that an error is one line, and that nothing is installed.
func TestInstallRefuses(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		box := toolbox(t, "curl", sums)
		good := newRelease(t)[ourArchive]
		sum := fmt.Sprintf("%x", sha256.Sum256(good))
		const overHTTP = "the mirror must begin with https://: with http, an attacker in the network can replace the archive and its checksum"
		tests := []struct {
			name   string
			change func(release)
			want   string
			args   []string
		}{
			{name: "wrong checksum", change: func(r release) { r[ourArchive] = append(slices.Clone(good), 0) },
				want: fmt.Sprintf("checksum mismatch: http://.*/v0.1.0/%s has %x, checksums.txt lists %s; nothing was installed", regexp.QuoteMeta(ourArchive), sha256.Sum256(append(slices.Clone(good), 0)), sum)},
			{name: "no checksums", change: func(r release) { delete(r, "checksums.txt") }, want: "downloading http://.*/v0.1.0/checksums.txt: not found; check that version 0.1.0 exists"},
			{name: "no archive", change: func(r release) { delete(r, ourArchive) }, want: "downloading http://.*" + regexp.QuoteMeta(ourArchive) + ": not found"},
			{name: "not listed", change: func(r release) { delete(r, ourArchive); r.sum() }, want: "version 0.1.0 has no build for " + runtime.GOOS + "/" + runtime.GOARCH + ": checksums.txt does not list .*"},
			{name: "listed under a longer name", change: func(r release) { r["x"+ourArchive] = good; delete(r, ourArchive); r.sum() }, want: "version 0.1.0 has no build for .*"},
			{name: "cut off, and summed so", change: func(r release) { r[ourArchive] = good[:len(good)/2]; r.sum() }, want: "unpacking " + regexp.QuoteMeta(ourArchive) + ": .*; nothing was installed"},
			{name: "another file in it", change: func(r release) { r[ourArchive] = emptyArchive(t); r.sum() }, want: "unpacking .*; nothing was installed"},
			{name: "does not run", change: func(r release) {
				r[ourArchive] = archived(ourArchive, []byte("#!/bin/sh\necho wrong libc >&2\nexit 1\n"))
				r.sum()
			}, want: "the downloaded binary does not run: wrong libc; nothing was installed"},
			{name: "no version", args: []string{"--version", "one"}, want: "one is not a version; use a version such as 0.1.0"},
			{name: "a path for a version", args: []string{"--version", "0.1.0/../../x"}, want: "0.1.0/../../x is not a version; use a version such as 0.1.0"},
			{name: "latest of a mirror", args: []string{"--version", "latest"}, want: "a mirror has no latest version; specify one with --version or ECR_OIDC_VERSION"},
			{name: "a mirror over http", args: []string{"--mirror", "http://mirror.example"}, want: overHTTP},
			{name: "a mirror over http, with a login like loopback", args: []string{"--mirror", "http://127.0.0.1@mirror.example/"}, want: overHTTP},
			{name: "a mirror over http, named like loopback", args: []string{"--mirror", "http://127.0.0.1.mirror.example:80/"}, want: overHTTP},
			{name: "a mirror over http, with loopback behind #", args: []string{"--mirror", "http://mirror.example#@127.0.0.1/"}, want: overHTTP},
			{name: "a mirror over http, by IPv6", args: []string{"--mirror", "http://[::2]:80/"}, want: overHTTP},
			{name: "a mirror that is no URL", args: []string{"--mirror", "mirror.example"}, want: "the mirror must begin with https://"},
			{name: "a mirror with a line break", args: []string{"--mirror", "https://mirror.example/\nurl = file:///etc/passwd"}, want: "the mirror's URL contains an invalid character"},
			{name: "a mirror with a quote", args: []string{"--mirror", `https://mirror.example/"`}, want: "the mirror's URL contains an invalid character"},
			{name: "unknown flag", args: []string{"--verbose"}, want: "unknown flag --verbose; --help lists them"},
			{name: "unknown flag with a value", args: []string{"--colour=never"}, want: "unknown flag --colour; --help lists them"},
			{name: "flag without a value", args: []string{"--dir"}, want: "--dir needs a value"},
			{name: "an argument", args: []string{"0.1.0"}, want: "unknown argument 0.1.0; --help lists the flags"},
			{name: "a directory that nobody expanded", args: []string{"--dir", "$HOME/bin"}, want: `the directory begins with \$ or ~, which is not expanded; use an absolute path`},
			{name: "a directory that PATH cannot have", args: []string{"--dir", "/tmp/a:b"}, want: "the directory is /tmp/a:b; its path must not contain a quote or a colon; specify another with --dir"},
			{name: "a file for a directory", args: []string{"--dir", "/dev/null/bin"}, want: "cannot create the directory /dev/null/bin; specify another with --dir, or use --sudo"},
			{name: "sudo without sudo", args: []string{"--sudo"}, want: "--sudo: sudo is not on PATH"},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				r := newRelease(t)
				if tt.change != nil {
					tt.change(r)
				}
				i := newInstallation(t, shell, box)
				i.bad("(?:"+tt.want+")", append([]string{"--version", released, "--mirror", newShelf(t, r).URL}, tt.args...)...)
			})
		}
		t.Run("cut off on its way", func(t *testing.T) {
			r := newRelease(t)
			server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
				if strings.HasSuffix(req.URL.Path, "gz") {
					rw.Header().Set("Content-Length", fmt.Sprint(len(good)))
					rw.Write(good[:len(good)/2])
					return
				}
				serveRelease(rw, req, r, "/v"+released+"/")
			}))
			t.Cleanup(server.Close)
			newInstallation(t, shell, box).bad("downloading http://.*gz: curl: .*", "--version", released, "--mirror", server.URL)
		})
		t.Run("led away from https", func(t *testing.T) {
			elsewhere := newShelf(t, newRelease(t))
			server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
				http.Redirect(rw, req, elsewhere.URL+req.URL.Path, http.StatusFound)
			}))
			t.Cleanup(server.Close)
			newInstallation(t, shell, box).bad("downloading http://.*/checksums.txt: curl: .*rotocol.*", "--version", released, "--mirror", server.URL)
			newInstallation(t, shell, toolbox(t, "wget", sums)).bad("downloading from http://.*: it redirects to http; nothing was installed", "--version", released, "--mirror", server.URL)
		})
		t.Run("a proxy is not on the way to loopback", func(t *testing.T) {
			proxy := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
				t.Errorf("the proxy was asked for %s", req.URL)
			}))
			t.Cleanup(proxy.Close)
			s := newShelf(t, newRelease(t))
			for _, downloader := range []string{"curl", "wget"} {
				i := newInstallation(t, shell, toolbox(t, downloader, sums))
				i.env["http_proxy"], i.env["ALL_PROXY"] = proxy.URL, proxy.URL
				i.good("--version", released, "--mirror", s.URL)
				i.good("--version", released, "--mirror", strings.Replace(s.URL, "127.0.0.1", "localhost", 1))
			}
		})
		t.Run("a system without releases", func(t *testing.T) {
			for uname, want := range map[string]string{
				"SunOS i86pc": "there is no release for SunOS; to build it from source: go install .*", "Linux riscv64": "there is no release for riscv64; to build it from source: go install .*",
				"MINGW64_NT-10.0-20348 x86_64": "on Windows, use install.ps1",
			} {
				box := toolbox(t, "curl", sums)
				system, machine, _ := strings.Cut(uname, " ")
				stub(t, box, "uname", "case $1 in -s) echo "+system+" ;; -m) echo "+machine+" ;; esac")
				newInstallation(t, shell, box).bad(want, "--version", released)
			}
		})
	})
}

// emptyArchive is one without our binary.
func emptyArchive(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	if err := w.WriteHeader(&tar.Header{Name: "something-else", Mode: 0o755}); err != nil {
		t.Fatal(err)
	}
	w.Close()
	z.Close()
	return out.Bytes()
}

// TestInstallPlatforms checks that install.sh downloads the archive for the system and architecture
// of the machine.
func TestInstallPlatforms(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		for uname, platform := range map[string]string{
			"Linux x86_64": "linux_amd64", "Linux aarch64": "linux_arm64", "Darwin arm64": "darwin_arm64", "Darwin x86_64": "darwin_amd64", "Linux amd64": "linux_amd64",
		} {
			box := toolbox(t, "curl", sums)
			system, machine, _ := strings.Cut(uname, " ")
			stub(t, box, "uname", "case $1 in -s) echo "+system+" ;; -m) echo "+machine+" ;; esac")
			name := program + "_" + released + "_" + platform + ".tar.gz"
			i := newInstallation(t, shell, box)
			i.good("--version", released, "--mirror", newShelf(t, release{name: archived(name, []byte(scriptBinary))}.sum()).URL)
			i.installed([]byte(scriptBinary))
		}
	})
}

// TestInstallTwice checks that a second installation replaces the first atomically, and that a
// failed one does not change it.
func TestInstallTwice(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		i := newInstallation(t, shell, toolbox(t, "curl", sums))
		s := newShelf(t, newRelease(t))
		i.good("--version", released, "--mirror", s.URL)
		file := filepath.Join(i.dir, program)
		// Who reads the old one while it is replaced goes on reading it: it is another file.
		open, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer open.Close()
		newer := []byte("#!/bin/sh\necho newer\n")
		i.good("--version", released, "--mirror", newShelf(t, release{ourArchive: archived(ourArchive, newer)}.sum()).URL)
		i.installed(newer)
		if old, err := io.ReadAll(open); err != nil || string(old) != scriptBinary {
			t.Errorf("the old file was written over: %q, %v", old, err)
		}
		broken := newRelease(t)
		broken[ourArchive] = []byte("broken")
		if _, _, err := i.run("--version", released, "--mirror", newShelf(t, broken).URL); err == nil {
			t.Error("a broken archive was installed")
		}
		i.installed(newer)

		// A link, such as a package manager's, is replaced, and what it leads to is left alone.
		elsewhere := filepath.Join(i.home, "elsewhere")
		if err := os.Rename(file, elsewhere); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(elsewhere, file); err != nil {
			t.Fatal(err)
		}
		i.good("--version", released, "--mirror", s.URL)
		i.installed([]byte(scriptBinary))
		if b, err := os.ReadFile(elsewhere); err != nil || !bytes.Equal(b, newer) {
			t.Errorf("it wrote through a link: %q, %v", b, err)
		}
		// A folder is not.
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(file, 0o755); err != nil {
			t.Fatal(err)
		}
		if _, stderr, err := i.run("--version", released, "--mirror", s.URL); err == nil || !strings.Contains(stderr, "is a directory; move it away") {
			t.Errorf("%v %s", err, stderr)
		}
	})
}
