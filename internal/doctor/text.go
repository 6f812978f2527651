package doctor

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/oneline"
)

// tokenOf reports on claims.
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

// text writes a claim as a person would.
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

// shown is outside text, fit for a terminal.
func shown(s string) string {
	if s == "" {
		return "(none)"
	}
	return oneline.Clean(s)
}

// span writes a length of time for people: 42s, 4m30s, 1h5m, 12h.
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

// list writes claims that are not said elsewhere and not empty, one on a line, by name.
func list(claims map[string]any) string {
	var lines []string
	for name, value := range claims {
		if !slices.Contains([]string{"iss", "sub", "aud", "exp", "iat", "nbf", "jti"}, name) &&
			text(value) != "" {
			lines = append(lines, oneline.Clean(name)+" = "+shown(text(value)))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
