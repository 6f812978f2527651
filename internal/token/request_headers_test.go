package token

import (
	"net/http"
	"net/url"
	"testing"
)

// TestRequestHeaders checks the headers of a request for a token, with and without a body.
func TestRequestHeaders(t *testing.T) {
	u := &url.URL{Scheme: "https", Host: "ci.example", Path: "/token"}
	for _, body := range []string{"", "{}"} {
		var content []byte
		want := map[string]string{
			"Authorization": "Bearer x", "Accept": "application/json",
			"User-Agent": "docker-credential-ecr-oidc",
		}
		if body != "" {
			content, want["Content-Type"] = []byte(body), "application/json"
		}
		req, err := newRequest(t.Context(), http.MethodPost, u, "Bearer x", content)
		if err != nil {
			t.Fatal(err)
		}
		if len(req.Header) != len(want) {
			t.Errorf("body %q: %v", body, req.Header)
		}
		for name, value := range want {
			if got := req.Header.Get(name); got != value {
				t.Errorf("body %q: %s: %q, want %q", body, name, got, value)
			}
		}
	}
}
