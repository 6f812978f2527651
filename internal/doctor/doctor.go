// Package doctor diagnoses a login step by step and returns the result as data.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/exchange"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/explain"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/helper"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/trust"
)

// Doctor diagnoses the logins of one process. helper.Examination holds the facts that a get would
// use. A Diagnosis is the report about them.
type Doctor struct {
	Helper helper.Helper
	Docker DockerEnvironment
	Policy *trust.Policy // the role's trust policy; nil when it is not known
}

// Diagnose makes the requests of a get for the registry, ignores the cached password, and stores
// nothing. Its only side effect is that it renews an expired AWS login. Each of its two
// steps blocks for at most explain.CommandTimeout, and each look at the machine for at most
// probeTimeout.
func (d Doctor) Diagnose(reg registry.Registry) Diagnosis {
	x := runStep(explain.CommandTimeout, helper.Examination{Registry: reg},
		func(ctx context.Context, x helper.Examination) helper.Examination {
			return d.Helper.Examine(ctx, x.Registry)
		})
	if !x.NoRequest() {
		x = runStep(explain.CommandTimeout, x, d.Helper.LoginWithoutCache)
	}
	return d.describe(x)
}

// runStep returns the examination after a step of a get. If the step exceeds the limit, runStep
// returns x with the timeout as its error, because a get would fail there too.
func runStep(
	limit time.Duration, x helper.Examination,
	step func(context.Context, helper.Examination) helper.Examination,
) helper.Examination {
	input := x // a copy: the step can still read it after the limit
	output, err := explain.RunWithTimeout("running get", limit,
		func(ctx context.Context) (helper.Examination, error) { return step(ctx, input), nil })
	if err != nil {
		x.Err = err
		return x
	}
	return output
}

// describe returns the diagnosis for an examination. The checks are in the order of a get.
func (d Doctor) describe(x helper.Examination) Diagnosis {
	diagnosis := Diagnosis{Registry: x.Registry.Host, Ready: x.Err == nil && !x.NotFound}
	env := d.Helper.Env
	if time.Until(x.CachedErrUntil) <= 0 {
		x.CachedErr = nil // it expired during the examination
	}
	diagnosis.addRegistry(x)
	diagnosis.addStoredLogin(x)
	if x.Resolved {
		diagnosis.addRoles(x)
		diagnosis.addSource(x, env)
		diagnosis.addToken(x)
		diagnosis.addExchange(x, d.Policy)
	} else {
		diagnosis.addSettingsError(x, env)
	}
	diagnosis.addHints(x, env)
	if x.Resolved {
		diagnosis.addCache(x)
		diagnosis.addCachedFailure(x, env)
	}
	diagnosis.addDocker(x, d.Docker)
	diagnosis.setGet(x, env)
	diagnosis.addIgnored(x, d.Helper)
	switch {
	case diagnosis.Token != nil && (d.Policy != nil || isRoleRefused(x.Err)):
		d.evaluate(&diagnosis)
		if diagnosis.Policy != nil && diagnosis.Policy.Verdict != nil {
			diagnosis.compareWithAWS(x)
		}
	case d.Policy != nil:
		diagnosis.add("policy", Skipped, "not evaluated: there is no token")
	}
	d.addUpcoming(&diagnosis)
	diagnosis.summarize(x)
	diagnosis.redactURLs()
	return diagnosis
}

