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

// An entry of "auths" that an earlier "docker login" left behind. Docker up to 28.4 (push) and 28 (pull) drops our
// refusal and takes that entry instead, so that a job goes to the registry as somebody else, or with a password that
// died long ago, and the reason that people see is the registry's. "configure" removes the entry of its hosts.
// docker/cli cli/config/credentials/native_store.go: Get returns the file's entry beside the helper's error.
func TestStaleAuths(t *testing.T) {
	const old = "a-password-of-last-year"
	stale := map[string]map[string]string{host: {"auth": base64.StdEncoding.EncodeToString([]byte("AWS:" + old))}}

	eachDocker(t, func(t *testing.T, d docker) {
		e := engine(t)
		ref := host + "/app:stale-" + d.major()
		j := newJob(t, untrusted(), host)
		j = j.with("DOCKER_HOST", e).with("DOCKER_BUILDKIT", "0")
		j.ok(t, d.path, "build", "--tag", ref, buildContext(t, j, "stale"+d.major(), "scratch"))
		nothing := func(t *testing.T) {
			t.Helper()
			for _, verb := range []string{"push", "pull"} {
				view := refusedView(t, j, d, e, verb, ref)
				if view.bad != 0 || strings.Contains(view.header, "password") {
					t.Errorf("%s: the registry got %d wrong logins, the engine %q", verb, view.bad, view.header)
				}
			}
		}
		t.Run("without the entry", nothing)

		withAuths(t, j, stale)
		for _, verb := range []string{"push", "pull"} {
			t.Run(verb+" with the entry", func(t *testing.T) {
				view := refusedView(t, j, d, e, verb, ref)
				harmed := view.bad > 0 && strings.Contains(view.header, old)
				stopped := view.calls == 0 && view.header == "(not asked)"
				if drops(d, verb) && !harmed || !drops(d, verb) && !stopped {
					t.Errorf("Docker %s: the registry got %d calls and %d wrong logins, the engine %q", d.version, view.calls, view.bad, view.header)
				}
			})
		}
		t.Run("after configure", func(t *testing.T) {
			out := j.ok(t, "docker-credential-ecr-oidc", "configure", host)
			if auths(t, j)[host] != nil || !strings.Contains(out, "removed the old login") {
				t.Errorf("configure left the entry, or did not say that it removed it: %v", auths(t, j))
			}
			nothing(t)
		})
	})
}

// drops says whether this Docker drops a helper's error: for push it does not since 28.5, for pull since 29.0.
func drops(d docker, verb string) bool {
	var major, minor int
	fmt.Sscanf(d.version, "%d.%d", &major, &minor)
	return major < 28 || major == 28 && (verb == "pull" || minor < 5)
}

// registryView is what a push or a pull looked like from the other side.
type registryView struct {
	calls, bad int    // of the registry: all, and those with a login that it does not know
	header     string // X-Registry-Auth, decoded, as the engine got it; "(not asked)" if it did not
}

// refusedView runs a push or a pull that has to fail, between Docker's command line and its engine.
func refusedView(t *testing.T, j *job, d docker, engine, verb, ref string) registryView {
	t.Helper()
	seen := tapped(t, engine)
	aws.ResetCalls()
	out := j.with("DOCKER_HOST", seen.address).refused(t, d.path, verb, ref)
	v := registryView{header: seen.last()}
	for _, c := range aws.Calls() {
		if c.Service == "registry" {
			v.calls++
			t.Logf("registry: %s %s: %s login, HTTP %d", c.Op, c.Detail, cmp.Or(c.Credentials, "no"), c.Status)
			if c.Credentials == "invalid" {
				v.bad++
			}
		}
	}
	t.Logf("engine: X-Registry-Auth %s; registry: %d calls, %d with a wrong login", v.header, v.calls, v.bad)
	if !strings.Contains(out, "AccessDenied") {
		t.Error("the person does not see AWS's code")
	}
	return v
}

// tap stands before an engine and notes the login that each push and pull comes with.
type tap struct {
	address string

	mu      sync.Mutex
	headers []string
}

func tapped(t *testing.T, engine string) *tap {
	t.Helper()
	dir, err := os.MkdirTemp("/run", "")
	check(t, err)
	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	check(t, err)
	v := &tap{address: "unix://" + socket}
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

func (v *tap) last() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.headers) == 0 {
		return "(not asked)"
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

// withAuths writes entries into the "auths" of Docker's configuration, as an older Docker did on a login.
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
