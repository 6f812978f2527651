package e2e

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// --- a release and its servers --------------------------------------------------------------------------------------

const released = "0.1.0"

// archiveName is the archive of a version for a system, as goreleaser names it.
func archiveName(version, system, arch string) string {
	name := program + "_" + version + "_" + system + "_" + arch
	if system == "windows" {
		return name + ".zip"
	}
	return name + ".tar.gz"
}

var ourArchive = archiveName(released, runtime.GOOS, runtime.GOARCH)

// archived packs a binary as a release does: at the root, beside other files.
func archived(t *testing.T, name string, binary []byte) []byte {
	t.Helper()
	files := []struct {
		name string
		body []byte
		mode int64
	}{{"LICENSE", []byte("a license\n"), 0o644}, {"README.md", []byte("a readme\n"), 0o644}, {exe(program), binary, 0o755}}
	var out bytes.Buffer
	if strings.HasSuffix(name, ".zip") {
		z := zip.NewWriter(&out)
		for _, f := range files {
			w, err := z.Create(f.name)
			if err != nil {
				t.Fatal(err)
			}
			w.Write(f.body)
		}
		z.Close()
		return out.Bytes()
	}
	z, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(z)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.body)), Format: tar.FormatPAX}); err != nil {
			t.Fatal(err)
		}
		w.Write(f.body)
	}
	w.Close()
	z.Close()
	return out.Bytes()
}

// A release is its folder's files by name. Tests break it as they need.
type release map[string][]byte

// sum writes checksums.txt for what is in the release now.
func (r release) sum() release {
	var out bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(r)) {
		if name != "checksums.txt" && name != "checksums.txt.sigstore.json" {
			fmt.Fprintf(&out, "%x  %s\n", sha256.Sum256(r[name]), name)
		}
	}
	r["checksums.txt"] = out.Bytes()
	return r
}

// scriptBinary stands for the binary where a test is not about it: it says a version, and so much for being quick.
const scriptBinary = "#!/bin/sh\necho " + program + " " + released + " \"$@\"\n"

// newRelease is a release for this system, whose binary is a script.
func newRelease(t *testing.T) release {
	r := release{ourArchive: archived(t, ourArchive, []byte(scriptBinary)), "checksums.txt.sigstore.json": []byte("{}\n")}
	r[archiveName(released, "plan9", "mips")] = []byte("another system's")
	return r.sum()
}

// realRelease has the binary under test in it, which it returns too.
func realRelease(t *testing.T) (release, []byte) {
	t.Helper()
	binary, err := os.ReadFile(filepath.Join(built, exe(program)))
	if err != nil {
		t.Fatal(err)
	}
	return release{ourArchive: archived(t, ourArchive, binary)}.sum(), binary
}

// shelf serves releases as a mirror does, /vVERSION/FILE, and remembers what it was asked for.
type shelf struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
}

func newShelf(t *testing.T, r release) *shelf {
	t.Helper()
	s := &shelf{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, req.URL.Path)
		s.mu.Unlock()
		serveRelease(rw, req, r, "/v"+released+"/")
	}))
	t.Cleanup(s.Close)
	return s
}

func serveRelease(rw http.ResponseWriter, req *http.Request, r release, prefix string) {
	body, ok := r[strings.TrimPrefix(req.URL.Path, prefix)]
	if !ok || !strings.HasPrefix(req.URL.Path, prefix) {
		http.NotFound(rw, req)
		return
	}
	rw.Header().Set("Content-Length", fmt.Sprint(len(body)))
	rw.Write(body)
}

