package emulator

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// ConsoleClientID is the client under which "aws login" on the browser's own
// machine gets its tokens.
const ConsoleClientID = "arn:aws:signin:::devtools/same-device"

// consoleLogin is a person's "aws login": whose credentials its refresh token
// gets, in which region, with a proof of which key.
type consoleLogin struct {
	role, region string
	key          *ecdsa.PublicKey
}

// consoleErrors are the OAuth codes that go with AWS's.
var consoleErrors = map[string]string{"AccessDeniedException": "TOKEN_EXPIRED", "ValidationException": "INVALID_REQUEST"}

// AddConsoleLogin lets the bearer of an "aws login" refresh token who has the key get
// a role's credentials, in one region. Add the role too.
func (w *Server) AddConsoleLogin(refreshToken, region, roleARN string, key *ecdsa.PublicKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.logins[refreshToken] = consoleLogin{roleARN, region, key}
}

// Credentials are a role session's, made without any question.
type Credentials struct{ AccessKeyID, SecretAccessKey, SessionToken string }

// RoleSession returns credentials of a role, as if somebody had assumed it.
func (w *Server) RoleSession(roleARN, name string, life time.Duration) Credentials {
	p := w.open(roleARN, name, life, nil)
	return Credentials{p.keyID, p.secret, p.token}
}

// consoleToken is CreateOAuth2Token of AWS Sign-In, for refresh tokens only.
// Unlike that of IAM Identity Center, a refresh token may be used again and again
// ("idempotent within token validity window"), but not in another region than
// the login's (https://github.com/aws/aws-cli/issues/10613).
// https://docs.aws.amazon.com/cli/latest/reference/signin/create-o-auth2-token.html
func (v *visit) consoleToken() {
	var in struct{ ClientID, GrantType, RefreshToken string }
	err := json.Unmarshal(v.body, &in)
	v.w.mu.Lock()
	login, known := v.w.logins[in.RefreshToken]
	v.w.mu.Unlock()
	switch {
	case err != nil || v.r.Method != http.MethodPost || v.at.path != "/v1/token" || in.ClientID != ConsoleClientID || in.GrantType != "refresh_token":
		v.fail(apiError{http.StatusBadRequest, "ValidationException", "Invalid request"})
	case !known:
		v.fail(apiError{http.StatusForbidden, "AccessDeniedException", "The refresh token has expired"})
	case v.at.region != "" && v.at.region != login.region:
		v.fail(apiError{http.StatusBadRequest, "ValidationException", "Invalid request"})
	default:
		if err := v.possesses(login.key); err != nil {
			v.fail(apiError{http.StatusBadRequest, "ValidationException", "Invalid DPoP proof: " + err.Error()})
			return
		}
		p := v.w.open(login.role, "jane@example.com", 15*time.Minute, nil)
		v.caller(p.arn)
		v.json(http.StatusOK, map[string]any{
			"accessToken": map[string]string{"accessKeyId": p.keyID, "secretAccessKey": p.secret, "sessionToken": p.token},
			"tokenType":   "aws_sigv4", "expiresIn": 900, "refreshToken": in.RefreshToken,
		})
	}
}

// possesses verifies the request's proof that its sender has a key.
// https://www.rfc-editor.org/rfc/rfc9449#section-4.3
func (v *visit) possesses(key *ecdsa.PublicKey) error {
	var claims struct {
		jwt.RegisteredClaims
		Method string `json:"htm"`
		URL    string `json:"htu"`
	}
	proof, err := jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}), jwt.WithIssuedAt(), jwt.WithTimeFunc(v.w.now), jwt.WithLeeway(time.Minute)).
		ParseWithClaims(v.r.Header.Get("DPoP"), &claims, func(t *jwt.Token) (any, error) { return publicKey(t.Header["jwk"]) })
	if err != nil {
		return err
	}
	shown, _ := publicKey(proof.Header["jwk"])
	v.w.mu.Lock()
	defer v.w.mu.Unlock()
	switch {
	case proof.Header["typ"] != "dpop+jwt":
		return errors.New("its type is not dpop+jwt")
	case !shown.Equal(key):
		return errors.New("it is of another key than the login's")
	case claims.Method != v.r.Method || claims.URL != v.at.base+v.at.path:
		return fmt.Errorf("it is for %s %s, not for %s %s", claims.Method, claims.URL, v.r.Method, v.at.base+v.at.path)
	case claims.IssuedAt == nil || v.w.now().Sub(claims.IssuedAt.Time) > 5*time.Minute:
		return errors.New("it is old, or of no date")
	case claims.ID == "" || v.w.proofs[claims.ID]:
		return errors.New("it was used before")
	}
	v.w.proofs[claims.ID] = true
	return nil
}

// publicKey reads a proof's key. The coordinates may lack their leading zeros, as
// those of the AWS SDK for Go do.
func publicKey(value any) (*ecdsa.PublicKey, error) {
	jwk, ok := value.(map[string]any)
	if !ok || jwk["kty"] != "EC" || jwk["crv"] != "P-256" {
		return nil, errors.New("it shows no P-256 key")
	}
	number := func(name string) *big.Int {
		text, _ := jwk[name].(string)
		b, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			return new(big.Int)
		}
		return new(big.Int).SetBytes(b)
	}
	key := &ecdsa.PublicKey{Curve: elliptic.P256(), X: number("x"), Y: number("y")}
	if _, err := key.ECDH(); err != nil {
		return nil, errors.New("its key is not on the curve")
	}
	return key, nil
}
