package safetext

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestSanitize(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"plain", "Not authorized to perform sts:AssumeRoleWithWebIdentity", "Not authorized to perform sts:AssumeRoleWithWebIdentity"},
		{"newlines", "a\r\nb\u2028c\u2029d\u0085e", "a b c d e"},
		{"a workflow command on a line of its own", "x\n::add-mask::y", "x ::add-mask::y"},
		{"a workflow command anywhere", "x ##[error]y", "x # #[error]y"},
		{"escape sequences", "a\x1b[31mred\x07", "a [31mred"},
		{"bidi and zero width", "a\u202eb\u200bc\ufeffd\u2066e", "a b c d e"},
		{"invalid UTF-8", "a\xff\xfeb", "a?b"},
		{"spaces", "  a \t  b  ", "a b"},
		{"other scripts stay", "сборка 構築", "сборка 構築"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Sanitize(tt.in); got != tt.want {
				t.Errorf("Sanitize(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestRedact(t *testing.T) {
	if got := Redact("a hunter2-hunter2 b short c", "hunter2-hunter2\n", "short", ""); got != "a *** b short c" {
		t.Errorf("Redact = %q", got)
	}
}

// The user and password of a URL are struck out, in whatever form, and nothing else of it.
func TestRedactURL(t *testing.T) {
	for in, want := range map[string]string{
		"Failed to parse uri: https://svc:S3cr3t%Pass@localhost:1": "Failed to parse uri: https://***@localhost:1",
		`parse "http://user:secret@proxy:3128": invalid`:           `parse "http://***@proxy:3128": invalid`,
		"https://svc:p@ss@host/x https://token@host":               "https://***@host/x https://***@host",
		"x, http://a:b@[::1]:80/":                                  "x, http://***@[::1]:80/",
		"https://host/app@sha256:1 and repo:acme@1/app@2":          "https://host/app@sha256:1 and repo:acme@1/app@2",
		"issuer https://host, subject repo:acme@1234/app@5678:ref": "issuer https://host, subject repo:acme@1234/app@5678:ref",
	} {
		if got := Redact(in); got != want {
			t.Errorf("Redact(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a\nb")
	f.Add(strings.Repeat("é", MaxSize))
	f.Add("\xff##[x]\u202e")
	f.Fuzz(func(t *testing.T, s string) {
		got := Sanitize(s)
		if len(got) > MaxSize || !utf8.ValidString(got) || strings.Contains(got, "##[") {
			t.Errorf("Sanitize(%q) = %q", s, got)
		}
		for _, r := range got {
			if r != ' ' && (unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
				t.Errorf("Sanitize(%q) kept %U", s, r)
			}
		}
	})
}
