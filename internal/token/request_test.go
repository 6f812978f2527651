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

// bearer is what a CI's token endpoint is asked with; it may be shown nowhere.
const bearer = "request-token-of-this-job"

// A reply is what the token endpoint answers to one request; the last one is repeated.
type reply struct {
	status   int
	body     string
	location string
	after    string // Retry-After
	hangUp   int    // close the connection after this many bytes of a longer body
}

func answering(value string) reply {
	return reply{status: 200, body: `{"count":1,"value":"` + value + `"}`}
}

// endpoint is a token endpoint. It keeps the requests that it was sent.
type endpoint struct {
	*httptest.Server
	mu    sync.Mutex
	asked []*http.Request
	sent  []string // their bodies
}

func serve(t *testing.T, replies ...reply) *endpoint {
	t.Helper()
	e := &endpoint{}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		e.mu.Lock()
		e.asked, e.sent = append(e.asked, r), append(e.sent, string(body))
		answer := replies[min(len(e.asked), len(replies))-1]
		e.mu.Unlock()
		if answer.location != "" {
			w.Header().Set("Location", answer.location)
		}
		if answer.after != "" {
			w.Header().Set("Retry-After", answer.after)
		}
		if answer.hangUp > 0 {
			w.Header().Set("Content-Length", fmt.Sprint(len(answer.body)))
			answer.body = answer.body[:answer.hangUp]
		}
		w.WriteHeader(answer.status)
		io.WriteString(w, answer.body)
	}))
	t.Cleanup(e.Close)
	return e
}

// githubAt is a GitHub job whose tokens come from this URL.
func githubAt(t *testing.T, url string) Identity {
	t.Helper()
	s, err := identify(t, true, Settings{}, "GITHUB_ACTIONS=true", "ACTIONS_ID_TOKEN_REQUEST_URL="+url, "ACTIONS_ID_TOKEN_REQUEST_TOKEN="+bearer)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// skipPauses runs test in a synctest bubble, whose clock jumps over the pauses between two tries.
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

const idtoken = "/222//idtoken/plan-of-the-job/run-of-the-job?api-version=2.0"

func TestGitHubRequest(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ audience, asked string }{
		{"", "sts.amazonaws.com"},
		{"sts.amazonaws.com", "sts.amazonaws.com"},
		{"https://a b/?c&d=e#f", "https://a b/?c&d=e#f"},
	} {
		raw := jwtFor(tt.asked, time.Hour)
		e := serve(t, answering(" "+raw+`\n`))
		got, err := githubAt(t, e.URL+idtoken).Token(t.Context(), NewClient(nil), tt.audience)
		if err != nil || got.Raw != raw {
			t.Fatalf("audience %q: %v, %v", tt.audience, got, err)
		}
		r := e.asked[0]
		if len(e.asked) != 1 || r.Method != http.MethodGet || r.URL.Path != "/222//idtoken/plan-of-the-job/run-of-the-job" {
			t.Errorf("asked %d times, %s %s", len(e.asked), r.Method, r.RequestURI)
		}
		if q := r.URL.Query(); len(q) != 2 || q.Get("api-version") != "2.0" || len(q["audience"]) != 1 || q.Get("audience") != tt.asked {
			t.Errorf("audience %q: asked with the query %q", tt.audience, r.URL.RawQuery)
		}
		if got := r.Header["Authorization"]; len(got) != 1 || got[0] != "Bearer "+bearer {
			t.Errorf("Authorization: %q", got)
		}
	}
}

// Forgejo's URL may have no query, and one that names an audience already is overruled.
func TestGitHubQuery(t *testing.T) {
	t.Parallel()
	for _, query := range []string{"", "?audience=other"} {
		e := serve(t, answering(jwtFor("sts.amazonaws.com", time.Hour)))
		if _, err := githubAt(t, e.URL+"/x"+query).Token(t.Context(), NewClient(nil), ""); err != nil {
			t.Fatal(err)
		}
		if got := e.asked[0].URL.RawQuery; got != "audience=sts.amazonaws.com" {
			t.Errorf("with %q it asked %q", query, got)
		}
	}
}

