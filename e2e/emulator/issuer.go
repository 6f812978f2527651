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

// Issuers of the tokens that the emulator signs.
const (
	GitHubIssuer = "https://" + githubIssuerHost
	circleIssuer = "https://" + circleHost
)

// The issuers' keys are made once per process, when first used: making an RSA
// key takes a tenth of a second, and a test suite starts many worlds.
var (
	githubKey   = sync.OnceValue(newKey)
	circleKey   = sync.OnceValue(newKey)
	otherKey    = sync.OnceValue(newKey) // of every issuer that is neither
	strangerKey = sync.OnceValue(newKey) // of nobody
)

func newKey() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // not for want of entropy: Go has no such failure
	}
	return k
}

func keyOf(issuer string) *rsa.PrivateKey {
	switch {
	case strings.HasPrefix(issuer, GitHubIssuer):
		return githubKey()
	case strings.HasPrefix(issuer, circleIssuer):
		return circleKey()
	}
	return otherKey()
}

func kid(k *rsa.PrivateKey) string {
	sum := sha256.Sum256(k.N.Bytes())
	return strings.ToUpper(hex.EncodeToString(sum[:20]))
}

// Mint returns a token of any issuer, signed with that issuer's key. It lives
// 5 minutes from now unless the claims say otherwise; a nil claim is left out.
func (w *Server) Mint(issuer string, claims map[string]any) string {
	return w.sign(issuer, claims, keyOf(issuer))
}

// MintWrongKey is Mint with the right key id but somebody else's signature.
func (w *Server) MintWrongKey(issuer string, claims map[string]any) string {
	return w.sign(issuer, claims, strangerKey())
}

func (w *Server) sign(issuer string, claims map[string]any, key *rsa.PrivateKey) string {
	now := w.now().Unix()
	all := jwt.MapClaims{"iss": issuer, "iat": now, "nbf": now, "exp": now + 300, "jti": guid()}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	t := jwt.NewWithClaims(jwt.SigningMethodRS256, all)
	t.Header["kid"] = kid(keyOf(issuer))
	s, err := t.SignedString(key)
	if err != nil {
		panic(fmt.Sprintf("signing claims %v: %v", claims, err))
	}
	return s
}

// issuer serves discovery and keys of GitHub's and CircleCI's issuers.
// https://openid.net/specs/openid-connect-discovery-1_0.html
func (v *visit) issuer() {
	prefix, file, found := strings.Cut(v.at.path, "/.well-known/")
	issuer, keys := GitHubIssuer, "jwks"
	if v.at.service == "circleci" {
		// Each organisation is an issuer of its own.
		// https://circleci.com/docs/openid-connect-tokens/
		issuer, keys = circleIssuer+prefix, "jwks-pub.json"
	}
	switch {
	case !found || v.at.service == "github" && prefix != "":
		v.fail(apiError{http.StatusNotFound, "", "not found"})
	case file == "openid-configuration":
		v.json(http.StatusOK, map[string]any{
			"issuer":                                issuer,
			"jwks_uri":                              v.at.base + prefix + "/.well-known/" + keys,
			"response_types_supported":              []string{"id_token"},
			"subject_types_supported":               []string{"public"},
			"id_token_signing_alg_values_supported": []string{"RS256"},
		})
	case file == keys:
		k := keyOf(issuer)
		v.json(http.StatusOK, map[string]any{"keys": []any{map[string]string{
			"kty": "RSA", "alg": "RS256", "use": "sig", "kid": kid(k),
			"n": base64.RawURLEncoding.EncodeToString(k.N.Bytes()),
			"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(k.E)).Bytes()),
		}}})
	default:
		v.fail(apiError{http.StatusNotFound, "", "not found"})
	}
}
