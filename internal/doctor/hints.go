package doctor

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/exchange"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/explain"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/helper"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// detectors returns the detectors of conditions that are hard to see from inside a job or a machine.
func detectors() []detector {
	return []detector{
		{"long-lived key", detectLongLivedKey, nil},
		{"sudo", detectSudo, nil},
		{"container", detectContainer, []string{"credentials"}},
		{"profiles", detectProfiles, []string{"credentials", "endpoints"}},
		{"runner's identity", detectRunnerIdentity, nil},
		{"clock", detectClockSkew, nil},
		{"TLS", detectTLSInterception, []string{"token", "credentials", "STS", "ECR"}},
	}
}

// A detector detects one condition. detect returns "" when the condition is not present.
type detector struct {
	name     string
	detect   func(x helper.Examination, env token.Env) (text, advice string)
	replaces []string // the checks whose advice the hint replaces
}

// addHints adds the hints for the conditions that are present.
func (d *Diagnosis) addHints(x helper.Examination, env token.Env) {
	if hint := missingTokenHint(x, env); hint.Text != "" {
		replaces := []string{"token"}
		if hint.NoSecrets {
			replaces = append(replaces, "role")
		}
		important := d.removeAdvice(replaces...)
		c := d.add(hint.Name, Note, "%s", hint.Text)
		c.Advice, c.Important = hint.Advice, important
	}
	for _, detector := range detectors() {
		if text, advice := detector.detect(x, env); text != "" {
			important := d.removeAdvice(detector.replaces...)
			c := d.add(detector.name, Note, "%s", text)
			c.Advice, c.Important = advice, important
		}
	}
}

// removeAdvice removes the advice of these checks if they failed, because a hint has better advice.
// It reports whether one of them failed.
func (d *Diagnosis) removeAdvice(checks ...string) (failed bool) {
	for i, c := range d.Checks {
		if c.State == Wrong && slices.Contains(checks, c.Name) {
			d.Checks[i].Advice = ""
			failed = true
		}
	}
	return failed
}

// hasNoToken reports whether the job has no token. The error is a MissingError if a role is set. If no
// role is set, it is a NoRoleError with the reason: a job of a fork has neither a token nor a role if
// the role is a secret of the CI.
func hasNoToken(err error) bool {
	var (
		missing *token.MissingError
		noRole  *token.NoRoleError
	)
	return errors.As(err, &missing) || errors.As(err, &noRole) && noRole.Why != ""
}

// missingTokenHint returns the CI's hint about a missing token.
func missingTokenHint(x helper.Examination, env token.Env) token.Hint {
	if !x.Resolved || x.Identity.Hint == nil || !hasNoToken(x.Err) {
		return token.Hint{}
	}
	hint, err := probe("reading the event",
		func() (token.Hint, error) { return x.Identity.Hint(env), nil })
	if err != nil {
		return token.Hint{}
	}
	return hint
}

// detectLongLivedKey detects an IAM user's key in a CI
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html).
func detectLongLivedKey(x helper.Examination, env token.Env) (text, advice string) {
	id := env.Get("AWS_ACCESS_KEY_ID")
	if !x.Identity.CI || !strings.HasPrefix(id, "AKIA") {
		return "", ""
	}
	text = "AWS_ACCESS_KEY_ID is the long-lived key of an IAM user (AKIA...)"
	if x.Identity.OIDC() {
		return text + "; the job has an OIDC token and does not need it",
			"delete the key from the CI's settings and from IAM"
	}
	return text, "give the job an OIDC token and a role, then delete the key: " +
		"https://github.com/ecr-oidc/docker-credential-ecr-oidc/blob/main/docs/migrate-from-access-keys.md"
}

