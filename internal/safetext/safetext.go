// Package safetext makes text that came from outside fit to be shown: one line, no tricks, no secrets.
package safetext

import (
	"regexp"
	"strings"
	"sync"
	"unicode"
)

// MaxSize is the most that is shown of one piece of outside text, in bytes.
const MaxSize = 600

// Sanitize is SingleLine, cut to MaxSize bytes. It is for each piece of outside text, where it is put into a
// sentence of ours.
func Sanitize(s string) string { return cut(SingleLine(s)) }

// SingleLine returns s as one line: control, bidirectional and other invisible characters become a space,
// runs of space one space, and invalid UTF-8 is replaced. "##[" is broken up, because the GitHub
// runner obeys it anywhere in a line (actions/runner ActionCommand.TryParse); "::" counts only at
// the start of a line, where our own prefix stands.
func SingleLine(s string) string {
	if len(s) > 8*MaxSize { // never walk through megabytes
		s = s[:8*MaxSize]
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || !unicode.IsGraphic(r) || unicode.Is(unicode.Cf, r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "##[", "# #[")
}

func cut(s string) string {
	if len(s) <= MaxSize {
		return s
	}
	return strings.ToValidUTF8(s[:MaxSize-len("...")], "") + "..." // drops a rune that the cut went through
}

// jwt matches what looks like a signed token, whoever's it is.
var jwt = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`eyJ[\w-]{8,}\.[\w-]+\.[\w-]*`) })

// userinfo matches the user and password of a URL, also of one that does not parse.
var userinfo = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`://[^/?#\s"']*@`) })

// Redact returns s with every secret in it, every token, and the user and password of every URL
// replaced by "***". Secrets shorter than eight bytes are passed over: they are no secrets, and
// striking them out would garble the line.
func Redact(s string, secrets ...string) string {
	for _, secret := range secrets {
		if secret = strings.TrimSpace(secret); len(secret) >= 8 {
			s = strings.ReplaceAll(s, secret, "***")
		}
	}
	s = userinfo().ReplaceAllLiteralString(s, "://***@")
	return jwt().ReplaceAllLiteralString(s, "***")
}
