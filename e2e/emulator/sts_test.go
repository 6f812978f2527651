package emulator

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

type credentials struct{ id, secret, token string }

// sign signs a request as a client would. The scope is region/service.
func sign(r *http.Request, c credentials, scope, body string, at time.Time) {
	r.Header.Set("X-Amz-Date", at.UTC().Format(amzDateLayout))
	headers := "content-type;host;x-amz-date"
	if c.token != "" {
		r.Header.Set("X-Amz-Security-Token", c.token)
		headers += ";x-amz-security-token"
	}
	if r.Header.Get("X-Amz-Target") != "" {
		headers += ";x-amz-target"
	}
	stamp := r.Header.Get("X-Amz-Date")
	auth := "AWS4-HMAC-SHA256 Credential=" + c.id + "/" + stamp[:8] + "/" + scope +
		"/aws4_request, SignedHeaders=" + headers + ", Signature="
	r.Header.Set("Authorization", auth+"0")
	s, _ := parseSignature(r.Header)
	r.Header.Set("Authorization", auth+s.compute(c.secret, r, []byte(body)))
}

// assume calls STS with pairs of parameter names and values. Credentials without an ID leave the
// request unsigned. It returns credentials, or the error as "status Code: message".
func assume(t *testing.T, s *Server, c credentials, params ...string) (credentials, string) {
	t.Helper()
	form := url.Values{"Version": {"2011-06-15"}, "RoleSessionName": {"test"}}
	for i := 0; i < len(params); i += 2 {
		form.Set(params[i], params[i+1])
	}
	r := post("https://sts.eu-west-2.amazonaws.com/", "application/x-www-form-urlencoded", form.Encode())
	if c.id != "" {
		sign(r, c, "eu-west-2/sts", form.Encode(), s.now())
	}
	status, body := send(t, s, r)
	var out struct {
		Code    string `xml:"Error>Code"`
		Message string `xml:"Error>Message"`
		Result  []struct {
			Credentials struct{ AccessKeyId, SecretAccessKey, SessionToken, Expiration string }
		} `xml:",any"`
	}
	if err := xml.Unmarshal([]byte(body), &out); err != nil {
		t.Fatal(err, body)
	}
	if status != 200 {
		return credentials{}, fmt.Sprintf("%d %s: %s", status, out.Code, out.Message)
	}
	k := out.Result[0].Credentials
	return credentials{k.AccessKeyId, k.SecretAccessKey, k.SessionToken}, ""
}

func assumeWithToken(t *testing.T, s *Server, role, token string, params ...string) (credentials, string) {
	t.Helper()
	return assume(t, s, credentials{},
		append([]string{"Action", "AssumeRoleWithWebIdentity", "RoleArn", role, "WebIdentityToken",
			token}, params...)...)
}