// Retryable faults are tried again; a fault that stays ends in the last one's words.
func TestGitHubTriesAgain(t *testing.T) {
	t.Parallel()
	good := answering(jwtFor("sts.amazonaws.com", time.Hour))
	for _, tt := range []struct {
		name  string
		fault reply
	}{
		{"500", reply{status: 500, body: "secret body"}},
		{"502", reply{status: 502}},
		{"503", reply{status: 503, body: "<html>"}},
		{"429", reply{status: 429, body: "slow down"}},
		{"403 of a job that it does not see running", reply{status: 403, body: `{"message":"Can't issue ID_TOKEN for job in 'Pending' state"}`}},
		{"the runner's words for the same", reply{status: 403, body: "Server won't issue ID_TOKEN for non-inprogress job"}},
		{"a body that ends too early", reply{status: 200, body: good.body, hangUp: 20}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := serve(t, tt.fault, good)
			skipPauses(t, func(t *testing.T, client *http.Client) {
				_, err := githubAt(t, e.URL+idtoken).Token(t.Context(), client, "")
				if err != nil || len(e.asked) != 2 {
					t.Errorf("%d requests, %v", len(e.asked), err)
				}
			})
		})
	}
	t.Run("for ever", func(t *testing.T) {
		t.Parallel()
		e := serve(t, reply{status: 503, body: "secret body"})
		skipPauses(t, func(t *testing.T, client *http.Client) {
			start := time.Now()
			_, err := githubAt(t, e.URL+idtoken).Token(t.Context(), client, "")
			if want := "asking GitHub for the job's OIDC token (5 tries): HTTP 503 Service Unavailable"; err == nil || err.Error() != want || len(e.asked) != 5 {
				t.Errorf("%d requests, %v, want %s", len(e.asked), err, want)
			}
			// The pauses are random between a half of 250 ms, 500 ms, 1 s and 2 s, and the whole.
			if took := time.Since(start); took < 1875*time.Millisecond || took > 3750*time.Millisecond {
				t.Errorf("the pauses are %v together", took)
			}
		})
	})
}

// A Retry-After is kept to where there is time for it; where there is not, that is said at once. One that cannot be read
// is none.
func TestGitHubRetryAfter(t *testing.T) {
	t.Parallel()
	good := answering(jwtFor("sts.amazonaws.com", time.Hour))
	const say = "asking GitHub for the job's OIDC token (1 try): HTTP 429 Too Many Requests"
	for _, tt := range []struct {
		after       string
		least, most time.Duration
		want        string // "" for a token
	}{
		{"1", time.Second, time.Second, ""},
		{"0", 125 * time.Millisecond, 250 * time.Millisecond, ""},
		{"6", 0, 0, say + ": it wants to be asked again in 6s"},
		{"86400", 0, 0, say + ": it wants to be asked again in 24h0m0s"},
		{"99999999999999999999", 125 * time.Millisecond, 250 * time.Millisecond, ""},
		{"-60", 125 * time.Millisecond, 250 * time.Millisecond, ""},
		{"Fri, 31 Dec 2099 23:59:59 GMT", 125 * time.Millisecond, 250 * time.Millisecond, ""},
	} {
		t.Run(tt.after, func(t *testing.T) {
			t.Parallel()
			e := serve(t, reply{status: 429, after: tt.after}, good)
			skipPauses(t, func(t *testing.T, client *http.Client) {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				start := time.Now()
				_, err := githubAt(t, e.URL+idtoken).Token(ctx, client, "")
				took := time.Since(start)
				if tt.want == "" && (err != nil || len(e.asked) != 2) || tt.want != "" && (err == nil || err.Error() != tt.want || len(e.asked) != 1) {
					t.Errorf("%d requests, %v, want %s", len(e.asked), err, tt.want)
				}
				if took < tt.least || took > tt.most {
					t.Errorf("it took %v, want %v to %v", took, tt.least, tt.most)
				}
			})
		})
	}
}