// detectSudo detects sudo by SUDO_UID. sudo removes the job's variables.
func detectSudo(x helper.Examination, env token.Env) (text, advice string) {
	if env.Get("SUDO_UID") == "" || x.Identity.Name != "aws" || x.Identity.Explicit {
		return "", ""
	}
	return "SUDO_UID is set: sudo removes the job's variables and changes the home directory",
		"run Docker without sudo, or keep the variables: sudo --preserve-env docker ..."
}

// isContainer detects a container by the variable and the files that container engines create.
func isContainer(env token.Env) bool {
	for _, path := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Stat(path); err == nil {
			return true
		}
	}
	return env.Get("container") != "" // podman, systemd-nspawn
}

// detectContainer detects a container that does not have the variables of a CI's job.
func detectContainer(x helper.Examination, env token.Env) (text, advice string) {
	var none *exchange.NoCredentialsError
	if x.Identity.Name != "aws" || x.Identity.Explicit || !errors.As(x.Err, &none) {
		return "", ""
	}
	// A container with profiles is a developer's, and detectProfiles has advice for it.
	if !isContainer(env) || isDevContainer(env) || len(profiles(env)) > 0 {
		return "", ""
	}
	return "this is a container, and it does not have the variables of a CI",
		"pass them to the container: docker run --env ACTIONS_ID_TOKEN_REQUEST_URL --env " +
			"ACTIONS_ID_TOKEN_REQUEST_TOKEN --env ECR_OIDC_ROLE ... (CircleCI: CIRCLECI, " +
			"CIRCLE_OIDC_TOKEN_V2)"
}

// detectRunnerIdentity detects a self-hosted runner in EKS whose pod has its own AWS identity.
func detectRunnerIdentity(x helper.Examination, env token.Env) (text, advice string) {
	if !x.Identity.CI || x.Identity.Explicit {
		return "", ""
	}
	variable := firstSet(env, runnerVariables...)
	if variable == "" {
		return "", ""
	}
	source := "aws"
	if variable == "AWS_WEB_IDENTITY_TOKEN_FILE" {
		source = "file"
	}
	return "the runner has its own AWS identity (" + variable + "), which is not used for its jobs",
		"to use it anyway, set ECR_OIDC_SOURCE=" + source
}

// runnerVariables are the variables of the AWS identity of a pod.
var runnerVariables = []string{"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI"}

// detectClockSkew compares this machine's clock with the time at which the CI issued the token.
func detectClockSkew(x helper.Examination, _ token.Env) (text, advice string) {
	if x.ClockSkew.Abs() < 2*time.Minute {
		return "", ""
	}
	direction := "ahead of"
	if x.ClockSkew < 0 {
		direction = "behind"
	}
	skew := formatDuration(x.ClockSkew.Abs().Round(time.Minute))
	return fmt.Sprintf("this machine's clock is %s %s the CI's clock; this helper does not depend "+
			"on it, but AWS's own tools do", skew, direction),
		"set the clock (timedatectl, chronyc, w32tm)"
}

// detectTLSInterception detects a server certificate that this machine does not trust.
func detectTLSInterception(x helper.Examination, env token.Env) (text, advice string) {
	if x.Err == nil || !explain.IsUntrustedCertificate(x.Err) {
		return "", ""
	}
	text = "this machine does not trust the server's certificate; a proxy may intercept TLS"
	if proxy := firstSet(env, "HTTPS_PROXY", "https_proxy"); proxy != "" {
		text += " (" + proxy + " is set)"
	}
	if bundle := env.Get("AWS_CA_BUNDLE"); bundle != "" {
		return text + ". AWS_CA_BUNDLE is " + display(bundle) + " and replaces the system's " +
			"certificates", "add the proxy's CA certificate to that file"
	}
	return text, "set AWS_CA_BUNDLE to a file with the proxy's CA certificate; it also applies to " +
		"the CI's token endpoint"
}

// firstSet returns the first of the variables that is not empty, or "".
func firstSet(env token.Env, names ...string) string {
	for _, name := range names {
		if env.Get(name) != "" {
			return name
		}
	}
	return ""
}
