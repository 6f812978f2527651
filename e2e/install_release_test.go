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
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const released = "0.1.0"

// archiveName returns the name of the archive of a version for a system, as goreleaser names it.
func archiveName(version, system, arch string) string {
	name := program + "_" + version + "_" + system + "_" + arch
	if system == "windows" {
		return name + ".zip"
	}
	return name + ".tar.gz"
}

var hostArchive = archiveName(released, runtime.GOOS, runtime.GOARCH)

// packArchive returns an archive with a binary and other files at its root, as in a release.
func packArchive(name string, binary []byte) []byte {
	files := []struct {
		name string
		body []byte
		mode int64
	}{
		{"LICENSE", []byte("a license\n"), 0o644},
		{"README.md", []byte("a readme\n"), 0o644},
		{exe(program), binary, 0o755},
	}
	var out bytes.Buffer
	if strings.HasSuffix(name, ".zip") {
		z := zip.NewWriter(&out)
		for _, f := range files {
			w, err := z.Create(f.name)
			if err != nil {
				panic(err)
			}
			w.Write(f.body)
		}
		z.Close()
		return out.Bytes()
	}
	z, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		panic(err)
	}
	w := tar.NewWriter(z)
	for _, f := range files {
		err := w.WriteHeader(&tar.Header{
			Name:   f.name,
			Mode:   f.mode,
			Size:   int64(len(f.body)),
			Format: tar.FormatPAX,
		})
		if err != nil {
			panic(err)
		}
		w.Write(f.body)
	}
	w.Close()
	z.Close()
	return out.Bytes()
}

// A release contains the files of a release by name. Tests damage it.
type release map[string][]byte

// addChecksums adds checksums.txt for the files that are in the release now.
func (r release) addChecksums() release {
	var out bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(r)) {
		if name != "checksums.txt" && name != "checksums.txt.sigstore.json" {
			fmt.Fprintf(&out, "%x  %s\n", sha256.Sum256(r[name]), name)
		}
	}
	r["checksums.txt"] = out.Bytes()
	return r
}

// scriptBinary replaces the binary in tests that do not need the real one. It prints a version.
const scriptBinary = "#!/bin/sh\necho " + program + " " + released + " \"$@\"\n"

// newRelease returns a release for this system, whose binary is scriptBinary.
func newRelease(t *testing.T) release {
	r := release{
		hostArchive:                   packArchive(hostArchive, []byte(scriptBinary)),
		"checksums.txt.sigstore.json": []byte("{}\n"),
	}
	r[archiveName(released, "plan9", "mips")] = []byte("another system's")
	return r.addChecksums()
}

// realArchive packs the binary under test once, because packing is slow.
var realArchive = sync.OnceValues(func() (archive, binary []byte) {
	binary, err := os.ReadFile(helperPath())
	if err != nil {
		panic(err)
	}
	return slices.Clip(packArchive(hostArchive, binary)), binary
})

// realRelease returns a release with the binary under test, and that binary.
func realRelease() (release, []byte) {
	archive, binary := realArchive()
	return release{hostArchive: archive}.addChecksums(), binary
}

// mirrorServer is a server of releases at /vVERSION/FILE, which records the paths of the requests.
type mirrorServer struct {
	*httptest.Server
	mu    sync.Mutex
	paths []string
}

func newMirror(t *testing.T, r release) *mirrorServer {
	t.Helper()
	s := &mirrorServer{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		s.mu.Lock()
		s.paths = append(s.paths, req.URL.Path)
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

func (s *mirrorServer) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.paths)
}

// gitHubSite starts a server with the releases of github.com, and a proxy that connects every host to
// it. releases/latest redirects to a tag, and a download to another host. gitHubSite returns the
// environment with which a client uses the proxy and trusts the server.
func gitHubSite(t *testing.T, r release) map[string]string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "test CA"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		DNSNames: []string{
			"github.com",
			"release-assets.githubusercontent.com",
		},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
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
			http.Redirect(
				rw,
				req,
				"https://release-assets.githubusercontent.com/assets/"+path.Base(req.URL.Path),
				http.StatusFound,
			)
		default:
			http.NotFound(rw, req)
		}
	}))
	// Tests also use clients that do not trust the certificate.
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
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
	for name, text := range map[string]string{
		ca:     string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		wgetrc: "ca_certificate = " + ca + "\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return map[string]string{"https_proxy": proxy.URL, "CURL_CA_BUNDLE": ca, "WGETRC": wgetrc}
}
