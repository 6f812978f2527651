package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// A policy or claims that are longer than AWS accepts, and input that is longer than 1 MiB, are an
// error. doctor does not evaluate a part of them, and ends soon.
func TestDoctorLimits(t *testing.T) {
	t.Parallel()
	const issuer = "token.actions.githubusercontent.com"
	dir := t.TempDir()
	policy := func(pattern string) string {
		return fmt.Sprintf(`{"Version": "2012-10-17", "Statement": {
			"Effect": "Allow", "Action": "sts:*",
			"Principal": {"Federated": "arn:aws:iam::123456789012:oidc-provider/%s"},
			"Condition": {"StringLike": {"%[1]s:sub": %[2]q}}}}`, issuer, pattern)
	}
	claims := func(sub string) string {
		return fmt.Sprintf(`{"iss": "https://%s", "aud": "sts.amazonaws.com", "sub": %q}`, issuer,
			sub)
	}
	report := func(claims string) string {
		return fmt.Sprintf(`{"format_version": 1, "registries": [{"role": %q, "token": {"claims": %s}}]}`,
			emulator.CIRole, claims)
	}
	megabyte := strings.Repeat(" ", 1<<20)
	for name, text := range map[string]string{
		"policy": policy("repo:acme/*"), "claims": claims("repo:acme/app:pull_request"),
		"long-policy":    policy("*" + strings.Repeat("a", 40000) + "b"),
		"long-claims":    claims(strings.Repeat("a", 1000000)),
		"long-report":    report(claims(strings.Repeat("a", 1000000))),
		"padded-policy":  policy("repo:acme/*") + megabyte,
		"padded-claims":  claims("repo:acme/app:pull_request") + megabyte,
		"two-claims":     claims("repo:acme/app:pull_request") + claims("another"),
		"two-reports":    report(claims("x")) + "{}",
		"longest-policy": policy("*" + strings.Repeat("a", 7900) + "b"),
		"longest-claims": claims(strings.Repeat("a", 14000)),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const longer = " exceed the 20000 characters that STS accepts for a token"
	for _, tt := range []struct{ stdin, args, want string }{
		{"", "--claims claims --trust-policy policy", ""},
		{"", "--claims long-claims --trust-policy long-policy",
			"reading the trust policy: line 1: the policy exceeds IAM's limit of 8192 " +
				"characters"},
		{"", "--claims long-claims --trust-policy policy", "reading the claims: 1000"},
		{"", "--claims long-claims", "reading the claims: 1000"},
		{"", "--claims long-report", "reading the claims: 1000"},
		{"", "--claims padded-claims --trust-policy policy",
			"reading the claims: padded-claims is longer than 1 MiB"},
		{"", "--claims claims --trust-policy padded-policy",
			"reading the trust policy: padded-policy is longer than 1 MiB"},
		{claims("x") + megabyte, "--claims - --trust-policy policy",
			"reading the claims: stdin is longer than 1 MiB"},
		{policy("*") + megabyte, "--claims claims --trust-policy -",
			"reading the trust policy: stdin is longer than 1 MiB"},
		{"", "--claims two-claims --trust-policy policy",
			"reading the claims: there is more text after the JSON object"},
		{"", "--claims two-reports --trust-policy policy",
			"reading the claims: there is more text after the JSON object"},
	} {
		start := time.Now()
		out := runDoctor(t, dir, tt.stdin, strings.Fields(tt.args)...)
		switch {
		case tt.want == "" && (out.code != 0 || out.stderr != ""):
			t.Errorf("%s: %.500q", tt.args, fmt.Sprint(out))
		case tt.want != "" && (out.code != 1 || out.stdout != "" ||
			!strings.HasPrefix(out.stderr, "ecr-oidc: "+tt.want) ||
			strings.HasSuffix(tt.want, "1000") != strings.Contains(out.stderr, longer)):
			t.Errorf("%s: exit %d, stdout %.200q, stderr %.500q; want %q", tt.args, out.code,
				out.stdout, out.stderr, tt.want)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%s: took %v", tt.args, took)
		}
	}
	out := runDoctor(t, dir, "", "--claims", "longest-claims", "--trust-policy", "longest-policy")
	const refused = "The trust policy does not admit this token"
	if out.code != 1 || !strings.Contains(out.stdout, refused) {
		t.Errorf("longest policy and claims: %.500q", fmt.Sprint(out))
	}
}
