package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/doctor"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/trust"
)

// Any input is either parsed or an error, and no line of the output comes from the input.
func FuzzClaims(f *testing.F) {
	for _, s := range []string{
		`{"iss": "https://token.actions.githubusercontent.com",
			"sub": "repo:acme/app:ref:refs/heads/main", "aud": ["sts.amazonaws.com"],
			"n": 19521337042123456789}`,
		`{"format_version": 1, "registries": [{"registry": "` + host + `",
			"role": "r", "token": {"claims": {"iss": "x", "aud": 5}}}]}`,
		`{"format_version": 1, "registries": [{"token": {}}]}`, `{"iss": null}`,
		`{"iss": {"a": [1e400]}, "sub": "\u0007\n::error::x"}`, `null`, `[]`, `{"format_version": 2}`, ``,
	} {
		f.Add([]byte(s))
	}
	const issuer = "token.actions.githubusercontent.com"
	policy, err := trust.Parse([]byte(`{"Version": "2012-10-17", "Statement": [{
		"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
		"Principal": {"Federated": "arn:aws:iam::123456789012:oidc-provider/` + issuer + `"},
		"Condition": {"StringEquals": {"` + issuer + `:sub": "repo:acme/app:ref:refs/heads/main"}}}]}`))
	if err != nil {
		f.Fatal(err)
	}
	path := filepath.Join(f.TempDir(), "claims")
	f.Fuzz(func(t *testing.T, text []byte) {
		claims, err := doctor.ParseClaims(text, nil)
		if err != nil && (claims.Claims != nil || strings.ContainsAny(err.Error(), "\r\n")) {
			t.Errorf("%q: %v, %v", text, claims, err)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		var stdout, stderr strings.Builder
		d := doctorCommand{Program: Program{Stdout: &stdout, Stderr: &stderr, Env: environ()},
			claimsFile: path, policy: &policy}
		if err := d.evaluateClaims(nil); err != nil && strings.ContainsAny(err.Error(), "\r\n") {
			t.Errorf("%q: %v", text, err)
		}
		for line := range strings.Lines(stdout.String()) {
			if strings.HasPrefix(line, "::") || strings.ContainsAny(line, "\a\b\r\x1b") {
				t.Errorf("%q: the output contains %q", text, line)
			}
		}
	})
}
