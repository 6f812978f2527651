package doctor

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
)

// newToken returns the Token with these claims. Its Audience is never nil.
func newToken(claims map[string]any) *Token {
	t := &Token{Claims: claims, Issuer: claimText(claims["iss"]), Subject: claimText(claims["sub"])}
	t.Audience = []string{}
	switch aud := claims["aud"].(type) {
	case nil:
	case []any:
		for _, a := range aud {
			t.Audience = append(t.Audience, claimText(a))
		}
	default:
		t.Audience = append(t.Audience, claimText(aud))
	}
	return t
}

// claimText returns a string claim unquoted, any other claim as JSON, and "" for nil.
func claimText(claim any) string {
	switch c := claim.(type) {
	case nil:
		return ""
	case string:
		return c
	}
	b, err := json.Marshal(claim)
	if err != nil {
		return "?"
	}
	return string(b)
}

// display returns external text that is safe to print, and "(none)" for "".
func display(s string) string {
	if s == "" {
		return "(none)"
	}
	return safetext.Sanitize(s)
}

// formatDuration returns a duration rounded to seconds, or to minutes from one hour on: 42s, 4m30s,
// 1h5m, 12h.
func formatDuration(d time.Duration) string {
	unit := time.Second
	if d >= time.Hour {
		unit = time.Minute
	}
	s := d.Round(unit).String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}

// otherClaims returns the claims that are not empty and not part of the token check, one per line,
// sorted by name.
func otherClaims(claims map[string]any) string {
	var lines []string
	for name, value := range claims {
		if !slices.Contains([]string{"iss", "sub", "aud", "exp", "iat", "nbf", "jti"}, name) &&
			claimText(value) != "" {
			lines = append(lines, safetext.Sanitize(name)+" = "+display(claimText(value)))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