func (s *shelf) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// gitHubSite is github.com as far as an installer sees it, behind a proxy that leads every host to it: releases/latest
// redirects to a tag, and a download to another host. It returns what a client has to have in its environment.
func gitHubSite(t *testing.T, r release) map[string]string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"github.com", "release-assets.githubusercontent.com"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	const repository = "/ecr-oidc/" + program + "/releases/"
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		switch {
		case req.Host != "github.com":
			serveRelease(rw, req, r, "/assets/")
		case req.URL.Path == repository+"latest":
			http.Redirect(rw, req, "https://github.com"+repository+"tag/v"+released, http.StatusFound)
		case req.URL.Path == repository+"tag/v"+released:
			io.WriteString(rw, "<html>")
		case path.Dir(req.URL.Path) == repository+"download/v"+released:
			http.Redirect(rw, req, "https://release-assets.githubusercontent.com/assets/"+path.Base(req.URL.Path), http.StatusFound)
		default:
			http.NotFound(rw, req)
		}
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // a client that does not trust it is a case under test
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	server.StartTLS()
	t.Cleanup(server.Close)
	proxy := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodConnect {
			http.Error(rw, "not a tunnel", http.StatusBadRequest)
			return
		}
		to, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			http.Error(rw, err.Error(), http.StatusBadGateway)
			return
		}
		defer to.Close()
		from, _, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			return
		}
		defer from.Close()
		io.WriteString(from, "HTTP/1.1 200 Connection established\r\n\r\n")
		go func() {
			io.Copy(to, from)
			to.Close()
		}()
		io.Copy(from, to)
	}))
	t.Cleanup(proxy.Close)
	dir := t.TempDir()
	ca, wgetrc := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "wgetrc")
	for name, text := range map[string]string{ca: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), wgetrc: "ca_certificate = " + ca + "\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return map[string]string{"https_proxy": proxy.URL, "CURL_CA_BUNDLE": ca, "WGETRC": wgetrc}
}

// --- shells and what is on PATH -------------------------------------------------------------------------------------

// shells are those that install.sh and the orb's scripts are written for. sh is run by itself where it is none of the
// others.
var shells = []struct {
	name string
	argv []string
}{{"dash", []string{"dash"}}, {"ash", []string{"busybox", "sh"}}, {"bash", []string{"bash"}}, {"sh", []string{"sh"}}}