func TestWebIdentity(t *testing.T) {
	s := start(t, Options{})
	s.AddRole(Role{ARN: "arn:aws:iam::" + SpokeAccount + ":role/gh", Trust: GitHubTrust("x")})
	s.AddRole(Role{ARN: "arn:aws:iam::" + Account + ":role/untrusted"})
	good := gitHubToken(t, s, GitHubJob{})
	claims := func(more ...any) map[string]any {
		m := map[string]any{"sub": "repo:acme/app:ref:refs/heads/main", "aud": "sts.amazonaws.com"}
		for i := 0; i < len(more); i += 2 {
			m[more[i].(string)] = more[i+1]
		}
		return m
	}
	now := time.Now().Unix()
	const denied = "403 AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity"
	for _, tt := range []struct {
		name, role, token string
		params            []string
		want              string // prefix of the error
	}{
		{name: "valid", token: good},
		{name: "minted", token: s.Mint(GitHubIssuer, claims())},
		{name: "audience in a list", token: s.Mint(GitHubIssuer,
			claims("aud", []string{"x", "sts.amazonaws.com"}))},
		{name: "other branch", token: gitHubToken(t, s, GitHubJob{Ref: "refs/heads/x"}), want: denied},
		{name: "environment", token: gitHubToken(t, s, GitHubJob{Environment: "prod"}), want: denied},
		{name: "pull request", token: gitHubToken(t, s, GitHubJob{Event: "pull_request"}), want: denied},
		{name: "subject with ids", token: gitHubToken(t, s,
			GitHubJob{Subject: "repo:acme@123456/app@456789:ref:refs/heads/main"}), want: denied},
		{name: "no such role", role: "arn:aws:iam::" + Account + ":role/none", token: good, want: denied},
		{name: "no such account", role: "arn:aws:iam::999999999999:role/none", token: good, want: denied},
		{name: "empty trust policy", role: "arn:aws:iam::" + Account + ":role/untrusted", token: good,
			want: denied},
		{name: "trusts another issuer", role: CircleRole, token: good, want: denied},
		{name: "no provider", role: "arn:aws:iam::" + SpokeAccount + ":role/gh", token: good,
			want: "400 InvalidIdentityToken: No OpenIDConnect provider found in your account " +
				"for https://token.actions.githubusercontent.com"},
		{name: "issuer without TLS", token: s.Mint("http://token.actions.githubusercontent.com", claims()),
			want: "400 InvalidIdentityToken: No OpenIDConnect provider found in your account for http://"},
		{name: "wrong key", token: s.MintWrongKey(GitHubIssuer, claims()),
			want: "400 InvalidIdentityToken: The web identity token"},
		{name: "unknown key", token: s.Mint("https://example.com", claims("iss", GitHubIssuer)),
			want: "400 InvalidIdentityToken: Couldn't retrieve verification key"},
		{name: "changed claims", token: replaceSignature(good, s.Mint(GitHubIssuer, claims("sub", "x"))),
			want: "400 InvalidIdentityToken: The web identity token"},
		{name: "wrong audience", token: s.Mint(GitHubIssuer, claims("aud", "https://github.com/acme")),
			want: "400 InvalidIdentityToken: Incorrect token audience"},
		{name: "expired", token: s.Mint(GitHubIssuer, claims("exp", now-1)),
			want: "400 ExpiredTokenException: Token expired: current date/time "},
		{name: "not yet valid", token: s.Mint(GitHubIssuer, claims("nbf", now+60)),
			want: "400 InvalidIdentityToken: "},
		{name: "no expiry", token: s.Mint(GitHubIssuer, claims("exp", nil)),
			want: "400 InvalidIdentityToken: Missing a required claim: exp"},
		{name: "not a token", token: "ghs_abcdef",
			want: "400 InvalidIdentityToken: The ID Token provided is not a valid JWT"},
		{name: "no token", token: "", want: "400 ValidationError: "},
		{name: "too short", token: good, params: []string{"DurationSeconds", "899"},
			want: "400 ValidationError: 1 validation error detected: Value '899' at 'durationSeconds'"},
		{name: "too long", token: good, params: []string{"DurationSeconds", "43201"},
			want: "400 ValidationError: 1 validation error"},
		{name: "longer than the role's", token: good, params: []string{"DurationSeconds", "3601"},
			want: "400 ValidationError: The requested DurationSeconds exceeds " +
				"the MaxSessionDuration set for this role."},
		{name: "session name", token: good, params: []string{"RoleSessionName", "a b"},
			want: "400 ValidationError: 1 validation error detected: Value 'a b' at 'roleSessionName'"},
		{name: "session name of one", token: good, params: []string{"RoleSessionName", "a"},
			want: "400 ValidationError: 1 validation error"},
		{name: "session name of 65", token: good,
			params: []string{"RoleSessionName", strings.Repeat("a", 65)},
			want:   "400 ValidationError: 1 validation error"},
		{name: "not an ARN", role: "arn:aws:iam::123456789012:user/x", token: good,
			want: "400 ValidationError: Request ARN is invalid"},
		{name: "session policy", token: good, params: []string{"Policy", "{"},
			want: "400 MalformedPolicyDocument: "},
		{name: "unknown action", token: good, params: []string{"Action", "GetSessionToken"},
			want: "400 InvalidAction: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, got := assumeWithToken(t, s, or(tt.role, CIRole), tt.token, tt.params...)
			if tt.want == "" && got != "" || !strings.HasPrefix(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	for _, c := range s.Calls() {
		if c.Form.Has("WebIdentityToken") {
			t.Fatal("a recorded call has the token")
		}
	}
}

// replaceSignature returns a token with the claims of one token and the signature of another.
func replaceSignature(signature, claims string) string {
	return claims[:strings.LastIndex(claims, ".")] + signature[strings.LastIndex(signature, "."):]
}

func TestCircle(t *testing.T) {
	s := start(t, Options{})
	env := s.Circle(CircleJob{})
	old := s.Circle(CircleJob{Expired: true})
	for _, tt := range []struct{ name, token, want string }{
		{"v2", env["CIRCLE_OIDC_TOKEN_V2"], ""},
		{"v1 has no branch", env["CIRCLE_OIDC_TOKEN"], "403 AccessDenied"},
		{"other branch", s.Circle(CircleJob{Ref: "refs/heads/x"})["CIRCLE_OIDC_TOKEN_V2"],
			"403 AccessDenied"},
		{"other organization", s.Circle(CircleJob{Org: newUUID()})["CIRCLE_OIDC_TOKEN_V2"],
			"400 InvalidIdentityToken: No OpenIDConnect provider"},
		{"expired", old["CIRCLE_OIDC_TOKEN_V2"], "400 ExpiredTokenException"},
		{"circleci run oidc get", s.CircleToken(CircleJob{Expired: true, Audience: "sts.amazonaws.com"}), ""},
	} {
		if _, got := assumeWithToken(t, s, CircleRole, tt.token); tt.want == "" && got != "" ||
			!strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestAssumeRole(t *testing.T) {
	s := start(t, Options{})
	ci, bad := assumeWithToken(t, s, CIRole, gitHubToken(t, s, GitHubJob{}))
	if bad != "" {
		t.Fatal(bad)
	}
	user := credentials{AccessKeyID, SecretAccessKey, ""}
	external := "arn:aws:iam::" + SpokeAccount + ":role/external"
	s.AddRole(Role{ARN: external, Trust: strings.Replace(AWSTrust("arn:aws:iam::"+Account+":root"),
		`"sts:AssumeRole"`,
		`"sts:AssumeRole", "Condition": {"StringEquals": {"sts:ExternalId": "42"}}`, 1),
		MaxSession: 2 * time.Hour})
	for _, tt := range []struct {
		name   string
		creds  credentials
		role   string
		params []string
		want   string
	}{
		{name: "role chain", creds: ci, role: SpokeRole},
		{name: "a user", creds: user, role: PusherRole},
		{name: "unsigned", role: SpokeRole, want: "403 MissingAuthenticationToken: "},
		{name: "not trusted", creds: user, role: SpokeRole,
			want: "403 AccessDenied: User: " + CIUser +
				" is not authorized to perform: sts:AssumeRole on resource: " + SpokeRole},
		{name: "no such role", creds: user, role: SpokeRole + "x", want: "403 AccessDenied: User: "},
		{name: "external id", creds: user, role: external,
			params: []string{"ExternalId", "42", "DurationSeconds", "7200"}},
		{name: "wrong external id", creds: user, role: external, params: []string{"ExternalId", "43"},
			want: "403 AccessDenied"},
		{name: "no external id", creds: user, role: external, want: "403 AccessDenied"},
		{name: "long chain", creds: ci, role: external,
			params: []string{"ExternalId", "42", "DurationSeconds", "3601"},
			want: "400 ValidationError: The requested DurationSeconds exceeds the 1 hour session limit " +
				"for roles assumed by role chaining."},
	} {
		_, got := assume(t, s, tt.creds,
			append([]string{"Action", "AssumeRole", "RoleArn", tt.role}, tt.params...)...)
		if tt.want == "" && got != "" || !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
