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

// A refresh token of IAM Identity Center is good once, and comes with the next.
func TestSSORefreshTokenIsGoodOnce(t *testing.T) {
	w := start(t, Options{})
	w.AddSSORefreshToken("first", "access")
	ask := func(token, secret string) (int, string, map[string]any) {
		body, _ := json.Marshal(map[string]string{"clientId": "x", "clientSecret": secret, "grantType": "refresh_token", "refreshToken": token})
		status, text := do(t, w, post("https://oidc.eu-west-2.amazonaws.com/token", "application/json", string(body)))
		var out map[string]any
		json.Unmarshal([]byte(text), &out)
		return status, text, out
	}
	if status, body, _ := ask("first", ""); status != http.StatusUnauthorized || !strings.Contains(body, "InvalidClientException") {
		t.Errorf("without the client's secret: %d %s", status, body)
	}
	status, body, out := ask("first", "y")
	if status != http.StatusOK || out["accessToken"] != "access" {
		t.Fatalf("the first time: %d %s", status, body)
	}
	if status, body, _ := ask("first", "y"); status != http.StatusBadRequest || !strings.Contains(body, "InvalidGrantException") {
		t.Errorf("the second time: %d %s", status, body)
	}
	if status, body, _ := ask(out["refreshToken"].(string), "y"); status != http.StatusOK {
		t.Errorf("the next one: %d %s", status, body)
	}
}

// A renewal of "aws login" needs a fresh proof of the login's own key, and the login's region.
func TestConsoleLogin(t *testing.T) {
	w := start(t, Options{})
	key, other := ecKey(t), ecKey(t)
	w.AddRole(Role{ARN: CIRole})
	w.AddConsoleLogin("refresh", "eu-west-2", CIRole, &key.PublicKey)
	const here, there = "https://eu-west-2.signin.aws.amazon.com/v1/token", "https://us-east-1.signin.aws.amazon.com/v1/token"
	const body = `{"clientId": "` + ConsoleClientID + `", "grantType": "refresh_token", "refreshToken": "refresh"}`
	used := prove(t, key, here, "once", time.Now())
	for _, tt := range []struct {
		name, url, body, proof string
		want                   int
	}{
		{"good", here, body, used, http.StatusOK},
		{"used before", here, body, used, http.StatusBadRequest},
		{"once more", here, body, prove(t, key, here, "again", time.Now()), http.StatusOK},
		{"none", here, body, "", http.StatusBadRequest},
		{"of another key", here, body, prove(t, other, here, "2", time.Now()), http.StatusBadRequest},
		{"for another URL", here, body, prove(t, key, there, "3", time.Now()), http.StatusBadRequest},
		{"old", here, body, prove(t, key, here, "4", time.Now().Add(-10*time.Minute)), http.StatusBadRequest},
		{"in another region", there, body, prove(t, key, there, "5", time.Now()), http.StatusBadRequest},
		{"for a login that is over", here, strings.Replace(body, `"refresh"}`, `"spent"}`, 1), prove(t, key, here, "6", time.Now()), http.StatusForbidden},
		{"by another client", here, strings.Replace(body, "same-device", "other", 1), prove(t, key, here, "7", time.Now()), http.StatusBadRequest},
	} {
		r := post(tt.url, "application/json", tt.body)
		r.Header.Set("DPoP", tt.proof)
		status, answer := do(t, w, r)
		if status != tt.want {
			t.Errorf("a proof %s: %d %s", tt.name, status, answer)
		}
		var out struct{ AccessToken Credentials }
		json.Unmarshal([]byte(answer), &out)
		if c := out.AccessToken; status == http.StatusOK {
			login(t, w, credentials{c.AccessKeyID, c.SecretAccessKey, c.SessionToken}, privateAPI, "eu-west-2/ecr")
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

// prove makes a proof of possession. https://www.rfc-editor.org/rfc/rfc9449#section-4.2
func prove(t *testing.T, key *ecdsa.PrivateKey, u, id string, at time.Time) string {
	proof := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"jti": id, "htm": "POST", "htu": u, "iat": at.Unix()})
	number := func(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
	point, err := key.PublicKey.ECDH()
	if err != nil {
		t.Fatal(err)
	}
	b := point.Bytes() // 4, X, Y
	proof.Header["typ"] = "dpop+jwt"
	proof.Header["jwk"] = map[string]string{"kty": "EC", "crv": "P-256", "x": number(b[1:33]), "y": number(b[33:])}
	text, err := proof.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
