package token

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// bearer is the secret in requests to a CI's token endpoint. No output may contain it.
const bearer = "request-token-of-this-job"

// cannedResponse is the response of the token endpoint to one request. The last one is repeated.
type cannedResponse struct {
	status     int
	body       string
	location   string
	retryAfter string // Retry-After
	truncateAt int    // if not 0, close the connection after this many bytes of body
}

// tokenResponse returns GitHub's response with a token.
func tokenResponse(value string) cannedResponse {
	return cannedResponse{status: 200, body: `{"count":1,"value":"` + value + `"}`}
}

// tokenEndpoint is a token endpoint that records the requests that it receives.
type tokenEndpoint struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request
	bodies   []string // of the requests
}

// serve starts a token endpoint with these responses.
func serve(t *testing.T, responses ...cannedResponse) *tokenEndpoint {
	t.Helper()
	e := &tokenEndpoint{}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		e.mu.Lock()
		e.requests, e.bodies = append(e.requests, r), append(e.bodies, string(body))
		response := responses[min(len(e.requests), len(responses))-1]
		e.mu.Unlock()
		if response.location != "" {
			w.Header().Set("Location", response.location)
		}
		if response.retryAfter != "" {
			w.Header().Set("Retry-After", response.retryAfter)
		}
		if response.truncateAt > 0 {
			w.Header().Set("Content-Length", fmt.Sprint(len(response.body)))
			response.body = response.body[:response.truncateAt]
		}
		w.WriteHeader(response.status)
		io.WriteString(w, response.body)
	}))
	t.Cleanup(e.Close)
	return e
}

// githubJob returns the identity of a GitHub job whose token endpoint is url.
func githubJob(t *testing.T, url string) Identity {
	t.Helper()
	s, err := identify(t, true, Settings{}, "GITHUB_ACTIONS=true", "ACTIONS_ID_TOKEN_REQUEST_URL="+url,
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN="+bearer)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const requestPath = "/222//idtoken/plan-of-the-job/run-of-the-job?api-version=2.0"

// skipPauses runs test in a synctest bubble, whose clock jumps over the pauses between two attempts.
// Servers stay outside the bubble, and a client may keep no connection: time passes only while all
// goroutines of the bubble wait, and not for the network.
func skipPauses(t *testing.T, test func(t *testing.T, client *http.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		client := NewClient(nil)
		client.Transport.(*http.Transport).DisableKeepAlives = true
		test(t, client)
	})
}

func TestGitHubRequest(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ audience, want string }{
		{"", "sts.amazonaws.com"},
		{"sts.amazonaws.com", "sts.amazonaws.com"},
		{"https://a b/?c&d=e#f", "https://a b/?c&d=e#f"},
	} {
		raw := jwtFor(tt.want, time.Hour)
		e := serve(t, tokenResponse(" "+raw+`\n`))
		got, err := githubJob(t, e.URL+requestPath).Token(t.Context(), NewClient(nil), tt.audience)
		if err != nil || got.Raw != raw {
			t.Fatalf("audience %q: %v, %v", tt.audience, got, err)
		}
		r := e.requests[0]
		if len(e.requests) != 1 || r.Method != http.MethodGet ||
			r.URL.Path != "/222//idtoken/plan-of-the-job/run-of-the-job" {
			t.Errorf("%d requests, %s %s", len(e.requests), r.Method, r.RequestURI)
		}
		if q := r.URL.Query(); len(q) != 2 || q.Get("api-version") != "2.0" ||
			len(q["audience"]) != 1 || q.Get("audience") != tt.want {
			t.Errorf("audience %q: requested the query %q", tt.audience, r.URL.RawQuery)
		}
		if got := r.Header["Authorization"]; len(got) != 1 || got[0] != "Bearer "+bearer {
			t.Errorf("Authorization: %q", got)
		}
	}
}

