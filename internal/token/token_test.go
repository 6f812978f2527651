package token

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// environ is an environment that holds these variables, each "NAME=value", and nothing else.
func environ(pairs ...string) Env {
	vars := map[string]string{}
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		vars[name] = value
	}
	return func(name string) (string, bool) {
		value, set := vars[name]
		return value, set
	}
}

// jwtWith makes a token with these claims. Its signature is noise: nothing here verifies one.
func jwtWith(claims map[string]any) string {
	body, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + part(body) + "." + part([]byte("signature"))
}

// jwtFor makes a token for an audience that expires in an hour, or that long ago where life is negative.
func jwtFor(audience any, life time.Duration) string {
	return jwtWith(map[string]any{"iss": "https://ci.example", "sub": "repo:acme/app:ref:refs/heads/main", "aud": audience, "exp": time.Now().Add(life).Unix()})
}

func TestParse(t *testing.T) {
	raw := jwtWith(map[string]any{"iss": "https://ci.example", "sub": "a\nb", "aud": "one", "exp": 1700000000})
	got, err := Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	c := got.Claims
	if got.Raw != raw || c.Issuer != "https://ci.example" || c.Subject != "a\nb" || fmt.Sprint(c.Audience) != "[one]" || !c.Expires.Equal(time.Unix(1700000000, 0)) {
		t.Errorf("Parse = %+v with claims %+v", got, c)
	}
	got, err = Parse(jwtWith(map[string]any{"aud": []string{"one", "two"}}))
	if err != nil || fmt.Sprint(got.Claims.Audience) != "[one two]" || !got.Claims.Expires.IsZero() {
		t.Errorf("a list of audiences and no expiry: %+v, %v", got.Claims, err)
	}
}

func TestParseRefuses(t *testing.T) {
	const secret = "ghs_16C7e42F292c6912E7710c838347Ae178B4a"
	tests := []struct{ name, raw, want string }{
		{"nothing", "", "not a JWT"},
		{"a password", secret, "not a JWT"},
		{"three parts of noise", secret + "." + secret + "." + secret, "not a JWT"},
		{"claims that are no object", "eyJhbGciOiJSUzI1NiJ9.WyIiXQ.c2ln", "not a JWT"},
		{"claims that are not JSON", "eyJhbGciOiJSUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(secret)) + ".c2ln", "not a JWT"},
		{"an audience that is a number", jwtWith(map[string]any{"aud": 7, "sub": secret}), "not a JWT"},
		{"an algorithm that there is none", "eyJhbGciOiJYIn0.e30.c2ln", "not a JWT"},
		{"one character more than STS takes", strings.Repeat("x", 20001), "it is longer than the 20000 characters that STS takes"},
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
	long += strings.Repeat("x", longest-len(long))
	if _, err := Parse(long); err != nil {
		t.Errorf("a token of %d characters: %v", len(long), err)
	}
}

// However it is printed, by itself or within something, a token shows its subject and not itself.
func TestTokenPrintsItsSubject(t *testing.T) {
	raw := jwtWith(map[string]any{"sub": "repo:acme/app\n::error::x"})
	token, err := Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	holder := struct{ Token Token }{token}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		for _, v := range []any{token, &token, []Token{token}, map[string]Token{"t": token}, holder} {
			if _, pointer := v.(*Token); pointer && verb == "%#v" {
				continue
			}
			got := fmt.Sprintf(verb, v)
			if strings.Contains(got, raw) || !strings.Contains(got, "repo:acme/app") || strings.Contains(got, "\n") {
				t.Errorf("%s of %T prints %q", verb, v, got)
			}
		}
	}
}

// FuzzParse holds that no input panics, that what is read is kept as it was given, and that an error quotes nothing.
func FuzzParse(f *testing.F) {
	f.Add(jwtWith(map[string]any{"sub": "s", "aud": "a", "exp": 1}))
	f.Add(jwtWith(map[string]any{"aud": []string{"a", "b"}, "exp": 1e300}))
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add("a.b.c")
	f.Add(strings.Repeat(".", longest+1))
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := Parse(raw)
		switch {
		case err == nil && (got.Raw != raw || len(raw) > longest || strings.Count(raw, ".") != 2):
			t.Errorf("Parse(%q) = %#v", raw, got)
		case err != nil && got.Raw != "":
			t.Errorf("Parse(%q) refused and returned a token", raw)
		case err != nil && len(raw) > 12 && strings.Contains(err.Error(), raw):
			t.Errorf("Parse(%q): the error quotes it: %v", raw, err)
		}
		_ = fmt.Sprint(got)
		_ = expired(got, time.Now())
	})
}

func TestExpired(t *testing.T) {
	now := time.Unix(1700000000, 0)
	for _, tt := range []struct {
		expires time.Time
		want    bool
	}{
		{time.Time{}, false}, {now.Add(time.Hour), false}, {now.Add(61 * time.Second), false}, {now.Add(59 * time.Second), true}, {now.Add(-time.Hour), true},
	} {
		if got := expired(Token{Claims: Claims{Expires: tt.expires}}, now); got != tt.want {
			t.Errorf("expired at %v with expiry %v = %v", now, tt.expires, got)
		}
	}
}
