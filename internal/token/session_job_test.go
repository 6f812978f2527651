package token

import (
	"strings"
	"testing"
)

// TestSessionNameTwoCIs checks that the session has the name of the detected CI's job when the
// variables of another CI are set too.
func TestSessionNameTwoCIs(t *testing.T) {
	for _, tt := range []struct {
		env  []string
		want string
	}{
		{[]string{"GITLAB_CI=true", "CI_PROJECT_PATH=acme/app", "CI_JOB_ID=7"}, "env-acme-app-7"},
		{[]string{"BUILDKITE=true", "BUILDKITE_ORGANIZATION_SLUG=acme", "BUILDKITE_PIPELINE_SLUG=app",
			"BUILDKITE_BUILD_NUMBER=3"}, "env-acme-app-3"},
	} {
		env := append(tt.env, "ECR_OIDC_SOURCE=env", "ECR_OIDC_TOKEN=x.y.z",
			"GITHUB_REPOSITORY=other/repository", "GITHUB_RUN_ID=9")
		id, err := identify(t, true, Settings{Source: "env", SourceFrom: "ECR_OIDC_SOURCE"}, env...)
		if got := id.SessionName(); err != nil || got != tt.want {
			t.Errorf("%q: %q, want %q, %v", tt.env, got, tt.want, err)
		}
	}
}

// TestSessionNameShortened checks that a long repository and a long run keep their ends, and that
// neither begins with a hyphen.
func TestSessionNameShortened(t *testing.T) {
	for _, tt := range []struct{ repository, run, want string }{
		{"acme/" + strings.Repeat("r", 100), "7", "gitlab-" + strings.Repeat("r", 55) + "-7"},
		{"acme/" + strings.Repeat("r", 54), "7", "gitlab-" + strings.Repeat("r", 54) + "-7"},
		{"acme/" + strings.Repeat("r", 55), "7", "gitlab-" + strings.Repeat("r", 55) + "-7"},
		{"acme/app", strings.Repeat("1", 30), "gitlab-acme-app-" + strings.Repeat("1", 24)},
		{"acme/app", "1-" + strings.Repeat("2", 23), "gitlab-acme-app-" + strings.Repeat("2", 23)},
	} {
		id, _ := identify(t, true, Settings{}, "GITLAB_CI=true", "CI_PROJECT_PATH="+tt.repository,
			"CI_JOB_ID="+tt.run)
		if got := id.SessionName(); got != tt.want {
			t.Errorf("%q, %q: %q, want %q", tt.repository, tt.run, got, tt.want)
		}
	}
}
