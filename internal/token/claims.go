package token

import (
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
)

// Token is a job's OIDC token. It prints as its subject: Raw is as good as a password for five
// minutes to an hour.
type Token struct {
	Raw    string
	Claims Claims
}

func (t Token) String() string {
	return fmt.Sprintf("token for %q", safetext.Sanitize(t.Claims.Subject))
}
func (t Token) GoString() string { return t.String() }

// Claims is what a token says of its job, as it stands in the token: not verified, and not cleaned
// for printing.
type Claims struct {
	Issuer   string
	Subject  string
	Audience []string
	Issued   time.Time // zero where it is not said
	Expires  time.Time // zero where it is not said
}

// maxToken is how many characters STS takes as WebIdentityToken (AssumeRoleWithWebIdentity, API reference).
const maxToken = 20000

// Parse reads a token's claims. Nothing of it, not even a part, is in the error.
//
// The signature is not verified. STS does that, with the issuer's keys, and what it decides counts;
// here the claims only tell a person who was refused, and when to ask for a new token. Verifying
// would cost requests to the issuer and could only ever refuse what STS would have let in.
func Parse(raw string) (Token, error) {
	if len(raw) > maxToken {
		return Token{}, fmt.Errorf("reading the OIDC token: it is longer than the %d characters that "+
			"STS takes", maxToken)
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

// Payload returns every claim of the token as JSON has it, numbers as json.Number: not verified,
// and not cleaned for printing.
func (t Token) Payload() map[string]any {
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser(jwt.WithJSONNumber()).ParseUnverified(t.Raw, claims); err != nil {
		return nil
	}
	return claims
}
