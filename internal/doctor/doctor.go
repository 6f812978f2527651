// Package doctor diagnoses a login step by step and returns the result as data.
package doctor

import (
	"context"
	"errors"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/exchange"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/explain"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/helper"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/trust"
)

// Doctor diagnoses the logins of one process.
type Doctor struct {
	Helper helper.Helper
	Docker DockerEnvironment
	Policy *trust.Policy // the role's trust policy; nil when it is not known
}

// Examine does what a get for a registry does, whatever is in the cache, and changes nothing but an
// AWS login that has to be renewed. It blocks for twice explain.GetTimeout at most.
func (d Doctor) Examine(reg registry.Registry) Diagnosis {
	x := within(explain.GetTimeout, helper.Examination{Registry: reg},
		func(ctx context.Context, x helper.Examination) helper.Examination {
			return d.Helper.Examine(ctx, x.Registry)
		})
	if !x.Done() {
		x = within(explain.GetTimeout, x, d.Helper.Request)
	}
	return d.diagnose(x)
}

// within returns the examination after a step of a get. A step that is not done within the limit
// changes nothing but the error: a get would fail there too.
func within(
	limit time.Duration, x helper.Examination,
	step func(context.Context, helper.Examination) helper.Examination,
) helper.Examination {
	before := x // the step may still read it after the limit
	after, err := explain.Within("running get", limit,
		func(ctx context.Context) (helper.Examination, error) { return step(ctx, before), nil })
	if err != nil {
		x.Err = err
		return x
	}
	return after
}

// diagnose describes the result of an examination, in the order of a get.
func (d Doctor) diagnose(x helper.Examination) Diagnosis {
	found := Diagnosis{Registry: x.Registry.Host, Ready: x.Err == nil && !x.Anonymous}
	env := d.Helper.Env
	if time.Until(x.CachedErrUntil) <= 0 {
		x.CachedErr = nil // over by now
	}
	found.registry(x)
	found.storedLogin(x)
	if x.Resolved {
		found.roles(x)
		found.source(x, env)
		found.token(x)
		found.exchange(x, d.Policy)
	} else {
		found.wrong("settings", x.Err)
	}
	found.hints(x, env)
	if x.Resolved {
		found.cache(x)
		found.repeated(x, env)
	}
	found.docker(x, d.Docker)
	found.get(x, env)
	switch {
	case found.Token != nil && (d.Policy != nil || refusedRole(x.Err)):
		d.evaluate(&found)
		if found.Policy != nil && found.Policy.Verdict != nil {
			found.compare(x)
		}
	case d.Policy != nil:
		found.add("policy", Skipped, "not looked at: there is no token to put to it")
	}
	found.redactURLs()
	return found
}

// wrong adds a step that failed.
func (d *Diagnosis) wrong(name string, err error) {
	d.add(name, Wrong, "%s", safetext.Sanitize(err.Error())).Next = next(err)
}

// next returns what to do about an error. For errors without advice it returns possible causes, for
// which the one line of a get has no room.
func next(err error) string {
	var (
		request *token.RequestError
		aws     *exchange.Error
		timeout *explain.TimeoutError
	)
	const reach = "it may pass. If it does not: can this machine reach that address? Behind a " +
		"proxy, set HTTPS_PROXY, and NO_PROXY for what lies before it"
	switch text := explain.Advice(err); {
	case text != "":
		return text
	case errors.As(err, &timeout):
		return "something that it opens does not answer: is the token's file, the AWS profile's " +
			"or ecr-oidc.yaml a pipe, or on a mount that is gone? ECR_OIDC_DEBUG=1 shows how far " +
			"it comes"
	case errors.As(err, &request) && request.Retryable, errors.As(err, &aws) && aws.Code == "":
		return reach
	case errors.As(err, &request):
		return "a CI answers its own jobs, and only while they run: are the variables that it " +
			"set for this job still as it set them?"
	case errors.As(err, &aws) && aws.Retryable:
		return "it may pass: try again"
	}
	return ""
}

// repeated adds the cached failure that get returns although it would succeed or fail otherwise
// now.
func (d *Diagnosis) repeated(x helper.Examination, env token.Env) {
	host := x.Registry.Host
	line := func(err error) string { return explain.Line(err, host, env.Secrets()) }
	if x.CachedErr == nil || x.StoredLogin != nil || x.Err != nil && line(x.Err) == line(x.CachedErr) {
		return
	}
	d.Ready = false
	left := max(time.Second, time.Until(x.CachedErrUntil))
	d.add("cache", Wrong, "get repeats a failure of a moment ago for %s yet", span(left)).
		Next = "to forget it: docker logout " + host
}

// get sets the line that a get would print.
func (d *Diagnosis) get(x helper.Examination, env token.Env) {
	switch {
	case x.StoredLogin != nil:
		d.Ready = true
		d.Get = "a username and a password: the login that another tool stored"
	case x.Anonymous:
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

// compare adds a note if AWS's response does not agree with the policy.
func (d *Diagnosis) compare(x helper.Examination) {
	switch admits := d.Policy.Verdict.Admits; {
	case admits == trust.Yes && refusedRole(x.Err):
		d.add("policy", Note, "it would admit this token, and AWS did not: it is not the policy "+
			"that this role has now, or there is no such role, or no such provider in its "+
			"account, or a policy of the organisation denies")
	case admits == trust.No && x.Err == nil:
		d.add("policy", Note, "it would not admit this token, and AWS did: it is not the policy "+
			"that this role has now")
	}
}
