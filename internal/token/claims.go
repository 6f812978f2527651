package token

import (
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
)

// Token is a job's OIDC token. Raw is a secret: it can be exchanged for the role's credentials
// until it expires, after five minutes to an hour. A Token is therefore formatted as its subject.
type Token struct {
	Raw    string
	Claims Claims
}

// String returns a description of the token without Raw.
func (t Token) String() string {
	return fmt.Sprintf("token for %q", safetext.Sanitize(t.Claims.Subject))
}

// GoString returns the same text as String.
func (t Token) GoString() string { return t.String() }

// Claims are the registered claims of a token. They are not verified, and not sanitized for output.
type Claims struct {
	Issuer   string
	Subject  string
	Audience []string
	Issued   time.Time // zero when the token has no iat
	Expires  time.Time // zero when the token has no exp
}

// maxToken is the maximum length of WebIdentityToken in characters (AssumeRoleWithWebIdentity, API
// reference).
const maxToken = 20000

// Parse parses a token's claims. The error contains no part of raw.
//
// Parse does not verify the signature. STS verifies it with the issuer's keys, and only its
// decision matters. Here the claims serve messages and detect a token that has expired or has the
// wrong audience. Verification would cost requests to the issuer, and could only reject tokens that
// STS accepts.
func Parse(raw string) (Token, error) {
	if len(raw) > maxToken {
		return Token{}, fmt.Errorf("reading the OIDC token: it is longer than the %d characters "+
			"that STS accepts", maxToken)
	}
	var c jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(raw, &c); err != nil {
		return Token{}, errors.New("reading the OIDC token: it is not a JWT")
	}
	claims := Claims{Issuer: c.Issuer, Subject: c.Subject, Audience: c.Audience}
	if c.IssuedAt != nil {
		claims.Issued = c.IssuedAt.Time
	}
	if c.ExpiresAt != nil {
		claims.Expires = c.ExpiresAt.Time
	}
	return Token{Raw: raw, Claims: claims}, nil
}

// Payload returns all claims of the token, with numbers as json.Number. It returns nil when Raw is
// not a token. The claims are not verified, and not sanitized for output.
func (t Token) Payload() map[string]any {
	claims := jwt.MapClaims{}
	parser := jwt.NewParser(jwt.WithJSONNumber())
	if _, _, err := parser.ParseUnverified(t.Raw, claims); err != nil {
		return nil
	}
	return claims
}
