package emulator

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"strings"
	"sync"

	"github.com/golang-jwt/jwt/v5"
)

// Issuers of GitHub's and CircleCI's tokens.
const (
	GitHubIssuer = "https://" + githubIssuerHost
	circleIssuer = "https://" + circleHost
)

// The issuers' keys are generated once per process, when first used, because generating an RSA key
// takes a tenth of a second and a test suite starts many emulators.
var (
	githubKey    = sync.OnceValue(newKey)
	circleKey    = sync.OnceValue(newKey)
	defaultKey   = sync.OnceValue(newKey) // of all other issuers
	untrustedKey = sync.OnceValue(newKey) // of no issuer
)

func newKey() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // cannot happen for a valid key size
	}
	return k
}

func issuerKey(issuer string) *rsa.PrivateKey {
	switch {
	case strings.HasPrefix(issuer, GitHubIssuer):
		return githubKey()
	case strings.HasPrefix(issuer, circleIssuer):
		return circleKey()
	}
	return defaultKey()
}

// kid returns the key ID in a token's header.
func kid(k *rsa.PrivateKey) string {
	sum := sha256.Sum256(k.N.Bytes())
	return strings.ToUpper(hex.EncodeToString(sum[:20]))
}

// Mint returns a token of an issuer, signed with the issuer's key. It is valid for 5 minutes unless the
// claims set other times. Claims that are nil are omitted.
func (s *Server) Mint(issuer string, claims map[string]any) string {
	return s.sign(issuer, claims, issuerKey(issuer))
}

// MintWrongKey is Mint with the issuer's key ID but a signature of another key.
func (s *Server) MintWrongKey(issuer string, claims map[string]any) string {
	return s.sign(issuer, claims, untrustedKey())
}

func (s *Server) sign(issuer string, claims map[string]any, key *rsa.PrivateKey) string {
	now := s.now().Unix()
	all := jwt.MapClaims{"iss": issuer, "iat": now, "nbf": now, "exp": now + 300, "jti": newUUID()}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	t := jwt.NewWithClaims(jwt.SigningMethodRS256, all)
	t.Header["kid"] = kid(issuerKey(issuer))
	signed, err := t.SignedString(key)
	if err != nil {
		panic(fmt.Sprintf("signing claims %v: %v", claims, err))
	}
	return signed
}

// issuer serves the discovery document and the keys of GitHub's and CircleCI's issuers.
// https://openid.net/specs/openid-connect-discovery-1_0.html
func (r *request) issuer() {
	prefix, file, found := strings.Cut(r.endpoint.path, "/.well-known/")
	issuer, keys := GitHubIssuer, "jwks"
	if r.endpoint.service == "circleci" {
		// Each organization has its own issuer.
		// https://circleci.com/docs/openid-connect-tokens/
		issuer, keys = circleIssuer+prefix, "jwks-pub.json"
	}
	switch {
	case !found || r.endpoint.service == "github" && prefix != "":
		r.writeError(apiError{http.StatusNotFound, "", "not found"})
	case file == "openid-configuration":
		r.writeJSON(http.StatusOK, map[string]any{
			"issuer":                                issuer,
			"jwks_uri":                              r.endpoint.base + prefix + "/.well-known/" + keys,
			"response_types_supported":              []string{"id_token"},
			"subject_types_supported":               []string{"public"},
			"id_token_signing_alg_values_supported": []string{"RS256"},
		})
	case file == keys:
		k := issuerKey(issuer)
		r.writeJSON(http.StatusOK, map[string]any{"keys": []any{map[string]string{
			"kty": "RSA", "alg": "RS256", "use": "sig", "kid": kid(k),
			"n": base64.RawURLEncoding.EncodeToString(k.N.Bytes()),
			"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(k.E)).Bytes()),
		}}})
	default:
		r.writeError(apiError{http.StatusNotFound, "", "not found"})
	}
}
