package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// TestInstallErrors checks that an error is one line, and that nothing is installed.
func TestInstallErrors(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		tools := newToolDir(t, "curl", checksumTool)
		good := newRelease(t)[hostArchive]
		sum := fmt.Sprintf("%x", sha256.Sum256(good))
		const overHTTP = "the mirror must begin with https://: " +
			"with http, an attacker in the network can replace the archive and its checksum"
		tests := []struct {
			name   string
			change func(release)
			want   string
			args   []string
		}{
			{
				name:   "wrong checksum",
				change: func(r release) { r[hostArchive] = append(slices.Clone(good), 0) },
				want: fmt.Sprintf(
					"checksum mismatch: http://.*/v0.1.0/%s has %x, checksums.txt lists %s; "+
						"nothing was installed",
					regexp.QuoteMeta(hostArchive),
					sha256.Sum256(append(slices.Clone(good), 0)),
					sum,
				),
			},
			{
				name:   "no checksums",
				change: func(r release) { delete(r, "checksums.txt") },
				want: "downloading http://.*/v0.1.0/checksums.txt: not found; " +
					"check that version 0.1.0 exists",
			},
			{
				name:   "no archive",
				change: func(r release) { delete(r, hostArchive) },
				want:   "downloading http://.*" + regexp.QuoteMeta(hostArchive) + ": not found",
			},
			{
				name: "archive not in checksums.txt",
				change: func(r release) {
					delete(r, hostArchive)
					r.addChecksums()
				},
				want: "version 0.1.0 has no build for " + runtime.GOOS + "/" + runtime.GOARCH +
					": checksums.txt does not list .*",
			},
			{
				name: "archive listed with a longer name",
				change: func(r release) {
					r["x"+hostArchive] = good
					delete(r, hostArchive)
					r.addChecksums()
				},
				want: "version 0.1.0 has no build for .*",
			},
			{
				name: "truncated archive with a matching checksum",
				change: func(r release) {
					r[hostArchive] = good[:len(good)/2]
					r.addChecksums()
				},
				want: "unpacking " + regexp.QuoteMeta(hostArchive) + ": .*; nothing was installed",
			},
			{
				name: "archive without the binary",
				change: func(r release) {
					r[hostArchive] = emptyArchive(t)
					r.addChecksums()
				},
				want: "unpacking .*; nothing was installed",
			},
			{
				name: "binary that does not run",
				change: func(r release) {
					script := "#!/bin/sh\necho wrong libc >&2\nexit 1\n"
					r[hostArchive] = packArchive(hostArchive, []byte(script))
					r.addChecksums()
				},
				want: "the downloaded binary does not run: wrong libc; nothing was installed",
			},
			{
				name: "invalid version",
				args: []string{"--version", "one"},
				want: "one is not a version; use a version such as 0.1.0",
			},
			{
				name: "path as version",
				args: []string{"--version", "0.1.0/../../x"},
				want: "0.1.0/../../x is not a version; use a version such as 0.1.0",
			},
			{
				name: "latest version of a mirror",
				args: []string{"--version", "latest"},
				want: "a mirror has no latest version; specify one with --version or ECR_OIDC_VERSION",
			},
			{name: "mirror over http", args: []string{"--mirror", "http://mirror.example"}, want: overHTTP},
			{
				name: "mirror over http with loopback as login",
				args: []string{"--mirror", "http://127.0.0.1@mirror.example/"},
				want: overHTTP,
			},
			{
				name: "mirror over http with loopback as prefix",
				args: []string{"--mirror", "http://127.0.0.1.mirror.example:80/"},
				want: overHTTP,
			},
			{
				name: "mirror over http with loopback after #",
				args: []string{"--mirror", "http://mirror.example#@127.0.0.1/"},
				want: overHTTP,
			},
			{
				name: "mirror over http with an IPv6 address",
				args: []string{"--mirror", "http://[::2]:80/"},
				want: overHTTP,
			},
			{
				name: "mirror without a scheme",
				args: []string{"--mirror", "mirror.example"},
				want: "the mirror must begin with https://",
			},
			{
				name: "mirror with a line break",
				args: []string{"--mirror", "https://mirror.example/\nurl = file:///etc/passwd"},
				want: "the mirror's URL contains an invalid character",
			},
			{
				name: "mirror with a quote",
				args: []string{"--mirror", `https://mirror.example/"`},
				want: "the mirror's URL contains an invalid character",
			},
			{
				name: "unknown flag",
				args: []string{"--verbose"},
				want: "unknown flag --verbose; --help lists them",
			},
			{
				name: "unknown flag with a value",
				args: []string{"--colour=never"},
				want: "unknown flag --colour; --help lists them",
			},
			{name: "flag without a value", args: []string{"--dir"}, want: "--dir needs a value"},
			{
				name: "unexpected argument",
				args: []string{"0.1.0"},
				want: "unknown argument 0.1.0; --help lists the flags",
			},
			{
				name: "directory that is not expanded",
				args: []string{"--dir", "$HOME/bin"},
				want: `the directory begins with \$ or ~, which is not expanded; use an absolute path`,
			},
			{
				name: "directory with a colon",
				args: []string{"--dir", "/tmp/a:b"},
				want: "the directory is /tmp/a:b; its path must not contain a quote or a colon; " +
					"specify another with --dir",
			},
			{
				name: "file instead of a directory",
				args: []string{"--dir", "/dev/null/bin"},
				want: "cannot create the directory /dev/null/bin; specify another with --dir, or use --sudo",
			},
			{name: "sudo without sudo", args: []string{"--sudo"}, want: "--sudo: sudo is not on PATH"},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				r := newRelease(t)
				if tt.change != nil {
					tt.change(r)
				}
				i := newInstallation(t, shell, tools)
				i.mustFail(
					"(?:"+tt.want+")",
					append([]string{"--version", released, "--mirror", newMirror(t, r).URL}, tt.args...)...,
				)
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
			newInstallation(t, shell, tools).mustFail(
				"downloading http://.*gz: curl: .*",
				"--version", released, "--mirror", server.URL,
			)
		})
		t.Run("led away from https", func(t *testing.T) {
			elsewhere := newMirror(t, newRelease(t))
			server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
				http.Redirect(rw, req, elsewhere.URL+req.URL.Path, http.StatusFound)
			}))
			t.Cleanup(server.Close)
			newInstallation(t, shell, tools).mustFail(
				"downloading http://.*/checksums.txt: curl: .*rotocol.*",
				"--version", released, "--mirror", server.URL,
			)
			newInstallation(t, shell, newToolDir(t, "wget", checksumTool)).mustFail(
				"downloading from http://.*: it redirects to http; nothing was installed",
				"--version", released, "--mirror", server.URL,
			)
		})
		t.Run("no proxy for loopback", func(t *testing.T) {
			proxy := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
				t.Errorf("the proxy received a request for %s", req.URL)
			}))
			t.Cleanup(proxy.Close)
			s := newMirror(t, newRelease(t))
			for _, downloader := range []string{"curl", "wget"} {
				i := newInstallation(t, shell, newToolDir(t, downloader, checksumTool))
				i.env["http_proxy"], i.env["ALL_PROXY"] = proxy.URL, proxy.URL
				i.mustInstall("--version", released, "--mirror", s.URL)
				localhost := strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
				i.mustInstall("--version", released, "--mirror", localhost)
			}
		})
		t.Run("a system without releases", func(t *testing.T) {
			const fromSource = "; to build it from source: go install .*"
			for uname, want := range map[string]string{
				"SunOS i86pc":                  "there is no release for SunOS" + fromSource,
				"Linux riscv64":                "there is no release for riscv64" + fromSource,
				"MINGW64_NT-10.0-20348 x86_64": "on Windows, use install.ps1",
			} {
				tools := newToolDir(t, "curl", checksumTool)
				system, machine, _ := strings.Cut(uname, " ")
				stub(t, tools, "uname", "case $1 in -s) echo "+system+" ;; -m) echo "+machine+" ;; esac")
				newInstallation(t, shell, tools).mustFail(want, "--version", released)
			}
		})
	})
}

// emptyArchive returns an archive without the binary.
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
