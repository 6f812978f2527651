package helper

import (
	"strings"
	"testing"
)

// TestEraseRefuses checks that Erase does not report success when an invalid setting prevents it from
// finding the cached login.
func TestEraseRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  []string
		want string
	}{
		{"value", []string{"ECR_OIDC_CACHE=maybe"}, `ECR_OIDC_CACHE is "maybe"`},
		{"two tokens", []string{"ECR_OIDC_TOKEN=x", "ECR_OIDC_TOKEN_FILE=y"}, "are both set"},
		{"roles", []string{"ECR_OIDC_ROLE=arn:aws-cn:iam::123456789012:role/ci"}, "partition"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := newHelper(tt.env...).Erase(t.Context(), host)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}

// TestRequestWebIdentityRole checks that AWS_ROLE_ARN is used only with the token file that it belongs
// to.
func TestRequestWebIdentityRole(t *testing.T) {
	const arn = "arn:aws:iam::123456789012:role/pod"
	pair := []string{"AWS_WEB_IDENTITY_TOKEN_FILE=/none", "AWS_ROLE_ARN=" + arn}
	for _, tt := range []struct {
		name string
		env  []string
		want string
	}{
		{"pod", pair, arn},
		{"token of its own", append(pair, "ECR_OIDC_TOKEN=x", "ECR_OIDC_ROLE=ci"),
			"arn:aws:iam::123456789012:role/ci"},
		{"token without a role", append(pair, "ECR_OIDC_TOKEN=x"), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := loginInputFor(t, newHelper(tt.env...), host)
			if got := strings.Join(r.Roles.ARNs, " "); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
