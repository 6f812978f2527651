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

// detectors returns the hints about a job or a machine whose state is hard to see from inside.
func detectors() []detector {
	return []detector{
		{"long-lived key", longLivedKey, nil},
		{"sudo", underSudo, nil},
		{"container", inContainer, []string{"credentials"}},
		{"runner's identity", runnerInEKS, nil},
		{"clock", skewedClock, nil},
		{"TLS", intercepted, []string{"token", "credentials", "STS", "ECR"}},
	}
}

// A detector finds one such state. detect returns "" when the state is another.
type detector struct {
	name    string
	detect  func(x helper.Examination, env token.Env) (text, next string)
	instead []string // the checks whose advice the hint replaces
}

// hints adds the hints that apply.
func (d *Diagnosis) hints(x helper.Examination, env token.Env) {
	if hint := missingToken(x, env); hint.Text != "" {
		d.add(hint.Name, Note, "%s", hint.Text).Next = hint.Next
		d.replaceAdvice("token")
		if hint.NoSecrets {
			d.replaceAdvice("role")
		}
	}
	for _, s := range detectors() {
		if text, next := s.detect(x, env); text != "" {
			d.add(s.name, Note, "%s", text).Next = next
			d.replaceAdvice(s.instead...)
		}
	}
}

// replaceAdvice removes the advice of these checks if they failed, because a hint has better
// advice.
func (d *Diagnosis) replaceAdvice(names ...string) {
	for i, c := range d.Checks {
		if c.State == Wrong && slices.Contains(names, c.Name) {
			d.Checks[i].Next = ""
		}
	}
}

// noToken reports whether the job has no token. With a role that is an error of its own, without
// one it is part of the other error. A fork has neither where the role comes from the CI's secrets.
func noToken(err error) bool {
	var (
		missing *token.MissingError
		noRole  *token.NoRoleError
	)
	return errors.As(err, &missing) || errors.As(err, &noRole) && noRole.Why != ""
}

// longLivedKey detects an IAM user's key in a CI
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html).
func longLivedKey(x helper.Examination, env token.Env) (text, next string) {
	id := env.Get("AWS_ACCESS_KEY_ID")
	if !x.Identity.CI || !strings.HasPrefix(id, "AKIA") {
		return "", ""
	}
	if x.Identity.OIDC() {
		return "AWS_ACCESS_KEY_ID is a user's long-lived key (AKIA...), beside a token that " +
			"needs none", "delete the key from the CI's settings, and in IAM"
	}
	return "AWS_ACCESS_KEY_ID is a user's long-lived key (AKIA...)",
		"give the job a token and a role, and delete the key: " +
			"https://github.com/ecr-oidc/docker-credential-ecr-oidc/blob/main/docs/migrate-from-access-keys.md"
}

// missingToken returns the CI's hint about a missing token.
func missingToken(x helper.Examination, env token.Env) token.Hint {
	if !x.Resolved || x.Identity.Hint == nil || !noToken(x.Err) {
		return token.Hint{}
	}
	hint, err := probe("reading the event",
		func() (token.Hint, error) { return x.Identity.Hint(env), nil })
	if err != nil {
		return token.Hint{}
	}
	return hint
}

// underSudo detects sudo, which drops the job's variables and sets SUDO_UID.
func underSudo(x helper.Examination, env token.Env) (text, next string) {
	if env.Get("SUDO_UID") == "" || x.Identity.Name != "aws" || x.Identity.Explicit {
		return "", ""
	}
	return "SUDO_UID is set: this runs under sudo, which drops the job's variables and changes " +
		"the home", "run Docker without sudo, or keep them: sudo --preserve-env docker ..."
}

// inContainer detects a container by the marks that Docker and podman leave in it.
func inContainer(x helper.Examination, env token.Env) (text, next string) {
	var none *exchange.NoCredentialsError
	if x.Identity.Name != "aws" || x.Identity.Explicit || !errors.As(x.Err, &none) {
		return "", ""
	}
	inside := env.Get("container") != "" // podman, systemd-nspawn
	for _, mark := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Stat(mark); err == nil {
			inside = true
		}
	}
	if !inside {
		return "", ""
	}
	return "this runs in a container, and no CI's variables are in it",
		"pass them on: docker run --env ACTIONS_ID_TOKEN_REQUEST_URL --env " +
			"ACTIONS_ID_TOKEN_REQUEST_TOKEN --env ECR_OIDC_ROLE ... (CircleCI: CIRCLECI, " +
			"CIRCLE_OIDC_TOKEN_V2)"
}

// runnerInEKS detects a self-hosted runner whose pod has an AWS identity of its own, which is not
// the job's.
func runnerInEKS(x helper.Examination, env token.Env) (text, next string) {
	if !x.Identity.CI || x.Identity.Explicit {
		return "", ""
	}
	for _, own := range [][2]string{{"AWS_WEB_IDENTITY_TOKEN_FILE", "file"},
		{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "aws"}} {
		if env.Get(own[0]) != "" {
			return "the runner has an AWS identity of its own (" + own[0] +
					"), which is not used for its jobs",
				"to use it all the same: ECR_OIDC_SOURCE=" + own[1]
		}
	}
	return "", ""
}

// skewedClock detects that this machine's clock differs from the CI's, which issued the token just
// now.
func skewedClock(x helper.Examination, _ token.Env) (text, next string) {
	if x.ClockSkew.Abs() < 2*time.Minute {
		return "", ""
	}
	which := "ahead of"
	if x.ClockSkew < 0 {
		which = "behind"
	}
	return fmt.Sprintf("this machine's clock is %s %s the CI's; this program does not mind, and "+
			"AWS's other tools do", span(x.ClockSkew.Abs().Round(time.Minute)), which),
		"set the clock (timedatectl, chronyc, w32tm)"
}

// intercepted detects a certificate that this machine does not trust.
func intercepted(x helper.Examination, env token.Env) (text, next string) {
	if x.Err == nil || !explain.Untrusted(x.Err) {
		return "", ""
	}
	text = "the server's certificate is signed by nobody whom this machine trusts: a proxy that " +
		"intercepts TLS does that"
	if proxy := firstSet(env, "HTTPS_PROXY", "https_proxy"); proxy != "" {
		text += " (" + proxy + " is set)"
	}
	if bundle := env.Get("AWS_CA_BUNDLE"); bundle != "" {
		return text + "; AWS_CA_BUNDLE is " + shown(bundle) + ", and replaces the system's",
			"put the proxy's CA certificate into that file"
	}
	return text, "set AWS_CA_BUNDLE to a file with the proxy's CA certificate, which the CI's " +
		"token endpoint is asked with too"
}

func firstSet(env token.Env, names ...string) string {
	for _, name := range names {
		if env.Get(name) != "" {
			return name
		}
	}
	return ""
}
