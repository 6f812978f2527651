package emulator

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const (
	privateHost = Account + ".dkr.ecr.eu-west-2.amazonaws.com"
	privateAPI  = "https://api.ecr.eu-west-2.amazonaws.com/"
	publicAPI   = "https://api.ecr-public.us-east-1.amazonaws.com/"
)

// getPassword gets a password from ECR. If that fails, it returns the error as "Type: message".
func getPassword(t *testing.T, s *Server, c credentials, u, scope string) (password, bad string) {
	t.Helper()
	target := ecrTarget
	if strings.HasSuffix(scope, "-public") {
		target = publicTarget
	}
	r := post(u, "application/x-amz-json-1.1", "{}")
	r.Header.Set("X-Amz-Target", target+".GetAuthorizationToken")
	sign(r, c, scope, "{}", s.now())
	_, body := send(t, s, r)
	type data struct {
		AuthorizationToken, ProxyEndpoint string
		ExpiresAt                         float64
	}
	var out struct {
		AuthorizationData json.RawMessage
		Type              string `json:"__type"`
		Message           string `json:"message"`
	}
	if err := json.Unmarshal([]byte(body), &out); err != nil {
		t.Fatal(err, body)
	}
	if out.Type != "" {
		return "", out.Type + ": " + out.Message
	}
	var d data
	raw := strings.TrimSuffix(strings.TrimPrefix(string(out.AuthorizationData), "["), "]")
	if err := json.Unmarshal([]byte(raw), &d); err != nil {
		t.Fatal(err, body)
	}
	if left := time.Unix(int64(d.ExpiresAt), 0).Sub(s.now()); left < 11*time.Hour || left > 12*time.Hour {
		t.Errorf("the password is valid for %v", left)
	}
	b, err := base64.StdEncoding.DecodeString(d.AuthorizationToken)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(string(b), "AWS:"), ""
}

// gitHubSession assumes a role with the token of a GitHub job.
func gitHubSession(t *testing.T, s *Server, role string, params ...string) credentials {
	t.Helper()
	c, bad := assumeWithToken(t, s, role, gitHubToken(t, s, GitHubJob{}), params...)
	if bad != "" {
		t.Fatal(bad)
	}
	return c
}

func TestLogin(t *testing.T) {
	var skew atomic.Int64
	s := start(t, Options{Clock: func() time.Time { return time.Now().Add(time.Duration(skew.Load())) }})
	s.AddRole(Role{ARN: CIRole + "-bare", Trust: GitHubTrust("repo:acme/app:ref:refs/heads/main"),
		NoLogin: true})
	ci, bare := gitHubSession(t, s, CIRole), gitHubSession(t, s, CIRole+"-bare")
	narrow := gitHubSession(t, s, CIRole, "Policy",
		`{"Statement": {"Effect": "Allow", "Action": "ecr:BatchGetImage", "Resource": "*"}}`)
	noToken, wrongToken := ci, ci
	noToken.token, wrongToken.token = "", bare.token
	for _, tt := range []struct {
		name       string
		c          credentials
		url, scope string
		want       string
	}{
		{"good", ci, privateAPI, "eu-west-2/ecr", ""},
		{"custom endpoint", ci, s.URL("ecr"), "eu-west-1/ecr", ""},
		{"endpoint of all services", ci, s.PlainURL("aws"), "eu-west-1/ecr", ""},
		{"public", ci, publicAPI, "us-east-1/ecr-public", ""},
		{"public, other region", ci, s.URL("ecr-public"), "eu-west-2/ecr-public",
			"InvalidSignatureException: "},
		{"other region", ci, privateAPI, "eu-west-1/ecr", "InvalidSignatureException: "},
		{"other service", ci, privateAPI, "eu-west-2/sts", "InvalidSignatureException: "},
		{"no session token", noToken, privateAPI, "eu-west-2/ecr", "UnrecognizedClientException: "},
		{"other session's token", wrongToken, privateAPI, "eu-west-2/ecr", "UnrecognizedClientException: "},
		{"no permission", bare, privateAPI, "eu-west-2/ecr",
			"AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/ci-bare/test " +
				"is not authorized to perform: ecr:GetAuthorizationToken on resource: *"},
		{"session policy", narrow, privateAPI, "eu-west-2/ecr", "AccessDeniedException: "},
		{"not public", bare, publicAPI, "us-east-1/ecr-public", "AccessDeniedException: "},
	} {
		if _, got := getPassword(t, s, tt.c, tt.url, tt.scope); tt.want == "" && got != "" ||
			!strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	skew.Store(int64(61 * time.Minute))
	if _, got := getPassword(t, s, ci, privateAPI, "eu-west-2/ecr"); !strings.HasPrefix(got,
		"ExpiredTokenException: ") {
		t.Errorf("after the session: %q", got)
	}
}
