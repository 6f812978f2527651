package config

import (
	"fmt"
	"strings"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// inSession are the characters that STS takes in a RoleSessionName beside letters and digits, 2 to 64 in all
// (AssumeRoleWithWebIdentity, API reference).
const inSession = "_+=,.@-"

// sessionName is the role session name: what CloudTrail shows beside each call. Unless AWS's own variable says otherwise it is
// the CI, the repository and the run, shortened in the repository so that the run can still be found.
func sessionName(env token.Env, place token.Place) (string, error) {
	if name := env.Get("AWS_ROLE_SESSION_NAME"); name != "" {
		if err := check("session_name", []string{name}, quoted); err != nil {
			return "", fmt.Errorf("AWS_ROLE_SESSION_NAME %w", err)
		}
		return name, nil
	}
	repository, run := job(env)
	if repository == "" && run == "" {
		return "docker-credential-ecr-oidc", nil
	}
	name := place.Name
	if run != "" {
		run = "-" + tail(clean(run), 24)
	}
	room := 64 - len(name) - len(run) - 1
	return name + "-" + tail(clean(repository), room) + run, nil
}

// job returns what the CI at hand calls the repository and the run.
func job(env token.Env) (repository, run string) {
	switch {
	case env.Get("GITHUB_REPOSITORY") != "":
		return env.Get("GITHUB_REPOSITORY"), env.Get("GITHUB_RUN_ID")
	case env.Get("CIRCLE_PROJECT_REPONAME") != "":
		return env.Get("CIRCLE_PROJECT_USERNAME") + "/" + env.Get("CIRCLE_PROJECT_REPONAME"), env.Get("CIRCLE_BUILD_NUM")
	case env.Get("CI_PROJECT_PATH") != "":
		return env.Get("CI_PROJECT_PATH"), env.Get("CI_JOB_ID")
	case env.Get("BUILDKITE_PIPELINE_SLUG") != "":
		return env.Get("BUILDKITE_ORGANIZATION_SLUG") + "/" + env.Get("BUILDKITE_PIPELINE_SLUG"), env.Get("BUILDKITE_BUILD_NUMBER")
	}
	return "", ""
}

// CheckSessionName returns an error unless STS accepts the name. The error follows the name of the setting.
func CheckSessionName(name string) error { return check("session_name", []string{name}, quoted) }

// clean makes a hyphen of each run of characters that a session's name may not have.
func clean(s string) string {
	words := strings.FieldsFunc(s, func(r rune) bool { return !alphanumeric(r) && !strings.ContainsRune(inSession, r) })
	return strings.Trim(strings.Join(words, "-"), "-")
}

func tail(s string, n int) string {
	if len(s) > n {
		return strings.TrimLeft(s[len(s)-n:], "-")
	}
	return s
}