// inShells runs a test in each shell that is here.
func inShells(t *testing.T, test func(t *testing.T, shell []string)) {
	if runtime.GOOS == "windows" {
		t.Skipf("%s: for Linux and macOS", t.Name())
	}
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

// needed is what install.sh runs besides what downloads and what sums.
var needed = []string{"uname", "mktemp", "mkdir", "rm", "cp", "mv", "chmod", "tar", "gzip", "sed", "grep", "cut", "tr", "head", "tail", "sh"}

// sums is the program that install.sh takes for checksums here.
var sums = func() string {
	for _, name := range []string{"sha256sum", "shasum"} {
		if _, err := exec.LookPath(name); err == nil {
			return name
		}
	}
	return "openssl"
}()

// toolbox makes a folder for PATH that has these programs alone.
func toolbox(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range slices.Concat(needed, names) {
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

// busybox makes a folder for PATH as images of Alpine have it: BusyBox's applets, and nothing else.
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

// stub puts a program of ours into a folder of PATH.
func stub(t *testing.T, dir, name, script string) {
	t.Helper()
	os.Remove(filepath.Join(dir, name)) // a link, perhaps
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// An installation is one run of install.sh on a machine of its own.
type installation struct {
	t         *testing.T
	shell     []string
	script    string
	env       map[string]string
	home, dir string
}

func newInstallation(t *testing.T, shell []string, path string) *installation {
	t.Helper()
	home := t.TempDir()
	i := &installation{t: t, shell: shell, script: "../install.sh", home: home, dir: filepath.Join(home, ".local", "bin")}
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

// --- install.sh -----------------------------------------------------------------------------------------------------

// The binary under test, from a mirror, with what most machines have.
func TestInstall(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		r, binary := realRelease(t)
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

// Whatever downloads, and whatever sums.
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

// The latest version is where releases/latest leads to; TLS is checked, also along the redirect of a download.
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

// A mirror may want a login. It is in no message, and in no program's arguments.
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

// What is wrong is said in one line, and nothing is installed.
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
				r[ourArchive] = archived(t, ourArchive, []byte("#!/bin/sh\necho wrong libc >&2\nexit 1\n"))
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

// The archive is the one of the machine at hand.
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
			i.good("--version", released, "--mirror", newShelf(t, release{name: archived(t, name, []byte(scriptBinary))}.sum()).URL)
			i.installed([]byte(scriptBinary))
		}
	})
}

// A second installation replaces the first in one step, and a failed one leaves it alone.
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
		i.good("--version", released, "--mirror", newShelf(t, release{ourArchive: archived(t, ourArchive, newer)}.sum()).URL)
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

// Where cosign is, it decides, and is asked for exactly our release workflow at the tag.
func TestInstallCosign(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		const identity = "https://github.com/ecr-oidc/docker-credential-ecr-oidc/.github/workflows/release.yml@refs/tags/v0.1.0"
		// The stub reads what it was given: it is asked before the archive is, about the checksums as they were served.
		const script = `
if [ "$1" = version ]; then echo "$VERSION"; exit; fi
echo "$*" >"$HOME/asked"
for last; do :; done
cp "$last" "$HOME/signed"
echo "$SAYS" >&2
exit $EXIT`
		cosign := func(t *testing.T, version, says, exit string) *installation {
			box := toolbox(t, "curl", sums)
			stub(t, box, "cosign", script)
			i := newInstallation(t, shell, box)
			i.env["VERSION"], i.env["SAYS"], i.env["EXIT"] = version, says, exit
			return i
		}
		r := newRelease(t)
		s := newShelf(t, r)
		for version, flag := range map[string]string{
			"GitVersion:    v3.1.3": "", "GitVersion:    devel": "", "no version": "", "GitVersion:    v10.0.0": "",
			"GitVersion:    v2.4.0": " --new-bundle-format", "GitVersion:    v2.10.1": " --new-bundle-format",
		} {
			i := cosign(t, version, "Verified OK", "0")
			i.env["ECR_OIDC_VERIFY"] = "required"
			stdout, _ := i.good("--version", released, "--mirror", s.URL)
			i.installed([]byte(scriptBinary))
			contains(t, "stdout", stdout, "signature checked by cosign: "+identity+"\n")
			asked, _ := os.ReadFile(filepath.Join(i.home, "asked"))
			want := `^verify-blob --bundle \S+/checksums.txt.sigstore.json --certificate-identity ` + regexp.QuoteMeta(identity) +
				` --certificate-oidc-issuer https://token.actions.githubusercontent.com` + flag + ` \S+/checksums.txt\n$`
			if !regexp.MustCompile(want).Match(asked) {
				t.Errorf("cosign was asked\n%swant\n%s", asked, want)
			}
			if signed, _ := os.ReadFile(filepath.Join(i.home, "signed")); !bytes.Equal(signed, r["checksums.txt"]) {
				t.Errorf("cosign was asked about %q", signed)
			}
		}
		// An older one cannot read our signatures, and counts as none.
		for version, shown := range map[string]string{"GitVersion:    v2.3.0": "2.3", "GitVersion:    v1.13.6": "1.13"} {
			i := cosign(t, version, "Error: unknown flag", "1")
			stdout, _ := i.good("--version", released, "--mirror", s.URL)
			contains(t, "stdout", stdout, "signature not checked: cosign is version "+shown+"; version 2.4 or later is required\n")
			i = cosign(t, version, "Error: unknown flag", "1")
			i.env["ECR_OIDC_VERIFY"] = "required"
			i.bad("ECR_OIDC_VERIFY is required, but cosign is version "+shown+"; version 2.4 or later is required; install cosign 2.4 or later", "--version", released, "--mirror", s.URL)
		}
		bare := newInstallation(t, shell, toolbox(t, "curl", sums))
		bare.env["ECR_OIDC_VERIFY"] = "required"
		before := len(s.requests())
		bare.bad("ECR_OIDC_VERIFY is required, but cosign is not on PATH; install cosign 2.4 or later", "--version", released, "--mirror", s.URL)
		bare.env["ECR_OIDC_VERIFY"] = "yes"
		bare.bad(`ECR_OIDC_VERIFY is yes; set it to "required", or unset it`, "--version", released, "--mirror", s.URL)
		if asked := s.requests()[before:]; len(asked) > 0 {
			t.Errorf("it downloaded %q first", asked)
		}
		i := cosign(t, "GitVersion: v3.1.3", "Error: none of the expected identities matched what was in the certificate", "1")
		before = len(s.requests())
		i.bad("cosign cannot verify that checksums.txt is signed by "+regexp.QuoteMeta(identity)+": Error: none of the expected identities .*; nothing was installed", "--version", released, "--mirror", s.URL)
		if asked := s.requests()[before:]; slices.Contains(asked, "/v0.1.0/"+ourArchive) {
			t.Errorf("after cosign's no it still asked for %q", asked)
		}
		delete(r, "checksums.txt.sigstore.json")
		cosign(t, "GitVersion: v3.1.3", "Verified OK", "0").bad("downloading http://.*/checksums.txt.sigstore.json: not found; without it, cosign cannot check the signature", "--version", released, "--mirror", newShelf(t, r).URL)
	})
}

