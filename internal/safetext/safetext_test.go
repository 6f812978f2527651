package safetext

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestSanitize(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"plain", "Not authorized to perform sts:AssumeRoleWithWebIdentity",
			"Not authorized to perform sts:AssumeRoleWithWebIdentity"},
		{"newlines", "a\r\nb\u2028c\u2029d\u0085e", "a b c d e"},
		{"a workflow command at the start of a line", "x\n::add-mask::y", "x ::add-mask::y"},
		{"a workflow command within a line", "x ##[error]y", "x # #[error]y"},
		{"escape sequences", "a\x1b[31mred\x07", "a [31mred"},
		{"bidirectional and zero-width characters", "a\u202eb\u200bc\ufeffd\u2066e",
			"a b c d e"},
		{"invalid UTF-8", "a\xff\xfeb", "a?b"},
		{"spaces", "  a \t  b  ", "a b"},
		{"non-Latin scripts", "сборка 構築", "сборка 構築"},
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
	got := Redact("a hunter2-hunter2 b short c", "hunter2-hunter2\n", "short", "")
	if want := "a *** b short c"; got != want {
		t.Errorf("Redact returned %q, want %q", got, want)
	}
}

// Redact redacts the user and the password of a URL, and nothing else in it.
func TestRedactURL(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"Failed to parse uri: https://svc:S3cr3t%Pass@localhost:1",
			"Failed to parse uri: https://***@localhost:1"},
		{`parse "http://user:secret@proxy:3128": invalid`,
			`parse "http://***@proxy:3128": invalid`},
		{"https://svc:p@ss@host/x https://token@host",
			"https://***@host/x https://***@host"},
		{"x, http://a:b@[::1]:80/", "x, http://***@[::1]:80/"},
		{"https://host/app@sha256:1 and repo:acme@1/app@2",
			"https://host/app@sha256:1 and repo:acme@1/app@2"},
		{"issuer https://host, subject repo:acme@1234/app@5678:ref",
			"issuer https://host, subject repo:acme@1234/app@5678:ref"},
	} {
		if got := Redact(tt.in); got != tt.want {
			t.Errorf("Redact(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func FuzzSanitize(f *testing.F) {
	f.Add("a\nb")
	f.Add(strings.Repeat("é", MaxSize))
	f.Add("\xff##[x]\u202e")
	f.Fuzz(func(t *testing.T, s string) {
		got := Sanitize(s)
		if len(got) > MaxSize || !utf8.ValidString(got) || strings.Contains(got, "##[") {
			t.Errorf("Sanitize(%q) = %q", s, got)
		}
		for _, r := range got {
			unsafe := unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
			if r != ' ' && unsafe {
				t.Errorf("Sanitize(%q) kept %U", s, r)
			}
		}
	})
}