// TestGitHubQuery checks a URL without a query, as Forgejo's may be, and one that has an audience,
// which is replaced.
func TestGitHubQuery(t *testing.T) {
	t.Parallel()
	for _, query := range []string{"", "?audience=other"} {
		e := serve(t, tokenResponse(jwtFor("sts.amazonaws.com", time.Hour)))
		_, err := githubJob(t, e.URL+"/x"+query).Token(t.Context(), NewClient(nil), "")
		if err != nil {
			t.Fatal(err)
		}
		if got := e.requests[0].URL.RawQuery; got != "audience=sts.amazonaws.com" {
			t.Errorf("with %q it requested %q", query, got)
		}
	}
}

// TestGitHubRetries checks that temporary errors are retried, and that the last one is reported.
func TestGitHubRetries(t *testing.T) {
	t.Parallel()
	good := tokenResponse(jwtFor("sts.amazonaws.com", time.Hour))
	for _, tt := range []struct {
		name      string
		temporary cannedResponse
	}{
		{"500", cannedResponse{status: 500, body: "secret body"}},
		{"502", cannedResponse{status: 502}},
		{"503", cannedResponse{status: 503, body: "<html>"}},
		{"429", cannedResponse{status: 429, body: "slow down"}},
		{"403 for a pending job",
			cannedResponse{status: 403,
				body: `{"message":"Can't issue ID_TOKEN for job in 'Pending' state"}`}},
		{"403 for a job that is not in progress",
			cannedResponse{status: 403,
				body: "Server won't issue ID_TOKEN for non-inprogress job"}},
		{"truncated body", cannedResponse{status: 200, body: good.body, truncateAt: 20}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := serve(t, tt.temporary, good)
			skipPauses(t, func(t *testing.T, client *http.Client) {
				_, err := githubJob(t, e.URL+requestPath).Token(t.Context(), client, "")
				if err != nil || len(e.requests) != 2 {
					t.Errorf("%d requests, %v", len(e.requests), err)
				}
			})
		})
	}
	t.Run("every attempt fails", func(t *testing.T) {
		t.Parallel()
		e := serve(t, cannedResponse{status: 503, body: "secret body"})
		skipPauses(t, func(t *testing.T, client *http.Client) {
			start := time.Now()
			_, err := githubJob(t, e.URL+requestPath).Token(t.Context(), client, "")
			const want = "requesting the job's OIDC token from GitHub (5 attempts): " +
				"HTTP 503 Service Unavailable"
			if err == nil || err.Error() != want || len(e.requests) != 5 {
				t.Errorf("%d requests, %v, want %s", len(e.requests), err, want)
			}
			// Each pause is random, between 50% and 100% of 250 ms, 500 ms, 1 s and 2 s.
			if took := time.Since(start); took < 1875*time.Millisecond || took > 3750*time.Millisecond {
				t.Errorf("the pauses are %v together", took)
			}
		})
	})
}

// TestGitHubRetryAfter checks that a delay in Retry-After is kept. When ctx ends before, the error
// is returned without waiting. An invalid delay is ignored.
func TestGitHubRetryAfter(t *testing.T) {
	t.Parallel()
	good := tokenResponse(jwtFor("sts.amazonaws.com", time.Hour))
	const throttled = "requesting the job's OIDC token from GitHub (1 attempt): HTTP 429 Too Many Requests"
	for _, tt := range []struct {
		after    string
		min, max time.Duration
		want     string // "" for a token
	}{
		{"1", time.Second, time.Second, ""},
		{"0", 125 * time.Millisecond, 250 * time.Millisecond, ""},
		{"6", 0, 0, throttled + ": retry after 6s"},
		{"86400", 0, 0, throttled + ": retry after 24h0m0s"},
		{"99999999999999999999", 125 * time.Millisecond, 250 * time.Millisecond, ""},
		{"-60", 125 * time.Millisecond, 250 * time.Millisecond, ""},
		{"Fri, 31 Dec 2099 23:59:59 GMT", 125 * time.Millisecond, 250 * time.Millisecond, ""},
	} {
		t.Run(tt.after, func(t *testing.T) {
			t.Parallel()
			e := serve(t, cannedResponse{status: 429, retryAfter: tt.after}, good)
			skipPauses(t, func(t *testing.T, client *http.Client) {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				start := time.Now()
				_, err := githubJob(t, e.URL+requestPath).Token(ctx, client, "")
				took := time.Since(start)
				if tt.want == "" && (err != nil || len(e.requests) != 2) ||
					tt.want != "" && (err == nil || err.Error() != tt.want || len(e.requests) != 1) {
					t.Errorf("%d requests, %v, want %s", len(e.requests), err, tt.want)
				}
				if took < tt.min || took > tt.max {
					t.Errorf("it took %v, want %v to %v", took, tt.min, tt.max)
				}
			})
		})
	}
}

