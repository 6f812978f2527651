package emulator

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// start starts an emulator with the defaults. It is closed when the test ends.
func start(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.AddDefaults()
	return s
}

func send(t *testing.T, s *Server, r *http.Request) (status int, body string) {
	t.Helper()
	tr := s.Transport()
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func get(u string, header ...string) *http.Request {
	r, err := http.NewRequest("GET", u, nil)
	if err != nil {
		panic(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

func post(u, contentType, body string) *http.Request {
	r, err := http.NewRequest("POST", u, nil)
	if err != nil {
		panic(err)
	}
	r.Header.Set("Content-Type", contentType)
	setBody(r, body)
	return r
}

func setBody(r *http.Request, body string) {
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
}

// gitHubToken gets a job's token as GitHub's client does.
func gitHubToken(t *testing.T, s *Server, j GitHubJob) string {
	t.Helper()
	env := s.GitHub(j)
	status, body := send(t, s, get(env["ACTIONS_ID_TOKEN_REQUEST_URL"]+"&audience=sts.amazonaws.com",
		"Authorization", "Bearer "+env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]))
	var out struct{ Value string }
	if err := json.Unmarshal([]byte(body), &out); err != nil || status != 200 {
		t.Fatal(status, body)
	}
	return out.Value
}

func TestGitHubToken(t *testing.T) {
	s := start(t, Options{})
	env := s.GitHub(GitHubJob{})
	u, auth := env["ACTIONS_ID_TOKEN_REQUEST_URL"], "Bearer "+env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]
	other := s.GitHub(GitHubJob{})
	wrongMethod := get(u, "Authorization", auth)
	wrongMethod.Method = "POST"
	for _, tt := range []struct {
		name string
		r    *http.Request
		want int
	}{
		{"valid", get(u, "Authorization", auth), 200},
		{"without TLS", get(strings.Replace(u, s.URL(""), s.PlainURL(""), 1), "Authorization", auth), 200},
		{"no token", get(u), 401},
		{"wrong token", get(u, "Authorization", "Bearer x"), 401},
		{"other job's token", get(u, "Authorization", "Bearer "+other["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]),
			404},
		{"clean path", get(strings.Replace(u, "222//", "222/", 1), "Authorization", auth), 404},
		{"lost query", get(strings.TrimSuffix(u, "?api-version=2.0"), "Authorization", auth), 400},
		{"post", wrongMethod, 405},
	} {
		if status, body := send(t, s, tt.r); status != tt.want {
			t.Errorf("%s: %d %s, want %d", tt.name, status, body, tt.want)
		}
	}
	if _, ok := s.GitHub(GitHubJob{NoIDToken: true})["ACTIONS_ID_TOKEN_REQUEST_URL"]; ok {
		t.Error("a job without the permission has the URL")
	}
}

func TestGitHubSubject(t *testing.T) {
	s := start(t, Options{})
	const called = "acme/gh-actions/.github/workflows/build.yaml@refs/heads/main"
	custom := []string{"repo", "context", "job_workflow_ref"}
	for _, tt := range []struct {
		job  GitHubJob
		want string
	}{
		{GitHubJob{}, "repo:acme/app:ref:refs/heads/main"},
		{GitHubJob{Ref: "refs/tags/v1"}, "repo:acme/app:ref:refs/tags/v1"},
		{GitHubJob{Event: "pull_request"}, "repo:acme/app:pull_request"},
		{GitHubJob{Event: "pull_request", Environment: "a:b"}, "repo:acme/app:environment:a%3Ab"},
		{GitHubJob{ImmutableSubject: true}, "repo:acme@123456/app@456789:ref:refs/heads/main"},
		{GitHubJob{SubjectClaims: custom, ReusableWorkflow: called},
			"repo:acme/app:ref:refs/heads/main:job_workflow_ref:" + called},
		{GitHubJob{SubjectClaims: custom, ReusableWorkflow: called, ImmutableSubject: true},
			"repo:acme@123456/app@456789:ref:refs/heads/main:job_workflow_ref:" + called},
		{GitHubJob{SubjectClaims: custom},
			"repo:acme/app:ref:refs/heads/main:job_workflow_ref:acme/app/.github/workflows/build.yml@refs/heads/main"},
		{GitHubJob{SubjectClaims: []string{"repository_owner", "actor"},
			Claims: map[string]any{"actor": "a:b"}}, "repository_owner:acme:actor:a%3Ab"},
		{GitHubJob{Subject: "own"}, "own"},
	} {
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(gitHubToken(t, s, tt.job), ".")[1])
		if err != nil {
			t.Fatal(err)
		}
		var claims struct{ Sub string }
		if err := json.Unmarshal(payload, &claims); err != nil || claims.Sub != tt.want {
			t.Errorf("%+v: %q %v, want %q", tt.job, claims.Sub, err, tt.want)
		}
	}
}

func TestDiscovery(t *testing.T) {
	s := start(t, Options{})
	const circle = "https://oidc.circleci.com/org/" + CircleOrg
	for base, issuer := range map[string]string{
		GitHubIssuer:                            GitHubIssuer,
		s.URL("github"):                         GitHubIssuer,
		circle:                                  circle,
		s.PlainURL("circleci/org/" + CircleOrg): circle,
	} {
		_, body := send(t, s, get(base+"/.well-known/openid-configuration"))
		var d struct {
			Issuer string `json:"issuer"`
			Keys   string `json:"jwks_uri"`
		}
		if err := json.Unmarshal([]byte(body), &d); err != nil || d.Issuer != issuer {
			t.Errorf("%s: %v %s", base, err, body)
			continue
		}
		if _, body := send(t, s, get(d.Keys)); !strings.Contains(body, kid(issuerKey(issuer))) {
			t.Errorf("%s: %s", d.Keys, body)
		}
	}
}

func TestHosts(t *testing.T) {
	for host, want := range map[string]endpoint{
		"sts.eu-west-2.amazonaws.com": {service: "sts", region: "eu-west-2"},
		"sts.amazonaws.com":           {service: "sts", region: "us-east-1"},
		"sts-fips.us-east-1.api.aws":  {service: "sts", region: "us-east-1"},
		"sts.us-gov-west-1.amazonaws.com": {service: "sts",
			region: "us-gov-west-1"},
		"sts.us-iso-east-1.c2s.ic.gov": {service: "sts",
			region: "us-iso-east-1"},
		"api.ecr.cn-north-1.amazonaws.com.cn":         {service: "ecr", region: "cn-north-1"},
		"ecr.cn-north-1.api.amazonwebservices.com.cn": {service: "ecr", region: "cn-north-1"},
		"api.ecr-fips.us-west-2.amazonaws.com":        {service: "ecr", region: "us-west-2"},
		"ecr-fips.us-west-2.api.aws":                  {service: "ecr", region: "us-west-2"},
		"api.ecr.eusc-de-east-1.amazonaws.eu": {service: "ecr",
			region: "eusc-de-east-1"},
		"api.ecr-public.us-east-1.amazonaws.com": {service: "ecr-public",
			region: "us-east-1"},
		"ecr-public.us-east-1.api.aws": {service: "ecr-public",
			region: "us-east-1"},
		"portal.sso.eu-west-2.amazonaws.com": {service: "sso", region: "eu-west-2"},
		"oidc.eu-west-2.amazonaws.com": {service: "sso-oidc",
			region: "eu-west-2"},
		"123456789012.dkr.ecr.eu-west-2.amazonaws.com": {service: "registry",
			region: "eu-west-2", account: Account},
		"123456789012.dkr-ecr.eu-west-2.on.aws": {service: "registry",
			region: "eu-west-2", account: Account},
		"123456789012.dkr-ecr-fips.us-east-1.on.aws": {service: "registry",
			region: "us-east-1", account: Account},
		"123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov": {service: "registry",
			region: "us-isob-east-1", account: Account},
		"123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn": {service: "registry",
			region: "cn-north-1", account: Account},
		// Names that do not exist.
		"ecr.eu-west-2.amazonaws.com":      {},
		"api.ecr.cn-north-1.amazonaws.com": {},
		"api.ecr.eu-west-2.api.aws":        {},
		"sts.eu-west-2.example.com":        {},
		"sts.nowhere.amazonaws.com":        {},
		"123456789012.dkr-ecr.eu-west-2.amazonaws.com": {account: Account, service: "registry",
			region: "eu-west-2"},
		"example.com": {},
	} {
		got, ok := endpointOfHost(host)
		if wantOK := want.service != "" &&
			host != "123456789012.dkr-ecr.eu-west-2.amazonaws.com"; got != want || ok != wantOK {
			t.Errorf("%s: %+v %v", host, got, ok)
		}
	}
}

func TestProxyTunnels(t *testing.T) {
	s := start(t, Options{})
	proxy, err := url.Parse(s.ProxyURL())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.CAPEM())
	tr := &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: pool}}
	defer tr.CloseIdleConnections()
	c := &http.Client{Transport: tr}
	env := s.GitHubRealHost(GitHubJob{})
	r := get(env["ACTIONS_ID_TOKEN_REQUEST_URL"], "Authorization",
		"Bearer "+env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"])
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Error(resp.Status)
	}
	if i := slices.IndexFunc(s.Calls(),
		func(c Call) bool { return c.Service == "connect" && c.Host == githubTokenHost+":443" }); i < 0 {
		t.Errorf("the proxy's call is not in %+v", s.Calls())
	}
	if _, err := c.Get("https://example.com:8443/"); err == nil {
		t.Error("a port other than 443 was tunneled")
	}
}

