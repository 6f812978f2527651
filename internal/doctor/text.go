package doctor

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
)

// tokenOf returns the report of a token with these claims.
func tokenOf(claims map[string]any) *Token {
	t := &Token{Claims: claims, Issuer: text(claims["iss"]), Subject: text(claims["sub"])}
	t.Audience = []string{}
	switch aud := claims["aud"].(type) {
	case nil:
	case []any:
		for _, a := range aud {
			t.Audience = append(t.Audience, text(a))
		}
	default:
		t.Audience = append(t.Audience, text(aud))
	}
	return t
}

// text formats a claim; strings are not quoted.
func text(claim any) string {
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

// shown returns external text that is safe to print.
func shown(s string) string {
	if s == "" {
		return "(none)"
	}
	return safetext.Sanitize(s)
}

// span formats a duration: 42s, 4m30s, 1h5m, 12h.
func span(d time.Duration) string {
	unit := time.Second
	if d >= time.Hour {
		unit = time.Minute
	}
	s := d.Round(unit).String()
	for _, none := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, none) {
			s = s[:len(s)-2]
		}
	}
	return s
}

// list returns the other claims that are not empty, one on each line, sorted by name.
func list(claims map[string]any) string {
	var lines []string
	for name, value := range claims {
		if !slices.Contains([]string{"iss", "sub", "aud", "exp", "iat", "nbf", "jti"}, name) &&
			text(value) != "" {
			lines = append(lines, safetext.Sanitize(name)+" = "+shown(text(value)))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