// TestGitHubRefusals checks that a permanent error is not retried, and that it does not contain the
// response, the URL or the bearer token.
func TestGitHubRefusals(t *testing.T) {
	t.Parallel()
	elsewhere := serve(t, tokenResponse(jwtFor("sts.amazonaws.com", time.Hour)))
	const secret = "eyJhbGciOiJSUzI1NiJ9.c2VjcmV0LWJvZHk"
	tests := []struct {
		name     string
		response cannedResponse
		want     string
	}{
		{"400", cannedResponse{status: 400, body: secret}, "HTTP 400 Bad Request"},
		{"401", cannedResponse{status: 401, body: secret}, "HTTP 401 Unauthorized"},
		{"403", cannedResponse{status: 403, body: secret}, "HTTP 403 Forbidden"},
		{"404", cannedResponse{status: 404, body: secret}, "HTTP 404 Not Found"},
		{"unknown status", cannedResponse{status: 499, body: secret}, "HTTP 499"},
		{"204", cannedResponse{status: 204}, "HTTP 204 No Content"},
		{"201", cannedResponse{status: 201, body: `{"value":"` + secret + `"}`},
			"HTTP 201 Created"},
		{"a redirect",
			cannedResponse{status: 302, body: secret, location: elsewhere.URL + "/" + secret},
			"HTTP 302 Found: redirects are not followed"},
		{"a redirect that preserves the method",
			cannedResponse{status: 307, location: elsewhere.URL},
			"HTTP 307 Temporary Redirect: redirects are not followed"},
		{"HTML", cannedResponse{status: 200, body: "<html>" + secret + "</html>"},
			"the response is not JSON (is there a proxy in between?)"},
		{"empty", cannedResponse{status: 200}, "the response is not JSON"},
		{"a list", cannedResponse{status: 200, body: `["` + secret + `"]`},
			"the response is not JSON"},
		{"null", cannedResponse{status: 200, body: `null`}, `the response has no field "value"`},
		{"no field", cannedResponse{status: 200, body: `{"token":"` + secret + `"}`},
			`the response has no field "value"`},
		{"an empty field", cannedResponse{status: 200, body: `{"value":" "}`},
			`the response has no field "value"`},
		{"a null field", cannedResponse{status: 200, body: `{"value":null}`},
			`the response has no field "value"`},
		{"a number in the field", cannedResponse{status: 200, body: `{"value":7}`},
			`the response has no field "value"`},
		{"2 MiB",
			cannedResponse{status: 200, body: `{"value":"` + strings.Repeat("x", 2<<20) + secret + `"}`},
			"the response is longer than 65536 bytes"},
		{"JSON and more", cannedResponse{status: 200, body: `{"value":"` + secret + `"}{}`},
			"the response is not JSON"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := serve(t, tt.response)
			_, err := githubJob(t, e.URL+requestPath).Token(t.Context(), NewClient(nil), "")
			want := "requesting the job's OIDC token from GitHub (1 attempt): " + tt.want
			if err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Fatalf("%v, want %s", err, tt.want)
			}
			checkRedacted(t, err, secret, elsewhere.URL)
			if len(e.requests) != 1 {
				t.Errorf("%d requests", len(e.requests))
			}
		})
	}
	t.Cleanup(func() { // runs after the parallel subtests
		if len(elsewhere.requests) != 0 {
			t.Errorf("a redirect was followed with Authorization %q",
				elsewhere.requests[0].Header["Authorization"])
		}
	})
}