func TestFaults(t *testing.T) {
	s := start(t, Options{})
	call := func(u string) (int, string) {
		return send(t, s, post(u, "application/x-www-form-urlencoded", "Action=GetCallerIdentity"))
	}
	s.AddFault("sts", Fault{Status: 400, Code: "Throttling", Message: "Rate exceeded", Times: 2})
	s.AddFault("sts.GetCallerIdentity", Fault{Body: []byte("<html>"), ContentType: "text/html", Times: 1})
	for i, want := range []string{"<html>", "<Code>Throttling</Code>", "<Message>Rate exceeded</Message>",
		"MissingAuthenticationToken"} {
		if _, body := call(s.URL("sts")); !strings.Contains(body, want) {
			t.Errorf("response %d: %s, want %s", i, body, want)
		}
	}
	s.AddFault("sts", Fault{Header: map[string]string{"X-Odd": "1"}, Delay: 30 * time.Millisecond})
	begin := time.Now()
	if _, body := call(s.PlainURL("aws")); !strings.Contains(body, "MissingAuthenticationToken") ||
		time.Since(begin) < 30*time.Millisecond {
		t.Errorf("a delay changed the response: %s", body)
	}
	s.ClearFaults()
	if n := s.Count("sts"); n != 5 {
		t.Errorf("%d calls, want 5", n)
	}
	s.ResetCalls()
	if n := s.Count("sts.GetCallerIdentity"); n != 0 {
		t.Errorf("%d calls after Reset", n)
	}
}