// summarize sets Summary, and sets Important for the checks that explain why Docker cannot log in.
func (d *Diagnosis) summarize(x helper.Examination) {
	var failed []string
	for i, c := range d.Checks {
		inDocker := c.Name == "docker" || c.Name == "PATH"
		switch {
		case c.State == Wrong && (!d.Ready || inDocker):
			d.Checks[i].Important = true
			if !slices.Contains(failed, c.Name) {
				failed = append(failed, c.Name)
			}
		case c.State == Note && c.Name == "registry": // an unknown region is probably the cause
			d.Checks[i].Important = !d.Healthy()
		}
	}
	switch {
	case d.Healthy() && x.StoredLogin != nil:
		d.Summary = "Docker can log in, with the login that another tool stored"
	case d.Healthy():
		d.Summary = "Docker can log in"
	case d.Ready:
		d.Summary = "a login works, but Docker does not call this helper"
	case x.NotFound && x.Registry.Public:
		d.Summary = "no login, because no role is set for this registry"
	default:
		d.Summary = "the login fails (" + strings.Join(failed, ", ") + ")"
	}
}

// addError adds a failed check.
func (d *Diagnosis) addError(name string, err error) {
	d.add(name, Wrong, "%s", safetext.Sanitize(err.Error())).Advice = advice(err)
}

// addSettingsError adds the failed check of the settings. For an account that is not allowed, the
// advice contains the account and the file.
func (d *Diagnosis) addSettingsError(x helper.Examination, env token.Env) {
	d.addError("settings", x.Err)
	path, err := config.FilePath(env, "")
	if err == nil && errors.Is(x.Err, config.ErrNotAllowed) {
		d.Checks[len(d.Checks)-1].Advice = fmt.Sprintf("if the helper may log in to this account, "+
			"add %q to allowed_account_ids in %s", x.Registry.Account, path)
	}
}

// advice returns what the user can do about an error. For errors without advice in package explain
// it returns possible causes, which would be too long for the one line of a get.
func advice(err error) string {
	var (
		request *token.RequestError
		aws     *exchange.Error
		timeout *explain.TimeoutError
	)
	const (
		unreachable = "this can be temporary: try again. If it persists, check that this " +
			"machine can reach that address. Behind a proxy, set HTTPS_PROXY, and set NO_PROXY " +
			"for hosts that do not need the proxy"
		timedOut = "a file may block: check that the token file, the AWS configuration files " +
			"and ecr-oidc.yaml are not pipes, and not on a mount that does not respond. " +
			"ECR_OIDC_DEBUG=1 prints the last step"
		refused = "a CI issues tokens only to its own running jobs: check that the variables " +
			"that the CI set for this job are unchanged"
	)
	switch text := explain.Advice(err); {
	case text != "":
		return text
	case errors.As(err, &timeout):
		return timedOut
	case errors.As(err, &request) && request.Retryable, errors.As(err, &aws) && aws.Code == "":
		return unreachable
	case errors.As(err, &request):
		return refused
	case errors.As(err, &aws) && aws.Retryable:
		return "this can be temporary: try again"
	}
	return ""
}

// setGet sets Get.
func (d *Diagnosis) setGet(x helper.Examination, env token.Env) {
	switch {
	case x.StoredLogin != nil:
		d.Ready = true
		d.Get = "a username and a password (the login that another tool stored)"
	case x.NotFound:
		d.Ready = false
		d.Get = "credentials not found in native keychain"
	case x.CachedErr != nil:
		d.Get = explain.Line(x.CachedErr, x.Registry.Host, env.Secrets())
	case x.Err != nil:
		d.Get = explain.Line(x.Err, x.Registry.Host, env.Secrets())
	default:
		d.Get = "a username and a password"
	}
}

// compareWithAWS adds a note if AWS's response contradicts the verdict on the policy.
func (d *Diagnosis) compareWithAWS(x helper.Examination) {
	switch admits := d.Policy.Verdict.Admits; {
	case admits == trust.Yes && isRoleRefused(x.Err):
		d.add("policy", Note, "the policy admits this token, but AWS refused the role. Possible "+
			"causes: the role now has another trust policy; the role or its OIDC provider does "+
			"not exist; a policy of the organization denies the request")
	case admits == trust.No && x.Err == nil:
		d.add("policy", Note, "the policy does not admit this token, but AWS accepted it: the "+
			"role now has another trust policy")
	}
}
