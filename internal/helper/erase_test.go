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