// Later steps find the binary where the CI has a way to tell them; else that is said.
func TestInstallLater(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		s := newShelf(t, newRelease(t))
		box := toolbox(t, "curl", sums)
		args := []string{"--version", released, "--mirror", s.URL}
		read := func(name string) string {
			b, _ := os.ReadFile(name)
			return string(b)
		}
		t.Run("on PATH", func(t *testing.T) {
			i := newInstallation(t, shell, box)
			i.env["PATH"] += ":" + i.dir
			if _, stderr := i.good(args...); strings.Contains(stderr, "PATH") {
				t.Errorf("it says %s", stderr)
			}
			other := filepath.Join(i.home, "other")
			_, stderr := i.good(append(args, "--dir", other)...)
			contains(t, "stderr", stderr, other+" is not on PATH")
			i.env["PATH"] += ":" + other
			_, stderr = i.good(append(args, "--dir", other)...)
			contains(t, "stderr", stderr, "PATH has "+i.dir+"/"+program+" before "+other+"/"+program)
		})
		t.Run("GitHub Actions", func(t *testing.T) {
			i := newInstallation(t, shell, box)
			i.env["GITHUB_ACTIONS"], i.env["GITHUB_PATH"] = "true", filepath.Join(i.home, "path")
			stdout, stderr := i.good(args...)
			contains(t, "stdout", stdout, i.dir+" is on PATH in later steps of this job\n")
			if got := read(i.env["GITHUB_PATH"]); got != i.dir+"\n" || strings.Contains(stderr, "PATH") {
				t.Errorf("GITHUB_PATH has %q; it says %s", got, stderr)
			}
		})
		t.Run("relative", func(t *testing.T) {
			i := newInstallation(t, shell, box)
			script, err := filepath.Abs(i.script)
			if err != nil {
				t.Fatal(err)
			}
			i.script = script
			cmd, _, stderr := i.command(append(args, "--dir", "sub/bin")...)
			cmd.Dir = i.home
			if err := cmd.Run(); err != nil {
				t.Fatalf("%v\n%s", err, stderr)
			}
			i.dir = filepath.Join(i.home, "sub/bin")
			i.installed([]byte(scriptBinary))
			contains(t, "stderr", stderr.String(), "/sub/bin is not on PATH")
		})
		t.Run("help", func(t *testing.T) {
			stdout, _ := newInstallation(t, shell, box).good("--help")
			contains(t, "stdout", stdout, "--version VERSION", "--dir DIR", "--mirror URL", "--sudo")
		})
	})
}

