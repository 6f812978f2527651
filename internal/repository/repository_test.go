package repository

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
)

const host = "123456789012.dkr.ecr.eu-west-2.amazonaws.com"

// start starts a registry. It returns a repository of that registry, and a function that returns the
// requests so far. All host names of the repository's client resolve to the registry.
func start(t *testing.T, host string, handler http.HandlerFunc) (Repository, func() []string) {
	t.Helper()
	var mu sync.Mutex
	var requests []string
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		requests = append(requests, r.Method+" "+r.Host+r.URL.RequestURI())
		mu.Unlock()
		handler(w, r)
	}))
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	client := NewClient(roots)
	transport := client.Transport.(*http.Transport)
	transport.Proxy = nil
	transport.TLSClientConfig.ServerName = "example.com" // the name in httptest's certificate
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	}
	reg, ok := registry.Parse(host)
	if !ok {
		t.Fatalf("%s is not ECR", host)
	}
	r := Repository{
		Registry: reg, Name: "team/app", Username: "AWS", Password: "the-password", Client: client,
	}
	return r, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(requests)
	}
}

func respond(w http.ResponseWriter, status int, code, message string) {
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{
		"errors": []map[string]string{{"code": code, "message": message}},
	})
}

const denied = "User: arn:aws:sts::123456789012:assumed-role/ci/x is not authorized to perform: " +
	"ecr:BatchGetImage on resource: arn:aws:ecr:eu-west-2:123456789012:repository/team/app because " +
	"no identity-based policy allows the ecr:BatchGetImage action"

func TestCheckPull(t *testing.T) {
	manifest := "GET " + host + "/v2/team/app/manifests/sha256:" + strings.Repeat("0", 64)
	tests := []struct {
		name          string
		status        int
		code, message string
		want          string // substring of the error; "" for success
		missing       bool
		action        string
	}{
		{"readable", 404, "MANIFEST_UNKNOWN", "Requested image not found", "", false, ""},
		{"missing", 404, "NAME_UNKNOWN", "The repository with name 'team/app' does not exist",
			"does not exist", true, ""},
		{"denied", 403, "DENIED", denied, "refused a pull: DENIED: User: arn:aws:sts", false, "ecr:BatchGetImage"},
		{"stale password", 403, "DENIED", "Your authorization token has expired.", "has expired", false, ""},
		{"control characters", 403, "DENIED", "a\x1b[31m\nb", "DENIED: a [31m b", false, ""},
		{"redirect", 307, "", "", "HTTP 307", false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, requests := start(t, host, func(w http.ResponseWriter, req *http.Request) {
				user, password, _ := req.BasicAuth()
				if user != "AWS" || password != "the-password" {
					t.Errorf("login %q, %q", user, password)
				}
				if tt.code == "" {
					w.Header().Set("Location", "https://elsewhere.example/")
					w.WriteHeader(tt.status)
					return
				}
				respond(w, tt.status, tt.code, tt.message)
			})
			err := r.CheckPull(t.Context())
			if tt.want == "" != (err == nil) ||
				err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			var refused *Error
			if err != nil && (!errors.As(err, &refused) || refused.Missing() != tt.missing ||
				refused.DeniedAction() != tt.action) {
				t.Errorf("error %#v", err)
			}
			if got := requests(); !slices.Equal(got, []string{manifest}) {
				t.Errorf("requests %q", got)
			}
		})
	}
}

// CheckPush sends the password only to the registry, over HTTPS.
func TestCheckPush(t *testing.T) {
	const uploads = host + "/v2/team/app/blobs/uploads/"
	tests := []struct {
		name, location string
		status         int
		want           []string
		wantErr        string
	}{
		{"allowed", "/v2/team/app/blobs/uploads/1?_state=x", 202,
			[]string{"POST " + uploads, "DELETE " + uploads + "1?_state=x"}, ""},
		{"absolute location", "https://" + uploads + "1", 202,
			[]string{"POST " + uploads, "DELETE " + uploads + "1"}, ""},
		{"another host gets no password", "https://elsewhere.example/1", 202, []string{"POST " + uploads}, ""},
		{"plain http gets no password", "http://" + uploads + "1", 202, []string{"POST " + uploads}, ""},
		{"no location", "", 202, []string{"POST " + uploads}, ""},
		{"denied", "", 403, []string{"POST " + uploads}, "refused a push: DENIED"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, requests := start(t, host, func(w http.ResponseWriter, req *http.Request) {
				switch {
				case req.Method == http.MethodDelete:
					respond(w, 405, "UNSUPPORTED", "ignored")
				case tt.status == 202:
					w.Header().Set("Location", tt.location)
					w.WriteHeader(202)
				default:
					respond(w, tt.status, "DENIED", denied)
				}
			})
			err := r.CheckPush(t.Context())
			if tt.wantErr == "" != (err == nil) ||
				err != nil && !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("error %v, want %q", err, tt.wantErr)
			}
			if got := requests(); !slices.Equal(got, tt.want) {
				t.Errorf("requests %q, want %q", got, tt.want)
			}
		})
	}
}