// What will not pass is said at once, and nothing of the answer, the address or the bearer is in it.
func TestGitHubRefusals(t *testing.T) {
	t.Parallel()
	elsewhere := serve(t, answering(jwtFor("sts.amazonaws.com", time.Hour)))
	const secret = "eyJhbGciOiJSUzI1NiJ9.c2VjcmV0LWJvZHk"
	tests := []struct {
		name  string
		reply reply
		want  string
	}{
		{"400", reply{status: 400, body: secret}, "HTTP 400 Bad Request"},
		{"401", reply{status: 401, body: secret}, "HTTP 401 Unauthorized"},
		{"403", reply{status: 403, body: secret}, "HTTP 403 Forbidden"},
		{"404", reply{status: 404, body: secret}, "HTTP 404 Not Found"},
		{"a status without a name", reply{status: 499, body: secret}, "HTTP 499"},
		{"204", reply{status: 204}, "HTTP 204 No Content"},
		{"201", reply{status: 201, body: `{"value":"` + secret + `"}`}, "HTTP 201 Created"},
		{"a redirect", reply{status: 302, body: secret, location: elsewhere.URL + "/" + secret}, "HTTP 302 Found: a redirect, which is not followed"},
		{"a redirect that keeps the method", reply{status: 307, location: elsewhere.URL}, "HTTP 307 Temporary Redirect: a redirect, which is not followed"},
		{"HTML", reply{status: 200, body: "<html>" + secret + "</html>"}, "the answer is not JSON (is there a proxy in between?)"},
		{"nothing", reply{status: 200}, "the answer is not JSON"},
		{"a list", reply{status: 200, body: `["` + secret + `"]`}, "the answer is not JSON"},
		{"null", reply{status: 200, body: `null`}, `the answer has no "value" in it`},
		{"no field", reply{status: 200, body: `{"token":"` + secret + `"}`}, `the answer has no "value" in it`},
		{"an empty field", reply{status: 200, body: `{"value":" "}`}, `the answer has no "value" in it`},
		{"a null field", reply{status: 200, body: `{"value":null}`}, `the answer has no "value" in it`},
		{"a field that is a number", reply{status: 200, body: `{"value":7}`}, `the answer has no "value" in it`},
		{"2 MiB", reply{status: 200, body: `{"value":"` + strings.Repeat("x", 2<<20) + secret + `"}`}, "the answer is longer than 65536 bytes"},
		{"JSON and more", reply{status: 200, body: `{"value":"` + secret + `"}{}`}, "the answer is not JSON"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := serve(t, tt.reply)
			_, err := githubAt(t, e.URL+idtoken).Token(t.Context(), NewClient(nil), "")
			if err == nil || !strings.HasPrefix(err.Error(), "asking GitHub for the job's OIDC token (1 try): "+tt.want) {
				t.Fatalf("%v, want %s", err, tt.want)
			}
			quiet(t, err, secret, elsewhere.URL)
			if len(e.asked) != 1 {
				t.Errorf("%d requests", len(e.asked))
			}
		})
	}
	t.Cleanup(func() { // after the parallel ones
		if len(elsewhere.asked) != 0 {
			t.Errorf("a redirect was followed, with the bearer %q", elsewhere.asked[0].Header["Authorization"])
		}
	})
}

// quiet fails if an error shows the bearer, where the job asked, or any of more.
func quiet(t *testing.T, err error, more ...string) {
	t.Helper()
	for _, secret := range append(more, bearer, "plan-of-the-job", "run-of-the-job", "api-version") {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error shows %q: %v", secret, err)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("the error has more than one line: %q", err)
	}
}