// checkRedacted fails if an error contains the bearer token, a part of the URL, or any of more.
func checkRedacted(t *testing.T, err error, more ...string) {
	t.Helper()
	for _, secret := range append(more, bearer, "plan-of-the-job", "run-of-the-job", "api-version") {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error contains %q: %v", secret, err)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("the error has more than one line: %q", err)
	}
}

func TestGitHubNoResponse(t *testing.T) {
	t.Parallel()
	t.Run("connection refused", func(t *testing.T) {
		t.Parallel()
		const closed = "http://127.0.0.1:1" // no test can be given this port
		skipPauses(t, func(t *testing.T, client *http.Client) {
			_, err := githubJob(t, closed+requestPath).Token(t.Context(), client, "")
			if err == nil || !strings.Contains(err.Error(), "(5 attempts): dial tcp") {
				t.Fatal(err)
			}
			checkRedacted(t, err)
		})
	})
	t.Run("connection closed", func(t *testing.T) {
		t.Parallel()
		good := jwtFor("sts.amazonaws.com", time.Hour)
		first := true
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !first {
				json.NewEncoder(w).Encode(map[string]string{"value": good})
				return
			}
			first = false
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				conn.Close()
			}
		}))
		t.Cleanup(s.Close)
		got, err := githubJob(t, s.URL+requestPath).Token(t.Context(), NewClient(nil), "")
		if err != nil || got.Raw != good {
			t.Errorf("%v, %v", got, err)
		}
	})
	t.Run("ctx ends during a request", func(t *testing.T) {
		t.Parallel()
		over := make(chan struct{})
		s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			<-over
		}))
		t.Cleanup(s.Close)
		t.Cleanup(func() { close(over) })
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		start := time.Now()
		_, err := githubJob(t, s.URL+requestPath).Token(ctx, NewClient(nil), "")
		if err == nil || !strings.Contains(err.Error(), "no response in time") ||
			time.Since(start) > 5*time.Second {
			t.Fatalf("%v after %v", err, time.Since(start))
		}
		checkRedacted(t, err)
	})
	t.Run("ctx ends between two attempts", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		e := serve(t, cannedResponse{status: 503})
		e.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(503)
			w.(http.Flusher).Flush()
			time.AfterFunc(20*time.Millisecond, cancel)
		})
		start := time.Now()
		if _, err := githubJob(t, e.URL+requestPath).Token(ctx, NewClient(nil), ""); err == nil ||
			time.Since(start) > 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// TestGitHubURL checks that the bearer token is sent only over https or to this machine.
func TestGitHubURL(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ url, want string }{
		{"http://pipelines.actions.githubusercontent.com/x", "it must be an https URL"},
		{"http://127.0.0.1.evil.com/x", "it must be an https URL"},
		{"http://localhost.evil.com/x", "it must be an https URL"},
		{"http://localhost@evil.com/x", "it must be an https URL"},
		{"http://10.0.0.1/x", "it must be an https URL"},
		{"ftp://127.0.0.1/x", "it must be an https URL"},
		{"file:///etc/passwd", "it is not a URL"},
		{"pipelines.actions.githubusercontent.com/x", "it is not a URL"},
		{"https://", "it is not a URL"},
		{"https://[::1/x", "it is not a URL"},
		{"http://127.0.0.1/%zz", "it is not a URL"},
	} {
		// a nil client cannot send a request
		_, err := githubJob(t, tt.url).Token(t.Context(), nil, "")
		if err == nil ||
			!strings.Contains(err.Error(), "reading ACTIONS_ID_TOKEN_REQUEST_URL: "+tt.want) ||
			strings.Contains(err.Error(), tt.url) {
			t.Errorf("%s: %v, want %s", tt.url, err, tt.want)
		}
	}
	for _, url := range []string{"https://pipelines.actions.githubusercontent.com/x",
		"http://127.0.0.1:1/x", "http://127.8.8.8/x", "http://[::1]:1/x", "http://localhost:1/x"} {
		if _, err := ParseEndpoint(url); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// TestGitHubAudience checks that a token with the wrong audience is rejected.
func TestGitHubAudience(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		got      any
		audience string
		ok       bool
	}{
		{"sts.amazonaws.com", "", true},
		{[]string{"x", "sts.amazonaws.com"}, "", true},
		{"https://github.com/acme", "", false},
		{[]string{}, "", false},
		{"sts.amazonaws.com", "other", false},
		{"sts.amazonaws.com.evil.com", "", false},
	} {
		e := serve(t, tokenResponse(jwtFor(tt.got, time.Hour)))
		_, err := githubJob(t, e.URL+requestPath).Token(t.Context(), NewClient(nil), tt.audience)
		var wrong *AudienceError
		if tt.ok && err != nil ||
			!tt.ok && (!errors.As(err, &wrong) || !strings.Contains(wrong.TokenName, "GitHub")) {
			t.Errorf("requested audience %q, got %v: %v", tt.audience, tt.got, err)
		}
	}
}

