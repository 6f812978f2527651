package token

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/testenv"
)

// environ returns an environment with these variables, each "NAME=value", and no others.
func environ(pairs ...string) Env { return testenv.Lookup(pairs...) }

// jwtWith returns a token with these claims. Its signature is invalid, since this package verifies
// none.
func jwtWith(claims map[string]any) string {
	body, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + part(body) + "." +
		part([]byte("signature"))
}

// jwtFor returns a token for an audience that expires after ttl. A negative ttl returns an expired
// token.
func jwtFor(audience any, ttl time.Duration) string {
	return jwtWith(map[string]any{"iss": "https://ci.example",
		"sub": "repo:acme/app:ref:refs/heads/main", "aud": audience,
		"exp": time.Now().Add(ttl).Unix()})
}

func TestParse(t *testing.T) {
	raw := jwtWith(map[string]any{"iss": "https://ci.example", "sub": "a\nb", "aud": "one",
		"exp": 1700000000})
	got, err := Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	c := got.Claims
	if got.Raw != raw || c.Issuer != "https://ci.example" || c.Subject != "a\nb" ||
		fmt.Sprint(c.Audience) != "[one]" || !c.Expires.Equal(time.Unix(1700000000, 0)) {
		t.Errorf("Parse = %+v with claims %+v", got, c)
	}
	got, err = Parse(jwtWith(map[string]any{"aud": []string{"one", "two"}}))
	if err != nil || fmt.Sprint(got.Claims.Audience) != "[one two]" || !got.Claims.Expires.IsZero() {
		t.Errorf("a list of audiences and no expiry: %+v, %v", got.Claims, err)
	}
}

func TestParseInvalid(t *testing.T) {
	const secret = "ghs_16C7e42F292c6912E7710c838347Ae178B4a"
	tests := []struct{ name, raw, want string }{
		{"empty", "", "not a JWT"},
		{"a password", secret, "not a JWT"},
		{"three parts that are not base64", secret + "." + secret + "." + secret, "not a JWT"},
		{"claims that are not an object", "eyJhbGciOiJSUzI1NiJ9.WyIiXQ.c2ln", "not a JWT"},
		{"claims that are not JSON",
			"eyJhbGciOiJSUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(secret)) +
				".c2ln", "not a JWT"},
		{"an audience that is a number", jwtWith(map[string]any{"aud": 7, "sub": secret}),
			"not a JWT"},
		{"unknown algorithm", "eyJhbGciOiJYIn0.e30.c2ln", "not a JWT"},
		{"too long", strings.Repeat("x", 20001),
			"it is longer than the 20000 characters that STS accepts"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse(tt.raw)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("Parse = %v, %v, want %q", got, err, tt.want)
			}
			if strings.Contains(err.Error(), secret) || len(err.Error()) > 200 {
				t.Errorf("the error quotes the token: %v", err)
			}
		})
	}
	long := jwtWith(map[string]any{"sub": strings.Repeat("x", 14000)})
	long += strings.Repeat("x", maxToken-len(long))
	if _, err := Parse(long); err != nil {
		t.Errorf("a token of %d characters: %v", len(long), err)
	}
}

// TestTokenFormat checks that every verb formats a token as its subject, also within other values.
func TestTokenFormat(t *testing.T) {
	raw := jwtWith(map[string]any{"sub": "repo:acme/app\n::error::x"})
	token, err := Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	holder := struct{ Token Token }{token}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		values := []any{token, &token, []Token{token}, map[string]Token{"t": token}, holder}
		for _, v := range values {
			if _, pointer := v.(*Token); pointer && verb == "%#v" {
				continue
			}
			got := fmt.Sprintf(verb, v)
			if strings.Contains(got, raw) || !strings.Contains(got, "repo:acme/app") ||
				strings.Contains(got, "\n") {
				t.Errorf("%s of %T prints %q", verb, v, got)
			}
		}
	}
}