func TestHangAndReset(t *testing.T) {
	var mu sync.Mutex
	var finished []Call
	s := start(t, Options{OnCall: func(c Call) {
		mu.Lock()
		defer mu.Unlock()
		finished = append(finished, c)
	}})
	tr := s.Transport()
	defer tr.CloseIdleConnections()
	for _, u := range []string{s.URL("ecr"), s.PlainURL("ecr")} {
		s.AddFault("ecr", Fault{Reset: true, Times: 1})
		if _, err := (&http.Client{Transport: tr}).Do(post(u, "", "{}")); !errors.Is(err,
			syscall.ECONNRESET) {
			t.Errorf("%s: %v, want a reset", u, err)
		}
	}
	s.AddFault("ecr", Fault{Hang: true})
	c := &http.Client{Transport: tr, Timeout: 50 * time.Millisecond}
	if _, err := c.Do(post(s.URL("ecr"), "", "{}")); err == nil {
		t.Error("a hanging call got a response")
	}
	s.Close()
	if calls := s.Calls(); len(calls) != 3 || calls[2].Status != 0 {
		t.Errorf("calls %+v", calls)
	}
}

func TestAdmin(t *testing.T) {
	s := start(t, Options{})
	at := s.PlainURL("_emulator")
	if status, body := send(t, s, post(at+"/fail?service=ecr&delay=1ms", "application/json",
		`{"Status": 500, "Code": "ServerException"}`)); status != 200 {
		t.Fatal(status, body)
	}
	if status, _ := send(t, s, post(s.URL("ecr"), "", "{}")); status != 500 {
		t.Errorf("status %d, want 500", status)
	}
	if _, body := send(t, s, get("https://emulator.test/count?service=ecr")); body != "1\n" {
		t.Errorf("count %q", body)
	}
	if _, body := send(t, s, post(at+"/github", "", `{"Ref": "refs/heads/x"}`)); !strings.Contains(body,
		"GITHUB_REF=refs/heads/x\n") {
		t.Error(body)
	}
	if status, _ := send(t, s, post(at+"/role", "", `{"ARN": "x", "Trust": "{"}`)); status != 400 {
		t.Errorf("a broken policy: status %d", status)
	}
	if status, _ := send(t, s, get("https://example.com/")); status != 421 {
		t.Errorf("an unknown host: status %d", status)
	}
}