func TestGitHubRenew(t *testing.T) {
	t.Parallel()
	first, second := jwtFor("sts.amazonaws.com", time.Hour), jwtFor("sts.amazonaws.com", 2*time.Hour)
	e := serve(t, tokenResponse(first), tokenResponse(second))
	s := githubJob(t, e.URL+requestPath)
	if got, err := s.Token(t.Context(), NewClient(nil), ""); err != nil || got.Raw != first {
		t.Fatalf("Token = %v, %v", got, err)
	}
	if got, err := s.Renew(t.Context(), NewClient(nil), ""); err != nil || got.Raw != second {
		t.Errorf("Renew = %v, %v", got, err)
	}
}

// TestNewClientRoots checks that the client sends the bearer token only to an endpoint whose
// certificate it trusts.
func TestNewClientRoots(t *testing.T) {
	t.Parallel()
	requests := 0
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		json.NewEncoder(w).Encode(map[string]string{"value": jwtFor("sts.amazonaws.com",
			time.Hour)})
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	roots := s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	if _, err := githubJob(t, s.URL+requestPath).Token(t.Context(), NewClient(roots), ""); err != nil ||
		requests != 1 {
		t.Errorf("with its CA: %v", err)
	}
	// the request would be retried
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := githubJob(t, s.URL+requestPath).Token(ctx, NewClient(nil), "")
	if err == nil || requests != 1 {
		t.Fatalf("without its CA: %v, %d requests", err, requests)
	}
	checkRedacted(t, err)
}

