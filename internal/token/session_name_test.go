package token

import (
	"regexp"
	"strings"
	"testing"
)

// validSessionName matches the session names that STS accepts (AssumeRoleWithWebIdentity, API
// reference).
var validSessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)

// FuzzSessionName checks that STS accepts the session name for any name of a repository and a run.
func FuzzSessionName(f *testing.F) {
	f.Add("acme", "app", "1")
	f.Add("", "", "")
	f.Add("-", "-", "-")
	f.Add("\xff", strings.Repeat("é", 100), strings.Repeat("-", 100))
	f.Add(strings.Repeat("a-", 60), strings.Repeat("-b", 60), strings.Repeat("12", 60))
	f.Fuzz(func(t *testing.T, owner, repository, run string) {
		for _, env := range []Env{
			environ("GITHUB_ACTIONS=true", "GITHUB_REPOSITORY="+owner+"/"+repository,
				"GITHUB_RUN_ID="+run),
			environ("CIRCLECI=true", "CIRCLE_PROJECT_USERNAME="+owner,
				"CIRCLE_PROJECT_REPONAME="+repository, "CIRCLE_BUILD_NUM="+run),
			environ("GITLAB_CI=true", "CI_PROJECT_PATH="+repository, "CI_JOB_ID="+run),
			environ("BUILDKITE=true", "BUILDKITE_ORGANIZATION_SLUG="+owner,
				"BUILDKITE_PIPELINE_SLUG="+repository, "BUILDKITE_BUILD_NUMBER="+run),
			environ("TF_BUILD=True", "SYSTEM_TEAMPROJECT="+owner,
				"BUILD_DEFINITIONNAME="+repository, "BUILD_BUILDID="+run),
		} {
			for _, source := range Sources() {
				id, _ := Identify(env, Settings{Source: source})
				if got := id.SessionName(); !validSessionName.MatchString(got) {
					t.Errorf("session name of %q, %q, %q in %s: %q", owner, repository,
						run, source, got)
				}
			}
		}
	})
}

// FuzzHyphenate checks that hyphenate agrees with a regular expression made from STS's pattern.
func FuzzHyphenate(f *testing.F) {
	for _, s := range []string{"acme/app", "группа/app", "", "é", "\xff", "-a-", "a b"} {
		f.Add(s)
	}
	invalid := regexp.MustCompile(`[^\w+=,.@-]+`)
	f.Fuzz(func(t *testing.T, s string) {
		want := strings.Trim(invalid.ReplaceAllString(s, "-"), "-")
		if got := hyphenate(s); got != want {
			t.Errorf("hyphenate(%q) = %q, want %q", s, got, want)
		}
	})
}

// TestSessionNameWithoutDetection checks the session name in a container that has a job's
// variables, but not the one that identifies the CI.
func TestSessionNameWithoutDetection(t *testing.T) {
	for _, tt := range []struct {
		env  []string
		want string
	}{
		{[]string{"CI_PROJECT_PATH=acme/app", "CI_JOB_ID=7"}, "env-acme-app-7"},
		{[]string{"CIRCLECI=true", "CIRCLE_PROJECT_USERNAME=acme", "CIRCLE_PROJECT_REPONAME=app",
			"CI_PROJECT_PATH=x/y"}, "env-acme-app"},
		{nil, "docker-credential-ecr-oidc"},
	} {
		id, err := identify(t, true, Settings{}, append(tt.env, "ECR_OIDC_TOKEN=x.y.z")...)
		if got := id.SessionName(); err != nil || got != tt.want {
			t.Errorf("%q: %q, want %q, %v", tt.env, got, tt.want, err)
		}
	}
}
