package token

import (
	"strings"
	"testing"
)

// TestSelectProviderPair checks that AWS_ROLE_ARN is used only if the token is that of
// AWS_WEB_IDENTITY_TOKEN_FILE.
func TestSelectProviderPair(t *testing.T) {
	const pairFile = "AWS_WEB_IDENTITY_TOKEN_FILE=/var/run/token"
	for _, tt := range []struct {
		name     string
		env      []string
		settings Settings
		want     bool
	}{
		{"the pair's file", []string{pairFile}, Settings{Source: "file"}, true},
		{"another file", []string{pairFile}, Settings{Source: "file", TokenFile: "/t"}, false},
		{"no file", nil, Settings{Source: "file"}, false},
		{"another source", []string{pairFile, "ECR_OIDC_TOKEN=x"}, Settings{Source: "env"}, false},
		{"AWS credentials", []string{pairFile}, Settings{Source: "aws"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.settings.SourceFrom = "ECR_OIDC_SOURCE"
			got, err := selectProvider(environ(tt.env...), tt.settings)
			if err != nil || got.WebIdentityPair != tt.want {
				t.Errorf("%v, %v", got.WebIdentityPair, err)
			}
		})
	}
}

// TestSelectProviderSetting checks that an error contains the source as the user set it.
func TestSelectProviderSetting(t *testing.T) {
	for from, want := range map[string]string{
		"ECR_OIDC_SOURCE":    "ECR_OIDC_SOURCE=github conflicts with ECR_OIDC_TOKEN; remove one of them",
		"/x/ecr-oidc.yaml:3": "/x/ecr-oidc.yaml:3 (source github) conflicts with ECR_OIDC_TOKEN; remove one of them",
	} {
		s := Settings{Source: "github", SourceFrom: from}
		_, err := selectProvider(environ("ECR_OIDC_TOKEN=x"), s)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