// The path of the directory is checked when it is resolved, so a folder's name cannot add a line
// to GITHUB_PATH, or code to BASH_ENV, whether it comes from --dir or from the working directory.
func TestInstallDirInjection(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		s := newShelf(t, newRelease(t))
		box := toolbox(t, "curl", sums)
		script, err := filepath.Abs("../install.sh")
		if err != nil {
			t.Fatal(err)
		}
		const (
			control   = "the path of the directory contains a control character; specify another with --dir"
			separator = "the directory is .*; its path must not contain a quote or a colon; specify another with --dir"
		)
		for _, tt := range []struct{ name, cwd, dir, want string }{
			{"a quote in --dir", "", "it's/bin", separator},
			{"a quote in the working directory", "x';mkdir evil;'", "bin", separator},
			{"a quote above the working directory", "x';mkdir evil;'/y", "../bin", separator},
			{"a colon in the working directory", "x:y", "bin", separator},
			{"a newline in --dir", "", "bin\n/evil", control},
			{"a newline at the end of --dir", "", "bin\n", control},
			{"a newline in the working directory", "x\n", "bin", control},
			{"a newline at the end of the working directory, and .", "x\n", ".", control},
			{"a carriage return in --dir", "", "bin\r/evil", control},
			{"an escape sequence in the working directory", "x\x1b[2J", "bin", control},
			{"an option as --dir", "", "-p", ""},
			{"what a shell expands between double quotes", "$(mkdir evil)`mkdir evil`", "bin", ""},
		} {
			t.Run(tt.name, func(t *testing.T) {
				for _, ci := range []string{"GITHUB_PATH", "BASH_ENV", ""} {
					i := newInstallation(t, shell, box)
					i.script = script
					cwd := filepath.Join(i.home, tt.cwd)
					if err := os.MkdirAll(cwd, 0o755); err != nil {
						t.Fatal(err)
					}
					i.dir = filepath.Join(cwd, tt.dir)
					switch ci {
					case "GITHUB_PATH":
						i.env["GITHUB_ACTIONS"] = "true"
					case "BASH_ENV":
						i.env["CIRCLECI"] = "true"
					}
					file := filepath.Join(i.home, "written")
					if ci != "" {
						i.env[ci] = file
					}
					cmd, stdout, stderr := i.command("--version", released, "--mirror", s.URL, "--dir", tt.dir)
					cmd.Dir = cwd
					err := cmd.Run()
					written, _ := os.ReadFile(file)
					if tt.want != "" {
						want := regexp.MustCompile("^install.sh: " + tt.want + "\n$")
						if err == nil || !want.Match(stderr.Bytes()) || len(written) > 0 {
							t.Errorf("%v\n%s%s%s has %q\nwant %s", err, stdout, stderr, ci, written, want)
						}
						continue
					}
					if err != nil {
						t.Fatalf("%v\n%s", err, stderr)
					}
					i.installed([]byte(scriptBinary))
					code := string(written)
					if ci == "GITHUB_PATH" {
						if code != i.dir+"\n" {
							t.Errorf("GITHUB_PATH has %q, want %q", code, i.dir+"\n")
						}
						continue
					} else if ci == "" { // what a person is told to type
						_, code, _ = strings.Cut(stderr.String(), "; add it: ")
					}
					code += "\ncommand -v " + program
					run := exec.Command(shell[0], slices.Concat(shell[1:], []string{"-c", code})...)
					run.Env, run.Dir = environ(i.env), i.home
					out, err := run.CombinedOutput()
					if err != nil || string(out) != filepath.Join(i.dir, program)+"\n" {
						t.Errorf("%s: %v %s", code, err, out)
					}
					if evil, _ := filepath.Glob(filepath.Join(i.home, "evil*")); len(evil) > 0 {
						t.Errorf("%s ran what the directory is called", code)
					}
				}
			})
		}
	})
}

// A script that was cut off on its way into a shell does nothing, wherever that happened.
func TestInstallCutOff(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../install.sh")
	if err != nil {
		t.Fatal(err)
	}
	inShells(t, func(t *testing.T, shell []string) {
		s := newShelf(t, newRelease(t))
		box := toolbox(t, "curl", sums)
		i := newInstallation(t, shell, box)
		i.env["ECR_OIDC_MIRROR"], i.env["ECR_OIDC_VERSION"] = s.URL, released
		pipe := func(text []byte) error {
			cmd := exec.Command(i.shell[0], i.shell[1:]...)
			cmd.Env, cmd.Stdin = environ(i.env), bytes.NewReader(text)
			return cmd.Run()
		}
		end := bytes.LastIndex(text, []byte("{ main"))
		var cuts []int
		for at := range end { // after some of the lines of the functions, and at each byte of the last line
			if text[at] == '\n' && at%7 == 0 {
				cuts = append(cuts, at)
			}
		}
		for at := end; at < len(text)-1; at++ {
			cuts = append(cuts, at)
		}
		for _, at := range cuts {
			pipe(text[:at])
			if asked := s.requests(); len(asked) > 0 {
				t.Fatalf("cut off after %d bytes, at %q, it asked for %q", at, text[max(0, at-20):at], asked)
			}
		}
		if entries, err := os.ReadDir(i.home); err != nil || len(entries) != 1 {
			t.Errorf("cut off, it made %v, %v", entries, err)
		}
		if err := pipe(text); err != nil {
			t.Errorf("whole: %v", err)
		}
		i.installed([]byte(scriptBinary))
	})
}
