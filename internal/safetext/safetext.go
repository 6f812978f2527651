// Package safetext prepares external text for messages: it makes the text a single line, removes
// characters that deceive the reader, and redacts secrets.
package safetext

import (
	"regexp"
	"strings"
	"sync"
	"unicode"
)

// MaxSize is the maximum size in bytes of a text that Sanitize returns.
const MaxSize = 600

// Sanitize returns s as a single line of at most MaxSize bytes. Use it for each external text that
// becomes part of a message.
func Sanitize(s string) string { return truncate(SingleLine(s)) }

// SingleLine returns s as a single line. It replaces control, bidirectional and other invisible
// characters by spaces, each run of spaces by one space, and invalid UTF-8 by "?". It only reads the
// first 8*MaxSize bytes of s.
//
// SingleLine also breaks up "##[", because the GitHub Actions runner executes a command with that
// prefix anywhere in a line (actions/runner, ActionCommand.TryParse). The runner recognizes the
// prefix "::" only at the start of a line, and every message of the helper starts with a prefix of
// its own.
func SingleLine(s string) string {
	if len(s) > 8*MaxSize { // the text may be megabytes long
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

func truncate(s string) string {
	if len(s) <= MaxSize {
		return s
	}
	// ToValidUTF8 removes a character that the truncation has split.
	return strings.ToValidUTF8(s[:MaxSize-len("...")], "") + "..."
}

// jwt matches signed tokens.
var jwt = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`eyJ[\w-]{8,}\.[\w-]+\.[\w-]*`)
})

// userinfo matches the user and the password of a URL, even if the URL is malformed.
var userinfo = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`://[^/?#\s"']*@`)
})

// Redact returns s with "***" in place of the given secrets, all JWTs, and the user and the password
// of all URLs. It ignores secrets shorter than eight bytes: such a value is not a secret, and
// redacting it would make the text unreadable.
func Redact(s string, secrets ...string) string {
	for _, secret := range secrets {
		if secret = strings.TrimSpace(secret); len(secret) >= 8 {
			s = strings.ReplaceAll(s, secret, "***")
		}
	}
	s = userinfo().ReplaceAllLiteralString(s, "://***@")
	return jwt().ReplaceAllLiteralString(s, "***")
}
