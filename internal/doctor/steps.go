package doctor

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/exchange"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/explain"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/helper"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/trust"
)

// shortURL returns the URL of an endpoint without "https://" and the final slash.
func shortURL(endpoint string) string {
	return strings.TrimSuffix(strings.TrimPrefix(endpoint, "https://"), "/")
}

// isRoleRefused reports whether STS refused the role. Its response is the same for a role that does
// not exist and for a role whose policy refuses.
func isRoleRefused(err error) bool {
	var aws *exchange.Error
	return errors.As(err, &aws) && aws.Step == exchange.StepWebIdentity && aws.Code == "AccessDenied"
}

func (d *Diagnosis) addRegistry(x helper.Examination) {
	reg := x.Registry
	owner := "account " + reg.Account
	if reg.Public {
		owner = "the public registry"
	}
	text := fmt.Sprintf("%s, region %s, partition %s", owner, reg.Region, reg.Partition)
	if reg.FIPS {
		text += ", FIPS"
	}
	if reg.DualStack {
		text += ", dual-stack"
	}
	if reg.Public || registry.IsListedRegion(reg.Region) {
		d.add("registry", OK, "%s", text)
		return
	}
	c := d.add("registry", Note, "%s; this version does not know that region", text)
	if host := registry.NearestHost(reg.Host); host != "" {
		c.Advice = "did you mean " + host + "?"
	}
}

func (d *Diagnosis) addRoles(x helper.Examination) {
	if len(x.Roles.ARNs) > 0 {
		d.Role, d.SessionName = x.Roles.ARNs[0], x.Settings.SessionName
	}
	var noRole *token.NoRoleError
	switch {
	case len(x.Roles.ARNs) > 0:
		d.add("role", OK, "%s, from %s", strings.Join(x.Roles.ARNs, ", then "), x.Roles.From)
	case x.Registry.Public:
		c := d.add("role", Note, "none: access to this registry is anonymous")
		c.Advice, c.Important = "to log in, set ECR_OIDC_ROLE_PUBLIC", x.NotFound
	case errors.As(x.Err, &noRole):
		d.addError("role", x.Err)
	default:
		d.add("role", OK, "none: the AWS credentials request the password directly")
	}
}

// addSource adds the check that shows the source of the identity and how it was selected.
func (d *Diagnosis) addSource(x helper.Examination, env token.Env) {
	id := x.Identity
	text := id.Name
	if id.KeysOnly {
		text = id.DetectedCI
	}
	switch {
	case id.Explicit:
		text += ", selected by " + id.SelectedBy
	case id.SelectedBy != "":
		text += ", detected by " + id.SelectedBy
	default:
		text += ": no CI's variables are set, so this is not a CI's job"
	}
	if id.KeysOnly {
		text += "; no role is set, so only the AWS keys in the environment are used"
	}
	if id.Name == "aws" && !id.KeysOnly {
		text += "; " + describeCredentials(x, env)
	}
	var otherCIs []string // addIgnored adds the variables that the user has set
	for _, name := range id.Ignored() {
		if isCIVariable(name) {
			otherCIs = append(otherCIs, name)
		}
	}
	if len(otherCIs) > 0 && !id.KeysOnly {
		text += "; ignored: " + strings.Join(otherCIs, ", ")
	}
	d.add("source", OK, "%s", text)
}

// describeCredentials returns the first credentials that the SDK's default chain tries.
func describeCredentials(x helper.Examination, env token.Env) string {
	name, from := x.Profile(env)
	switch {
	case name == "":
		return "the keys in the environment"
	case from == "":
		return "profile " + name
	}
	return "profile " + display(name) + " from " + from
}

func (d *Diagnosis) addToken(x helper.Examination) {
	if x.Token.Raw == "" {
		return
	}
	d.Token = newToken(x.Token.Payload())
	c := x.Token.Claims
	text := fmt.Sprintf("issuer   %s\nsubject  %s\naudience %s", display(c.Issuer),
		display(c.Subject), display(strings.Join(c.Audience, ", ")))
	if !c.Issued.IsZero() && !c.Expires.IsZero() {
		text += fmt.Sprintf("\nlifetime %s", formatDuration(c.Expires.Sub(c.Issued)))
		if left := time.Until(c.Expires); !x.Identity.TokenSource.OnDemand {
			if left > 0 {
				text += ", " + formatDuration(left) + " left"
			} else {
				text += ", expired " + formatDuration(-left) + " ago"
			}
		}
	}
	d.add("token", OK, "%s", text)
	if claims := otherClaims(d.Token.Claims); claims != "" {
		d.add("claims", OK, "%s", claims)
	}
}

// failedCheck returns the name of the check for an error that occurred before AWS responded.
func failedCheck(x helper.Examination) string {
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

// addExchange adds the checks that show AWS's responses, or the error that prevented the requests. If
// STS refused the role and its policy is not known, the advice contains the command that evaluates
// the policy.
func (d *Diagnosis) addExchange(x helper.Examination, policy *trust.Policy) {
	var (
		failed *exchange.Error
		noRole *token.NoRoleError
	)
	for _, o := range x.Steps {
		switch o.Step {
		case exchange.StepPassword:
			d.add("ECR", OK, "received a password, valid for %s (%s, %d ms)",
				formatDuration(o.TTL), shortURL(x.ECR), o.Duration.Milliseconds())
		default:
			d.add("STS", OK, "assumed %s for %s (%s, %d ms)", exchange.DescribeRole(o.Role),
				formatDuration(o.TTL), shortURL(x.STS), o.Duration.Milliseconds())
		}
	}
	switch {
	case x.Err == nil || errors.As(x.Err, &noRole): // addRoles reports a NoRoleError
		return
	case !errors.As(x.Err, &failed): // before the first request to AWS
		d.addError(failedCheck(x), x.Err)
		if x.ECR == "" {
			return
		}
		if len(x.Roles.ARNs) > 0 {
			d.add("STS", Skipped, "no request was made (%s)", shortURL(x.STS))
		}
	case failed.Step == exchange.StepPassword:
		d.add("ECR", Wrong, "%s (%s)", safetext.Sanitize(failed.Error()), shortURL(x.ECR)).
			Advice = advice(x.Err)
		return
	default:
		c := d.add("STS", Wrong, "%s (%s)", safetext.Sanitize(failed.Error()), shortURL(x.STS))
		c.Advice = advice(x.Err)
		if isRoleRefused(x.Err) && policy == nil {
			c.Advice += ". To evaluate the trust policy: aws iam get-role --role-name " +
				explain.ShellQuote(failed.Role[strings.LastIndex(failed.Role, "/")+1:]) +
				" | docker-credential-ecr-oidc doctor --trust-policy - " + x.Registry.Host
		}
	}
	d.add("ECR", Skipped, "no request was made (%s)", shortURL(x.ECR))
}
