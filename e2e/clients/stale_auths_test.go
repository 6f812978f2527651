//go:build clients

package clients

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestStaleAuths checks an "auths" entry of an earlier "docker login". Docker up to 28.4 (push) and
// 28 (pull) ignores the helper's error and uses that entry, so a job accesses the registry with
// another identity or an expired password, and reports the registry's error. "configure" removes
// such entries of its registries.
//
// In docker/cli, cli/config/credentials/native_store.go, Get returns the file's entry together with
// the helper's error.
func TestStaleAuths(t *testing.T) {
	const old = "a-password-of-last-year"
	auth := base64.StdEncoding.EncodeToString([]byte("AWS:" + old))
	stale := map[string]map[string]string{host: {"auth": auth}}

	eachDocker(t, func(t *testing.T, d docker) {
		e := engine(t)
		ref := host + "/app:stale-" + d.major()
		j := newJob(t, untrustedJob(), host)
		j = j.withEnv("DOCKER_HOST", e).withEnv("DOCKER_BUILDKIT", "0")
		j.run(t, d.path, "build", "--tag", ref, buildContext(t, j, "stale"+d.major(), "scratch"))
		checkNotUsed := func(t *testing.T) {
			t.Helper()
			for _, command := range []string{"push", "pull"} {
				failure := observeFailure(t, j, d, e, command, ref)
				if failure.invalid != 0 || strings.Contains(failure.header, "password") {
					t.Errorf("%s: the registry received %d invalid logins, the engine %q", command,
						failure.invalid, failure.header)
				}
			}
		}
		t.Run("without the entry", checkNotUsed)

		withAuths(t, j, stale)
		for _, command := range []string{"push", "pull"} {
			t.Run(command+" with the entry", func(t *testing.T) {
				failure := observeFailure(t, j, d, e, command, ref)
				used := failure.invalid > 0 && strings.Contains(failure.header, old)
				ignored := failure.calls == 0 && failure.header == "(not called)"
				if dropsHelperError(d, command) && !used || !dropsHelperError(d, command) && !ignored {
					t.Errorf("Docker %s: the registry received %d calls and %d invalid logins, the engine %q",
						d.version, failure.calls, failure.invalid, failure.header)
				}
			})
		}
		t.Run("after configure", func(t *testing.T) {
			out := j.run(t, "docker-credential-ecr-oidc", "configure", host)
			if auths(t, j)[host] != nil || !strings.Contains(out, "removed the old login") {
				t.Errorf("configure did not remove the entry, or did not report it: %v", auths(t, j))
			}
			checkNotUsed(t)
		})
	})
}

// dropsHelperError reports whether a version of Docker ignores the helper's error: for push before
// 28.5, for pull before 29.0.
func dropsHelperError(d docker, command string) bool {
	var major, minor int
	fmt.Sscanf(d.version, "%d.%d", &major, &minor)
	return major < 28 || major == 28 && (command == "pull" || minor < 5)
}

// failureView describes a failed push or pull as the registry and the engine see it.
type failureView struct {
	calls, invalid int    // calls to the registry, and those with an invalid login
	header         string // decoded X-Registry-Auth header; "(not called)" if the engine was not called
}

// observeFailure runs a push or a pull that has to fail. It records the requests of Docker's
// CLI to its engine.
func observeFailure(t *testing.T, j *job, d docker, engine, command, ref string) failureView {
	t.Helper()
	recorder := recordAuth(t, engine)
	aws.ResetCalls()
	out := j.withEnv("DOCKER_HOST", recorder.address).runFails(t, d.path, command, ref)
	v := failureView{header: recorder.last()}
	for _, c := range aws.Calls() {
		if c.Service == "registry" {
			v.calls++
			t.Logf("registry: %s %s: %s credentials, HTTP %d", c.Op, c.Detail,
				cmp.Or(c.Credentials, "no"), c.Status)
			if c.Credentials == "invalid" {
				v.invalid++
			}
		}
	}
	t.Logf("engine: X-Registry-Auth %s; registry: %d calls, %d with an invalid login", v.header, v.calls,
		v.invalid)
	if !strings.Contains(out, "AccessDenied") {
		t.Error("the output does not contain AWS's error code")
	}
	return v
}

// authRecorder is a proxy of a Docker engine that records the X-Registry-Auth header of each push
// and pull.
type authRecorder struct {
	address string

	mu      sync.Mutex
	headers []string
}

// recordAuth starts a proxy of a Docker engine until the test ends.
func recordAuth(t *testing.T, engine string) *authRecorder {
	t.Helper()
	dir, err := os.MkdirTemp("/run", "")
	check(t, err)
	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	check(t, err)
	v := &authRecorder{address: "unix://" + socket}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "engine" },
		Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			return net.Dial("unix", strings.TrimPrefix(engine, "unix://"))
		}},
		FlushInterval: -1,
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && strings.Contains(r.URL.Path, "/images/") {
			v.mu.Lock()
			v.headers = append(v.headers, decodeAuth(r.Header.Get("X-Registry-Auth")))
			v.mu.Unlock()
		}
		proxy.ServeHTTP(w, r)
	})}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return v
}

// last returns the last header, decoded, or "(not called)".
func (v *authRecorder) last() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.headers) == 0 {
		return "(not called)"
	}
	return v.headers[len(v.headers)-1]
}

func decodeAuth(header string) string {
	if header == "" {
		return "(empty)"
	}
	b, err := base64.URLEncoding.DecodeString(header)
	if err != nil {
		return fmt.Sprintf("(%v)", err)
	}
	return string(b)
}

// withAuths writes entries to "auths" of Docker's configuration, as older versions of Docker did on
// a login.
func withAuths(t *testing.T, j *job, entries map[string]map[string]string) {
	t.Helper()
	b, err := os.ReadFile(j.dockerConfig())
	check(t, err)
	var file map[string]any
	check(t, json.Unmarshal(b, &file))
	file["auths"] = entries
	check(t, os.WriteFile(j.dockerConfig(), marshal(t, file), 0o600))
}

func auths(t *testing.T, j *job) map[string]any {
	t.Helper()
	b, err := os.ReadFile(j.dockerConfig())
	check(t, err)
	var file struct{ Auths map[string]any }
	check(t, json.Unmarshal(b, &file))
	return file.Auths
}
