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

// ConsoleClientID is the client ID of "aws login" on the machine that has the browser.
const ConsoleClientID = "arn:aws:signin:::devtools/same-device"

// consoleLogin is the state of one "aws login" (AWS Sign-In).
type consoleLogin struct {
	role, region string           // whose credentials it returns, and in which region
	key          *ecdsa.PublicKey // that the DPoP proofs must be signed with
}

// consoleErrors are the OAuth error codes by AWS error code.
var consoleErrors = map[string]string{
	"AccessDeniedException": "TOKEN_EXPIRED",
	"ValidationException":   "INVALID_REQUEST",
}

// AddConsoleLogin adds a login by "aws login". With the refresh token and a proof of the key, a client
// gets credentials of the role, in one region. The role must be added separately.
func (s *Server) AddConsoleLogin(refreshToken, region, roleARN string, key *ecdsa.PublicKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.consoleLogins[refreshToken] = consoleLogin{roleARN, region, key}
}

// Credentials are the credentials of a role session.
type Credentials struct{ AccessKeyID, SecretAccessKey, SessionToken string }

// RoleSession returns credentials of a role without evaluating its trust policy.
func (s *Server) RoleSession(roleARN, name string, ttl time.Duration) Credentials {
	p := s.newSession(roleARN, name, ttl, nil)
	return Credentials{p.keyID, p.secret, p.token}
}

// createOAuth2Token serves CreateOAuth2Token of AWS Sign-In, for refresh tokens only. Unlike those
// of IAM Identity Center, they can be used several times ("idempotent within token validity
// window"), but only in the region of the login (https://github.com/aws/aws-cli/issues/10613).
// https://docs.aws.amazon.com/cli/latest/reference/signin/create-o-auth2-token.html
func (r *request) createOAuth2Token() {
	var in struct{ ClientID, GrantType, RefreshToken string }
	err := json.Unmarshal(r.body, &in)
	r.server.mu.Lock()
	login, known := r.server.consoleLogins[in.RefreshToken]
	r.server.mu.Unlock()
	switch {
	case err != nil, r.httpReq.Method != http.MethodPost, r.endpoint.path != "/v1/token",
		in.ClientID != ConsoleClientID, in.GrantType != "refresh_token":
		r.writeError(apiError{http.StatusBadRequest, "ValidationException", "Invalid request"})
	case !known:
		r.writeError(apiError{http.StatusForbidden, "AccessDeniedException", "The refresh token has expired"})
	case r.endpoint.region != "" && r.endpoint.region != login.region:
		r.writeError(apiError{http.StatusBadRequest, "ValidationException", "Invalid request"})
	default:
		if err := r.checkProof(login.key); err != nil {
			r.writeError(apiError{http.StatusBadRequest, "ValidationException",
				"Invalid DPoP proof: " + err.Error()})
			return
		}
		p := r.server.newSession(login.role, "jane@example.com", 15*time.Minute, nil)
		r.setCaller(p.arn)
		r.writeJSON(http.StatusOK, map[string]any{
			"accessToken": map[string]string{
				"accessKeyId": p.keyID, "secretAccessKey": p.secret, "sessionToken": p.token,
			},
			"tokenType": "aws_sigv4", "expiresIn": 900, "refreshToken": in.RefreshToken,
		})
	}
}

// checkProof verifies the request's DPoP proof, which shows that the client has the private key.
// https://www.rfc-editor.org/rfc/rfc9449#section-4.3
func (r *request) checkProof(key *ecdsa.PublicKey) error {
	var claims struct {
		jwt.RegisteredClaims
		Method string `json:"htm"`
		URL    string `json:"htu"`
	}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}), jwt.WithIssuedAt(),
		jwt.WithTimeFunc(r.server.now), jwt.WithLeeway(time.Minute))
	proof, err := parser.ParseWithClaims(r.httpReq.Header.Get("DPoP"), &claims,
		func(t *jwt.Token) (any, error) {
			return publicKey(t.Header["jwk"])
		})
	if err != nil {
		return err
	}
	presented, _ := publicKey(proof.Header["jwk"])
	url := r.endpoint.base + r.endpoint.path
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	switch {
	case proof.Header["typ"] != "dpop+jwt":
		return errors.New("the type is not dpop+jwt")
	case !presented.Equal(key):
		return errors.New("the key is not the key of the login")
	case claims.Method != r.httpReq.Method || claims.URL != url:
		return fmt.Errorf("the proof is for %s %s, not for %s %s", claims.Method, claims.URL,
			r.httpReq.Method, url)
	case claims.IssuedAt == nil || r.server.now().Sub(claims.IssuedAt.Time) > 5*time.Minute:
		return errors.New("the proof has expired or has no date")
	case claims.ID == "" || r.server.usedProofs[claims.ID]:
		return errors.New("the proof has already been used")
	}
	r.server.usedProofs[claims.ID] = true
	return nil
}

// publicKey parses a proof's JWK. It accepts coordinates without leading zeros, because the AWS SDK for
// Go omits them.
func publicKey(value any) (*ecdsa.PublicKey, error) {
	jwk, ok := value.(map[string]any)
	if !ok || jwk["kty"] != "EC" || jwk["crv"] != "P-256" {
		return nil, errors.New("the key is not a P-256 key")
	}
	coordinate := func(name string) *big.Int {
		text, _ := jwk[name].(string)
		b, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			return new(big.Int)
		}
		return new(big.Int).SetBytes(b)
	}
	key := &ecdsa.PublicKey{Curve: elliptic.P256(), X: coordinate("x"), Y: coordinate("y")}
	if _, err := key.ECDH(); err != nil {
		return nil, errors.New("the key is not on the curve")
	}
	return key, nil
}
