package emulator

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// TestSSORefreshToken checks that a refresh token of IAM Identity Center can be used once and
// returns the next one.
func TestSSORefreshToken(t *testing.T) {
	s := start(t, Options{})
	s.AddSSORefreshToken("first", "access")
	call := func(token, secret string) (int, string, map[string]any) {
		body, _ := json.Marshal(map[string]string{"clientId": "x", "clientSecret": secret,
			"grantType": "refresh_token", "refreshToken": token})
		status, text := send(t, s, post("https://oidc.eu-west-2.amazonaws.com/token", "application/json",
			string(body)))
		var out map[string]any
		json.Unmarshal([]byte(text), &out)
		return status, text, out
	}
	if status, body, _ := call("first", ""); status != http.StatusUnauthorized ||
		!strings.Contains(body, "InvalidClientException") {
		t.Errorf("without the client's secret: %d %s", status, body)
	}
	status, body, out := call("first", "y")
	if status != http.StatusOK || out["accessToken"] != "access" {
		t.Fatalf("the first time: %d %s", status, body)
	}
	if status, body, _ := call("first", "y"); status != http.StatusBadRequest ||
		!strings.Contains(body, "InvalidGrantException") {
		t.Errorf("the second time: %d %s", status, body)
	}
	if status, body, _ := call(out["refreshToken"].(string), "y"); status != http.StatusOK {
		t.Errorf("the next one: %d %s", status, body)
	}
}

// TestConsoleLogin checks that a refresh of "aws login" requires an unused proof of the login's
// key, and its region.
func TestConsoleLogin(t *testing.T) {
	s := start(t, Options{})
	key, other := ecKey(t), ecKey(t)
	s.AddRole(Role{ARN: CIRole})
	s.AddConsoleLogin("refresh", "eu-west-2", CIRole, &key.PublicKey)
	const here, there = "https://eu-west-2.signin.aws.amazon.com/v1/token",
		"https://us-east-1.signin.aws.amazon.com/v1/token"
	const body = `{"clientId": "` + ConsoleClientID +
		`", "grantType": "refresh_token", "refreshToken": "refresh"}`
	used := newProof(t, key, here, "once", time.Now())
	for _, tt := range []struct {
		name, url, body, proof string
		want                   int
	}{
		{"valid", here, body, used, http.StatusOK},
		{"used proof", here, body, used, http.StatusBadRequest},
		{"second use of the refresh token", here, body, newProof(t, key, here, "again", time.Now()),
			http.StatusOK},
		{"no proof", here, body, "", http.StatusBadRequest},
		{"other key", here, body, newProof(t, other, here, "2", time.Now()), http.StatusBadRequest},
		{"other URL", here, body, newProof(t, key, there, "3", time.Now()), http.StatusBadRequest},
		{"expired", here, body, newProof(t, key, here, "4", time.Now().Add(-10*time.Minute)),
			http.StatusBadRequest},
		{"other region", there, body, newProof(t, key, there, "5", time.Now()), http.StatusBadRequest},
		{"unknown refresh token", here, strings.Replace(body, `"refresh"}`, `"spent"}`, 1),
			newProof(t, key, here, "6", time.Now()), http.StatusForbidden},
		{"other client", here, strings.Replace(body, "same-device", "other", 1),
			newProof(t, key, here, "7", time.Now()), http.StatusBadRequest},
	} {
		r := post(tt.url, "application/json", tt.body)
		r.Header.Set("DPoP", tt.proof)
		status, answer := send(t, s, r)
		if status != tt.want {
			t.Errorf("%s: %d %s", tt.name, status, answer)
		}
		var out struct{ AccessToken Credentials }
		json.Unmarshal([]byte(answer), &out)
		if c := out.AccessToken; status == http.StatusOK {
			getPassword(t, s, credentials{c.AccessKeyID, c.SecretAccessKey, c.SessionToken}, privateAPI,
				"eu-west-2/ecr")
		}
	}
}

func ecKey(t *testing.T) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// newProof returns a DPoP proof of a key. https://www.rfc-editor.org/rfc/rfc9449#section-4.2
func newProof(t *testing.T, key *ecdsa.PrivateKey, u, id string, at time.Time) string {
	proof := jwt.NewWithClaims(jwt.SigningMethodES256,
		jwt.MapClaims{"jti": id, "htm": "POST", "htu": u, "iat": at.Unix()})
	encode := func(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
	point, err := key.PublicKey.ECDH()
	if err != nil {
		t.Fatal(err)
	}
	b := point.Bytes() // 4, X, Y
	proof.Header["typ"] = "dpop+jwt"
	proof.Header["jwk"] = map[string]string{"kty": "EC", "crv": "P-256", "x": encode(b[1:33]),
		"y": encode(b[33:])}
	text, err := proof.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestSSO(t *testing.T) {
	s := start(t, Options{})
	s.AddSSOAssignment("access", Account, "Developer", CIRole)
	const u = "https://portal.sso.eu-west-2.amazonaws.com/federation/credentials?account_id=" + Account +
		"&role_name="
	for _, tt := range []struct {
		url, token string
		want       int
	}{
		{u + "Developer", "access", http.StatusOK},
		{u + "Admin", "access", http.StatusForbidden},
		{u + "Developer", "old", http.StatusUnauthorized},
	} {
		status, body := send(t, s, get(tt.url, "x-amz-sso_bearer_token", tt.token))
		if status != tt.want {
			t.Errorf("%s: %d %s", tt.url, status, body)
		}
		var out struct {
			RoleCredentials struct{ AccessKeyID, SecretAccessKey, SessionToken string }
		}
		if err := json.Unmarshal([]byte(body), &out); err != nil {
			t.Fatal(err)
		}
		if c := out.RoleCredentials; status == 200 {
			getPassword(t, s, credentials{c.AccessKeyID, c.SecretAccessKey, c.SessionToken}, privateAPI,
				"eu-west-2/ecr")
		}
	}
}
