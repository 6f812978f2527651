package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
)

func TestOverridden(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ecr-oidc.yaml")
	const file = `default: {role: file-role, audience: a, session_name: same}
accounts:
  "123456789012":
    profile: dev
    audience: b
`
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	environ := []string{"ECR_OIDC_CONFIG=" + path, "ECR_OIDC_PROFILE=admin", "ECR_OIDC_ROLE=ci",
		"ECR_OIDC_ROLE_123456789012=own", "ECR_OIDC_SESSION_NAME=same"}
	env := func(name string) (string, bool) {
		for _, pair := range environ {
			if key, value, _ := strings.Cut(pair, "="); key == name {
				return value, true
			}
		}
		return "", false
	}
	c, err := Read(env, environ)
	if err != nil {
		t.Fatal(err)
	}
	reg, _ := registry.Parse("123456789012.dkr.ecr.eu-west-2.amazonaws.com")
	var got []string
	for _, o := range c.Overridden(reg) {
		from := func(v Value) string { return strings.ReplaceAll(v.From, path, "FILE") + " " + v.Texts[0] }
		got = append(got, o.Key+": "+from(o.Overridden)+", "+from(o.Effective))
	}
	want := []string{
		"role: FILE:1 file-role, ECR_OIDC_ROLE_123456789012 own",
		"profile: ECR_OIDC_PROFILE admin, FILE:4 dev",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if v, ok := c.Setting(reg, "profile"); !ok || v.Texts[0] != "dev" {
		t.Errorf("profile: %v %v", v, ok)
	}
	if _, ok := c.Setting(reg, "external_id"); ok {
		t.Error("external_id is set")
	}
}
