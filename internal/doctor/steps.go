package doctor

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/exchange"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/explain"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/helper"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/trust"
)

// address shortens an endpoint's URL.
func address(endpoint string) string {
	return strings.TrimSuffix(strings.TrimPrefix(endpoint, "https://"), "/")
}

// refusedRole reports whether STS refused the role. Its response is the same for a role that does
// not exist and for one whose policy refuses.
func refusedRole(err error) bool {
	var aws *exchange.Error
	return errors.As(err, &aws) && aws.Step == exchange.StepWebIdentity && aws.Code == "AccessDenied"
}

func (d *Diagnosis) registry(x helper.Examination) {
	reg := x.Registry
	what := "account " + reg.Account
	if reg.Public {
		what = "the public registry"
	}
	text := fmt.Sprintf("%s, region %s, partition %s", what, reg.Region, reg.Partition)
	if reg.FIPS {
		text += ", FIPS"
	}
	if reg.DualStack {
		text += ", dual-stack"
	}
	d.add("registry", OK, "%s", text)
}

func (d *Diagnosis) roles(x helper.Examination) {
	if len(x.Roles.ARNs) > 0 {
		d.Role, d.Session = x.Roles.ARNs[0], x.Settings.SessionName
	}
	var none *token.NoRoleError
	switch {
	case len(x.Roles.ARNs) > 0:
		d.add("role", OK, "%s, from %s", strings.Join(x.Roles.ARNs, ", then "), x.Roles.From)
	case x.Registry.Public:
		d.add("role", Note, "none, so this registry is left anonymous").
			Next = "for a login: set ECR_OIDC_ROLE_PUBLIC"
	case errors.As(x.Err, &none):
		d.wrong("role", x.Err)
	default:
		d.add("role", OK, "none: the credentials ask for the password themselves")
	}
}

// source adds the CI and the identity.
func (d *Diagnosis) source(x helper.Examination, env token.Env) {
	id := x.Identity
	text := id.Name
	if id.KeysOnly {
		text = id.DetectedCI
	}
	switch {
	case id.Explicit:
		text += ", chosen by " + id.DetectedBy
	case id.DetectedBy != "":
		text += ", by " + id.DetectedBy
	default:
		text += ": no CI's variables are here, so this is a machine"
	}
	if x.Identity.KeysOnly {
		text += "; no role is set, so the AWS keys in the environment are used alone"
	}
	if id.Name == "aws" && !id.KeysOnly {
		text += chain(x, env)
	}
	if passed := id.Ignored(); len(passed) > 0 && !x.Identity.KeysOnly {
		text += "; passed over: " + strings.Join(passed, ", ")
	}
	d.add("source", OK, "%s", text)
}

// chain describes where the SDK's chain begins.
func chain(x helper.Examination, env token.Env) string {
	if profile := x.Settings.Identity.Profile; profile != "" {
		return "; profile " + shown(profile) + " from " + x.Settings.Identity.ProfileFrom
	}
	if id, secret := env.AccessKey(); id != "" && secret != "" {
		return "; the keys in the environment"
	}
	if name := firstSet(env, "AWS_PROFILE", "AWS_DEFAULT_PROFILE"); name != "" {
		return "; profile " + shown(env.Get(name)) + " from " + name
	}
	return "; profile default"
}

func (d *Diagnosis) token(x helper.Examination) {
	if x.Token.Raw == "" {
		return
	}
	d.Token = tokenOf(x.Token.Payload())
	c := x.Token.Claims
	text := fmt.Sprintf("issuer   %s\nsubject  %s\naudience %s", shown(c.Issuer), shown(c.Subject),
		shown(strings.Join(c.Audience, ", ")))
	if !c.Issued.IsZero() && !c.Expires.IsZero() {
		text += fmt.Sprintf("\nlives    %s", span(c.Expires.Sub(c.Issued)))
		if left := time.Until(c.Expires); !x.Identity.Source.OnDemand {
			if left > 0 {
				text += ", " + span(left) + " of it left"
			} else {
				text += ", and expired " + span(-left) + " ago"
			}
		}
	}
	d.add("token", OK, "%s", text)
	if rest := list(d.Token.Claims); rest != "" {
		d.add("claims", OK, "%s", rest)
	}
}

// step names the step of an error that is not AWS's response.
func step(x helper.Examination) string {
	var (
		missing  *token.MissingError
		request  *token.RequestError
		audience *token.AudienceError
		profile  *exchange.ProfileError
	)
	switch {
	case errors.As(x.Err, &missing), errors.As(x.Err, &request), errors.As(x.Err, &audience):
		return "token"
	case x.ECR == "" && !errors.As(x.Err, &profile):
		return "endpoints"
	case x.Identity.OIDC():
		return "token"
	}
	return "credentials"
}

// exchange adds AWS's responses, or what prevented the request. For a role that refuses, it asks
// for the policy if that is not known.
func (d *Diagnosis) exchange(x helper.Examination, policy *trust.Policy) {
	var (
		failed *exchange.Error
		noRole *token.NoRoleError
	)
	for _, o := range x.Steps {
		switch o.Step {
		case exchange.StepPassword:
			d.add("ECR", OK, "a password that lives %s; %s, %d ms", span(o.TTL), address(x.ECR),
				o.Duration.Milliseconds())
		default:
			d.add("STS", OK, "%s assumed, for %s; %s, %d ms", exchange.DescribeRole(o.Role), span(o.TTL),
				address(x.STS), o.Duration.Milliseconds())
		}
	}
	switch {
	case x.Err == nil || errors.As(x.Err, &noRole): // reported with the role
		return
	case !errors.As(x.Err, &failed): // before the request to AWS
		d.wrong(step(x), x.Err)
		if x.ECR == "" {
			return
		}
		if len(x.Roles.ARNs) > 0 {
			d.add("STS", Skipped, "not asked (%s)", address(x.STS))
		}
	case failed.Step == exchange.StepPassword:
		d.add("ECR", Wrong, "%s (%s)", safetext.Sanitize(failed.Error()), address(x.ECR)).
			Next = next(x.Err)
		return
	default:
		c := d.add("STS", Wrong, "%s (%s)", safetext.Sanitize(failed.Error()), address(x.STS))
		c.Next = next(x.Err)
		if refusedRole(x.Err) && policy == nil {
			c.Next += ". To ask the policy: aws iam get-role --role-name " +
				explain.ShellWord(failed.Role[strings.LastIndex(failed.Role, "/")+1:]) +
				" | docker-credential-ecr-oidc doctor --trust-policy - " + x.Registry.Host
		}
	}
	d.add("ECR", Skipped, "not asked (%s)", address(x.ECR))
}