func TestGitHubNoAnswer(t *testing.T) {
	t.Parallel()
	t.Run("nobody there", func(t *testing.T) {
		t.Parallel()
		e := serve(t, reply{})
		e.Close()
		skipPauses(t, func(t *testing.T, client *http.Client) {
			_, err := githubAt(t, e.URL+idtoken).Token(t.Context(), client, "")
			if err == nil || !strings.Contains(err.Error(), "(5 tries): dial tcp") {
				t.Fatal(err)
			}
			quiet(t, err)
		})
	})
	t.Run("the connection is closed", func(t *testing.T) {
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
		if got, err := githubAt(t, s.URL+idtoken).Token(t.Context(), NewClient(nil), ""); err != nil || got.Raw != good {
			t.Errorf("%v, %v", got, err)
		}
	})
	t.Run("it hangs, and ctx ends", func(t *testing.T) {
		t.Parallel()
		over := make(chan struct{})
		s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-over }))
		t.Cleanup(s.Close)
		t.Cleanup(func() { close(over) })
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		start := time.Now()
		_, err := githubAt(t, s.URL+idtoken).Token(ctx, NewClient(nil), "")
		if err == nil || !strings.Contains(err.Error(), "no answer in time") || time.Since(start) > 5*time.Second {
			t.Fatalf("%v after %v", err, time.Since(start))
		}
		quiet(t, err)
	})
	t.Run("ctx ends between two tries", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		e := serve(t, reply{status: 503})
		e.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(503)
			w.(http.Flusher).Flush()
			time.AfterFunc(20*time.Millisecond, cancel)
		})
		start := time.Now()
		if _, err := githubAt(t, e.URL+idtoken).Token(ctx, NewClient(nil), ""); err == nil || time.Since(start) > 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// The bearer goes to https, or stays on this machine.
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
		_, err := githubAt(t, tt.url).Token(t.Context(), nil, "") // a nil client: nothing is sent
		if err == nil || !strings.Contains(err.Error(), "reading ACTIONS_ID_TOKEN_REQUEST_URL: "+tt.want) || strings.Contains(err.Error(), tt.url) {
			t.Errorf("%s: %v, want %s", tt.url, err, tt.want)
		}
	}
	for _, url := range []string{"https://pipelines.actions.githubusercontent.com/x", "http://127.0.0.1:1/x", "http://127.8.8.8/x", "http://[::1]:1/x", "http://localhost:1/x"} {
		if _, err := ParseEndpoint(url); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// A token for somebody else is not passed on to AWS.
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
		e := serve(t, answering(jwtFor(tt.got, time.Hour)))
		_, err := githubAt(t, e.URL+idtoken).Token(t.Context(), NewClient(nil), tt.audience)
		var wrong *AudienceError
		if tt.ok && err != nil || !tt.ok && (!errors.As(err, &wrong) || !strings.Contains(wrong.Token, "GitHub")) {
			t.Errorf("asked for %q and got %v: %v", tt.audience, tt.got, err)
		}
	}
}

func TestGitHubRenews(t *testing.T) {
	t.Parallel()
	first, second := jwtFor("sts.amazonaws.com", time.Hour), jwtFor("sts.amazonaws.com", 2*time.Hour)
	e := serve(t, answering(first), answering(second))
	s := githubAt(t, e.URL+idtoken)
	if got, err := s.Token(t.Context(), NewClient(nil), ""); err != nil || got.Raw != first {
		t.Fatal(got, err)
	}
	if got, err := s.Renew(t.Context(), NewClient(nil), ""); err != nil || got.Raw != second {
		t.Error(got, err)
	}
}

