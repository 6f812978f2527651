package config

import (
	"strings"
	"testing"
)

// TestBlockText checks that a policy can be written as a block of lines.
func TestBlockText(t *testing.T) {
	const policy = `{"Statement": [{"Effect": "Allow",
"Action": "ecr:*", "Resource": "*"}]}`
	block := "    " + strings.ReplaceAll(policy, "\n", "\n    ")
	for _, style := range []string{"|", "|-", ">"} {
		text := "default:\n  role: ci\n  session_policy: " + style + "\n" + block + "\n"
		want := policy
		if style == ">" {
			want = strings.ReplaceAll(policy, "\n", " ")
		}
		if p, err := resolveForFile(t, text, nil); err != nil || p.SessionPolicy != want {
			t.Errorf("%s: %q, %v", style, p.SessionPolicy, err)
		}
	}
}