// public.ecr.aws exchanges the password for a token with a scope.
func TestPublic(t *testing.T) {
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("AWS:the-password"))
	r, requests := start(t, "public.ecr.aws", func(w http.ResponseWriter, req *http.Request) {
		authorization := req.Header.Get("Authorization")
		switch {
		case req.URL.Path == "/token/" && authorization == basic:
			fmt.Fprint(w, `{"token":"abc"}`)
		case req.URL.Path != "/token/" && authorization == "Bearer abc" && req.Method == http.MethodGet:
			respond(w, 404, "MANIFEST_UNKNOWN", "")
		case req.Method == http.MethodPost && authorization == "Bearer abc":
			w.WriteHeader(202)
		default:
			respond(w, 403, "DENIED", "unexpected "+req.Method)
		}
	})
	if err := r.CheckPull(t.Context()); err != nil {
		t.Error(err)
	}
	if err := r.CheckPush(t.Context()); err != nil {
		t.Error(err)
	}
	const scope = "GET public.ecr.aws/token/?scope=repository%3Ateam%2Fapp%3A"
	got := requests()
	if len(got) != 4 || got[0] != scope+"pull&service=public.ecr.aws" ||
		got[2] != scope+"pull%2Cpush&service=public.ecr.aws" {
		t.Errorf("requests %q", got)
	}
}

func TestStatement(t *testing.T) {
	reg, _ := registry.Parse(host)
	public, _ := registry.Parse("public.ecr.aws")
	for _, tt := range []struct {
		err  Error
		want string
	}{
		{Error{Registry: reg, Repository: "team/app", Access: "pull"},
			`{"Effect":"Allow","Action":["ecr:BatchCheckLayerAvailability","ecr:BatchGetImage",` +
				`"ecr:GetDownloadUrlForLayer"],` +
				`"Resource":"arn:aws:ecr:eu-west-2:123456789012:repository/team/app"}`},
		{Error{Registry: reg, Repository: "app", Access: "push"},
			`{"Effect":"Allow","Action":["ecr:BatchCheckLayerAvailability","ecr:BatchGetImage",` +
				`"ecr:GetDownloadUrlForLayer","ecr:CompleteLayerUpload","ecr:InitiateLayerUpload",` +
				`"ecr:PutImage","ecr:UploadLayerPart"],` +
				`"Resource":"arn:aws:ecr:eu-west-2:123456789012:repository/app"}`},
		{Error{Registry: public, Repository: "acme/app", Access: "push"},
			`{"Effect":"Allow","Action":["ecr-public:BatchCheckLayerAvailability",` +
				`"ecr-public:CompleteLayerUpload","ecr-public:InitiateLayerUpload",` +
				`"ecr-public:PutImage","ecr-public:UploadLayerPart"],` +
				`"Resource":"arn:aws:ecr-public::*:repository/app"}`},
	} {
		if got := tt.err.Statement(); got != tt.want {
			t.Errorf("statement\n%s\nwant\n%s", got, tt.want)
		}
	}
}

// If the registry cannot be reached, the error contains neither the password nor a URL.
func TestNotReached(t *testing.T) {
	r, _ := start(t, host, func(http.ResponseWriter, *http.Request) {})
	transport := r.Client.Transport.(*http.Transport)
	transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	err := r.CheckPull(t.Context())
	if err == nil || !strings.Contains(err.Error(), "no such host") ||
		strings.Contains(err.Error(), "password") || strings.Contains(err.Error(), "https://") {
		t.Errorf("error %v", err)
	}
}