func TestBuildkite(t *testing.T) {
	t.Parallel()
	jobAt := func(url string) Identity {
		s, err := identify(t, true, Settings{}, "BUILDKITE=true", "BUILDKITE_JOB_ID=job-1",
			"BUILDKITE_AGENT_ACCESS_TOKEN="+bearer, "BUILDKITE_AGENT_ENDPOINT="+url)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, tt := range []struct{ base, audience, want string }{
		{"/v3", "", "sts.amazonaws.com"}, {"/v3/", "a \"b\"", "a \"b\""},
	} {
		raw := jwtFor(tt.want, time.Hour)
		e := serve(t, cannedResponse{status: 500},
			cannedResponse{status: 200, body: `{"token":"` + raw + `"}`})
		got, err := jobAt(e.URL+tt.base).Token(t.Context(), NewClient(nil), tt.audience)
		if err != nil || got.Raw != raw {
			t.Fatalf("Token = %v, %v", got, err)
		}
		for i, r := range e.requests { // the second attempt has the whole body too
			var body map[string]string
			if err := json.Unmarshal([]byte(e.bodies[i]), &body); err != nil ||
				len(body) != 1 || body["audience"] != tt.want {
				t.Errorf("attempt %d sent %q", i+1, e.bodies[i])
			}
			if r.Method != http.MethodPost || r.URL.Path != "/v3/jobs/job-1/oidc/tokens" ||
				r.Header.Get("Authorization") != "Token "+bearer ||
				r.Header.Get("Content-Type") != "application/json" {
				t.Errorf("attempt %d was %s %s with %v", i+1, r.Method, r.URL.Path,
					r.Header)
			}
		}
	}
	e := serve(t, cannedResponse{status: 422, body: bearer})
	_, err := jobAt(e.URL).Token(t.Context(), NewClient(nil), "")
	const want = "requesting the job's OIDC token from Buildkite (1 attempt): HTTP 422 Unprocessable Entity"
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	_, err = jobAt("http://agent.buildkite.com/v3").Token(t.Context(), nil, "")
	const wantURL = "reading BUILDKITE_AGENT_ENDPOINT: it must be an https URL"
	if err == nil || !strings.Contains(err.Error(), wantURL) {
		t.Errorf("%v, want %s", err, wantURL)
	}
}

func TestAzure(t *testing.T) {
	t.Parallel()
	const own, configured = "11111111-2222-3333-4444-555555555555",
		"AAAAAAAA-bbbb-cccc-dddd-eeeeeeeeeeee"
	jobAt := func(url string, settings Settings, connection string) Identity {
		s, err := identify(t, true, settings, "TF_BUILD=True", "SYSTEM_ACCESSTOKEN="+bearer,
			"SYSTEM_OIDCREQUESTURI="+url, "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID="+connection)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, tt := range []struct{ query, configured, connection, want string }{
		{"", "", "", "api-version=7.1"},
		{"", "", own, "api-version=7.1&serviceConnectionId=" + own},
		{"", configured, own, "api-version=7.1&serviceConnectionId=" + configured},
		{"?api-version=1&x=y", "", "", "api-version=7.1&x=y"},
	} {
		raw := jwtFor("api://AzureADTokenExchange", time.Hour)
		e := serve(t, cannedResponse{status: 500},
			cannedResponse{status: 200, body: `{"oidcToken":"` + raw + `"}`})
		id := jobAt(e.URL+"/acme/oidctoken"+tt.query, Settings{Connection: tt.configured},
			tt.connection)
		got, err := id.Token(t.Context(), NewClient(nil), "")
		if err != nil || got.Raw != raw || len(e.requests) != 2 {
			t.Fatalf("Token = %v, %v", got, err)
		}
		for i, r := range e.requests {
			if got := r.Method + " " + r.RequestURI; got != "POST /acme/oidctoken?"+tt.want {
				t.Errorf("attempt %d was %s, want the query %s", i+1, got, tt.want)
			}
			if e.bodies[i] != "" || len(r.TransferEncoding) != 0 {
				t.Errorf("attempt %d had the body %q, transfer encoding %q", i+1,
					e.bodies[i], r.TransferEncoding)
			}
			for name, want := range map[string]string{
				"Authorization": "Bearer " +
					bearer, "Content-Type": "application/json",
				"X-TFS-FedAuthRedirect": "Suppress",
			} {
				if got := r.Header.Get(name); got != want {
					t.Errorf("attempt %d had %s: %q, want %q", i+1, name, got, want)
				}
			}
		}
	}
	for _, tt := range []struct{ url, configured, connection, want string }{
		{"http://dev.azure.com/x", "", "",
			"reading SYSTEM_OIDCREQUESTURI: it must be an https URL"},
		{"https://dev.azure.com/x", "ecr-push", own,
			"reading ECR_OIDC_AZURE_SERVICE_CONNECTION: it must be the id"},
		{"https://dev.azure.com/x", "", "ecr-push",
			"reading AZURESUBSCRIPTION_SERVICE_CONNECTION_ID: it must be the id"},
	} {
		_, err := jobAt(tt.url, Settings{Connection: tt.configured}, tt.connection).Token(t.Context(),
			nil, "")
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%v, want %s", err, tt.want)
		}
	}
}

// TestTLSRecordResponse checks that a server that responds with TLS instead of HTTP causes a
// one-line error.
func TestTLSRecordResponse(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, out, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		bufio.NewWriter(out).WriteString("\x15\x03\x01\x00\x02\x02")
		out.Flush()
	}))
	t.Cleanup(s.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := githubJob(t, s.URL+requestPath).Token(ctx, NewClient(nil), ""); err == nil {
		t.Error("no error")
	} else {
		checkRedacted(t, err)
	}
}
