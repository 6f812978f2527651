package helper

import (
	"errors"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// TestGetWithoutIdentity checks that a get without a token or a role fails with that error.
func TestGetWithoutIdentity(t *testing.T) {
	for _, pairs := range [][]string{
		{"GITHUB_ACTIONS=true", "ECR_OIDC_ROLE=ci"},
		{"ECR_OIDC_TOKEN=x.y.z"},
	} {
		username, _, err := newHelper(append(pairs, "ECR_OIDC_CACHE=off")...).Get(t.Context(), host)
		var (
			missing *token.MissingError
			noRole  *token.NoRoleError
		)
		if username != "" || !errors.As(err, &missing) && !errors.As(err, &noRole) {
			t.Errorf("%q: %q, %v", pairs, username, err)
		}
	}
}