// An endpoint that is not trusted is not sent the bearer; with its CA it is.
func TestClientTrustsRoots(t *testing.T) {
	t.Parallel()
	asked := 0
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		json.NewEncoder(w).Encode(map[string]string{"value": jwtFor("sts.amazonaws.com", time.Hour)})
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	roots := s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	if _, err := githubAt(t, s.URL+idtoken).Token(t.Context(), NewClient(roots), ""); err != nil || asked != 1 {
		t.Errorf("with its CA: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond) // it would be tried again
	defer cancel()
	_, err := githubAt(t, s.URL+idtoken).Token(ctx, NewClient(nil), "")
	if err == nil || asked != 1 {
		t.Fatalf("without its CA: %v, %d requests", err, asked)
	}
	quiet(t, err)
}

func TestBuildkite(t *testing.T) {
	t.Parallel()
	at := func(url string) Identity {
		s, err := identify(t, true, Settings{}, "BUILDKITE=true", "BUILDKITE_JOB_ID=job-1", "BUILDKITE_AGENT_ACCESS_TOKEN="+bearer, "BUILDKITE_AGENT_ENDPOINT="+url)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, tt := range []struct{ base, audience, asked string }{
		{"/v3", "", "sts.amazonaws.com"}, {"/v3/", "a \"b\"", "a \"b\""},
	} {
		raw := jwtFor(tt.asked, time.Hour)
		e := serve(t, reply{status: 500}, reply{status: 200, body: `{"token":"` + raw + `"}`})
		got, err := at(e.URL+tt.base).Token(t.Context(), NewClient(nil), tt.audience)
		if err != nil || got.Raw != raw {
			t.Fatal(got, err)
		}
		for i, r := range e.asked { // the second try has the whole body too
			var body map[string]string
			if err := json.Unmarshal([]byte(e.sent[i]), &body); err != nil || len(body) != 1 || body["audience"] != tt.asked {
				t.Errorf("try %d sent %q", i+1, e.sent[i])
			}
			if r.Method != http.MethodPost || r.URL.Path != "/v3/jobs/job-1/oidc/tokens" || r.Header.Get("Authorization") != "Token "+bearer || r.Header.Get("Content-Type") != "application/json" {
				t.Errorf("try %d was %s %s with %v", i+1, r.Method, r.URL.Path, r.Header)
			}
		}
	}
	e := serve(t, reply{status: 422, body: bearer})
	_, err := at(e.URL).Token(t.Context(), NewClient(nil), "")
	if want := "asking Buildkite for the job's OIDC token (1 try): HTTP 422 Unprocessable Entity"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if _, err := at("http://agent.buildkite.com/v3").Token(t.Context(), nil, ""); err == nil || !strings.Contains(err.Error(), "reading BUILDKITE_AGENT_ENDPOINT: it must be an https URL") {
		t.Error(err)
	}
}

func TestAzure(t *testing.T) {
	t.Parallel()
	const own, chosen = "11111111-2222-3333-4444-555555555555", "AAAAAAAA-bbbb-cccc-dddd-eeeeeeeeeeee"
	at := func(url string, settings Settings, connection string) Identity {
		s, err := identify(t, true, settings, "TF_BUILD=True", "SYSTEM_ACCESSTOKEN="+bearer,
			"SYSTEM_OIDCREQUESTURI="+url, "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID="+connection)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, tt := range []struct{ query, chosen, connection, want string }{
		{"", "", "", "api-version=7.1"},
		{"", "", own, "api-version=7.1&serviceConnectionId=" + own},
		{"", chosen, own, "api-version=7.1&serviceConnectionId=" + chosen},
		{"?api-version=1&x=y", "", "", "api-version=7.1&x=y"},
	} {
		raw := jwtFor("api://AzureADTokenExchange", time.Hour)
		e := serve(t, reply{status: 500}, reply{status: 200, body: `{"oidcToken":"` + raw + `"}`})
		id := at(e.URL+"/acme/oidctoken"+tt.query, Settings{Connection: tt.chosen}, tt.connection)
		got, err := id.Token(t.Context(), NewClient(nil), "")
		if err != nil || got.Raw != raw || len(e.asked) != 2 {
			t.Fatal(got, err)
		}
		for i, r := range e.asked {
			if got := r.Method + " " + r.RequestURI; got != "POST /acme/oidctoken?"+tt.want {
				t.Errorf("try %d was %s, want the query %s", i+1, got, tt.want)
			}
			if e.sent[i] != "" || len(r.TransferEncoding) != 0 {
				t.Errorf("try %d had the body %q, transfer encoding %q", i+1, e.sent[i], r.TransferEncoding)
			}
			for name, want := range map[string]string{
				"Authorization": "Bearer " + bearer, "Content-Type": "application/json", "X-TFS-FedAuthRedirect": "Suppress",
			} {
				if got := r.Header.Get(name); got != want {
					t.Errorf("try %d had %s: %q, want %q", i+1, name, got, want)
				}
			}
		}
	}
	for _, tt := range []struct{ url, chosen, connection, want string }{
		{"http://dev.azure.com/x", "", "", "reading SYSTEM_OIDCREQUESTURI: it must be an https URL"},
		{"https://dev.azure.com/x", "ecr-push", own, "reading ECR_OIDC_AZURE_SERVICE_CONNECTION: it must be the id"},
		{"https://dev.azure.com/x", "", "ecr-push", "reading AZURESUBSCRIPTION_SERVICE_CONNECTION_ID: it must be the id"},
	} {
		_, err := at(tt.url, Settings{Connection: tt.chosen}, tt.connection).Token(t.Context(), nil, "")
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%v, want %s", err, tt.want)
		}
	}
}

// A server that speaks TLS, or nothing known, is a fault like another, and the error stays one short line.
func TestNotHTTP(t *testing.T) {
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
	if _, err := githubAt(t, s.URL+idtoken).Token(ctx, NewClient(nil), ""); err == nil {
		t.Error("no error")
	} else {
		quiet(t, err)
	}
}
