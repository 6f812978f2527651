package config

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestUnknownVariables(t *testing.T) {
	for _, tt := range []struct{ variable, want string }{
		{"ECR_OIDC_ROEL=ci", "ECR_OIDC_ROEL is not a variable of this helper, and is ignored; " +
			"did you mean ECR_OIDC_ROLE?"},
		{"ECR_OIDC_SOURSE=", "did you mean ECR_OIDC_SOURCE?"},
		{"ECR_OIDC_LANGUAGE=en", "its variables are ECR_OIDC_ALLOW_HTTP_ENDPOINTS, "},
		{"ECR_OIDC_ROLE=ci", ""},
		{"ECR_OIDC_ROLE_123456789012=ci", ""},
		{"ECR_OIDC_PROFILE_123456789012=dev", ""},
		{"ECR_OIDC_VERIFY=required", ""},
		{"ECR_ROLE_TO_ASSUME=x", ""},
		{"XECR_OIDC_ROEL=ci", ""},
	} {
		got := strings.Join(UnknownVariables([]string{"HOME=/root", tt.variable}), "\n")
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.variable, got, tt.want)
		}
		_, value, _ := strings.Cut(tt.variable, "=")
		if tt.want != "" && value != "" && strings.Contains(got, "="+value) {
			t.Errorf("%s: the warning quotes the value", tt.variable)
		}
	}
}

// Each variable that the documentation names is known, and each known variable is documented.
func TestKnownVariables(t *testing.T) {
	var documented []string
	for _, page := range []string{"../../README.md", "../../docs/configuration.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		documented = append(documented,
			regexp.MustCompile(`ECR_OIDC_[A-Z_]*[A-Z]\b`).FindAllString(string(text), -1)...)
	}
	for _, name := range documented {
		if len(UnknownVariables([]string{name + "=x"})) > 0 {
			t.Errorf("%s is documented, and reported as unknown", name)
		}
	}
	for _, name := range knownVariables() {
		if !slices.Contains(documented, name) {
			t.Errorf("%s is not documented", name)
		}
	}
}