// FuzzParse checks that no input causes a panic, that Raw is the input, and that the error does not
// quote it.
func FuzzParse(f *testing.F) {
	f.Add(jwtWith(map[string]any{"sub": "s", "aud": "a", "exp": 1}))
	f.Add(jwtWith(map[string]any{"aud": []string{"a", "b"}, "exp": 1e300}))
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add("a.b.c")
	f.Add(strings.Repeat(".", maxToken+1))
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := Parse(raw)
		switch {
		case err == nil && (got.Raw != raw || len(raw) > maxToken || strings.Count(raw, ".") != 2):
			t.Errorf("Parse(%q) = %#v", raw, got)
		case err != nil && got.Raw != "":
			t.Errorf("Parse(%q) returned an error and a token", raw)
		case err != nil && len(raw) > 12 && strings.Contains(err.Error(), raw):
			t.Errorf("Parse(%q): the error quotes it: %v", raw, err)
		}
		_ = fmt.Sprint(got)
		_ = expiresWithinMinute(got, time.Now())
	})
}

func TestExpiresWithinMinute(t *testing.T) {
	now := time.Unix(1700000000, 0)
	for _, tt := range []struct {
		expires time.Time
		want    bool
	}{
		{time.Time{}, false}, {now.Add(time.Hour), false}, {now.Add(61 * time.Second),
			false}, {now.Add(59 * time.Second), true}, {now.Add(-time.Hour), true},
	} {
		token := Token{Claims: Claims{Expires: tt.expires}}
		if got := expiresWithinMinute(token, now); got != tt.want {
			t.Errorf("expired at %v with expiry %v = %v", now, tt.expires, got)
		}
	}
}

// TestPayload checks that Payload returns all claims with unchanged numbers, and none for an
// invalid token.
func TestPayload(t *testing.T) {
	claims := (Token{Raw: jwtWith(map[string]any{"sub": "s", "exp": json.Number("1795204989"),
		"run_id": json.Number("19521337042123456789"), "aud": []string{"a",
			"b"}, "nested": map[string]any{"n": 1.5}})}).Payload()
	want := map[string]any{"sub": "s", "exp": json.Number("1795204989"),
		"run_id": json.Number("19521337042123456789"), "aud": []any{"a",
			"b"}, "nested": map[string]any{"n": json.Number("1.5")}}
	if !reflect.DeepEqual(claims, want) {
		t.Errorf("%#v", claims)
	}
	for _, raw := range []string{"", "x", "a.b.c", jwtWith(nil)[:20]} {
		if claims := (Token{Raw: raw}).Payload(); len(claims) != 0 {
			t.Errorf("%q: %v", raw, claims)
		}
	}
}

func TestParseIssued(t *testing.T) {
	for want, claims := range map[int64]map[string]any{
		1795204989: {"iat": 1795204989},
		0:          {"exp": 1795204989},
	} {
		token, err := Parse(jwtWith(claims))
		got := token.Claims.Issued
		if err != nil || want == 0 && !got.IsZero() || want != 0 && got.Unix() != want {
			t.Errorf("%v: %v, %v", claims, got, err)
		}
	}
}

// TestOnDemand checks which sources issue the token on request.
func TestOnDemand(t *testing.T) {
	raw := jwtFor("sts.amazonaws.com", time.Hour)
	for name, tt := range map[string]struct {
		env  []string
		want bool
	}{
		"github": {[]string{"ACTIONS_ID_TOKEN_REQUEST_URL=https://x",
			"ACTIONS_ID_TOKEN_REQUEST_TOKEN=x"}, true},
		"buildkite": {[]string{"BUILDKITE=true", "BUILDKITE_JOB_ID=x",
			"BUILDKITE_AGENT_ACCESS_TOKEN=x"}, true},
		"azure": {[]string{"TF_BUILD=True", "SYSTEM_OIDCREQUESTURI=x",
			"SYSTEM_ACCESSTOKEN=x"}, true},
		"circleci":         {[]string{"CIRCLECI=true", "CIRCLE_OIDC_TOKEN_V2=" + raw}, false},
		"gitlab":           {[]string{"GITLAB_CI=true", "ECR_OIDC_TOKEN=" + raw}, false},
		"no CI":            {nil, false},
		"github, no token": {[]string{"GITHUB_ACTIONS=true"}, false},
		"azure connection": {[]string{"TF_BUILD=True", "SYSTEM_OIDCREQUESTURI=x",
			"SYSTEM_ACCESSTOKEN=x",
			"AZURESUBSCRIPTION_SERVICE_CONNECTION_ID=x"}, false},
	} {
		env := environ(tt.env...)
		id, _ := Identify(env, Settings{HasRole: true})
		if id.TokenSource.OnDemand != tt.want {
			t.Errorf("%s: OnDemand = %v", name, !tt.want)
		}
	}
}
