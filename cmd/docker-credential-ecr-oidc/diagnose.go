package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/exchange"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/helper"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/oneline"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/trust"
)

// diagnose puts what an examination found into words, in the order of a get.
func (d *doctor) diagnose(x helper.Examination) diagnosis {
	found := diagnosis{Registry: x.Registry.Host, Ready: x.Err == nil && !x.Anonymous}
	if time.Until(x.Until) <= 0 {
		x.Repeated = nil // over by now
	}
	found.registry(x)
	found.storedLogin(x)
	if x.Decided {
		found.roles(x)
		found.source(x, d.program)
		found.token(x)
		found.exchange(x, d.policy == nil)
	} else {
		found.wrong("settings", x.Err)
	}
	found.states(x, d.program)
	if x.Decided {
		found.cache(x)
		found.repeated(x, d.program)
	}
	found.docker(x, d.docker)
	found.get(x, d.program)
	switch {
	case found.Token != nil && (d.policy != nil || refusedRole(x.Err)):
		d.judge(&found)
		if found.Policy != nil && found.Policy.Verdict != nil {
			found.compare(x)
		}
	case d.policy != nil:
		found.add("policy", skipped, "not looked at: there is no token to put to it")
	}
	found.redactURLs()
	return found
}

// wrong says of a step what its error says.
func (d *diagnosis) wrong(name string, err error) {
	d.add(name, bad, "%s", oneline.Clean(err.Error())).Next = next(err)
}

// next is advice, and for errors that have none, since a get's one line has no room for a maybe, that.
func next(err error) string {
	var (
		request *token.RequestError
		aws     *exchange.Error
		late    *overdue
	)
	const reach = "it may pass. If it does not: can this machine reach that address? Behind a proxy, set HTTPS_PROXY, and NO_PROXY for what lies before it"
	switch text := advice(err); {
	case text != "":
		return text
	case errors.As(err, &late):
		return "something that it opens does not answer: is the token's file, the AWS profile's or ecr-oidc.yaml a pipe, or on a mount that is gone? ECR_OIDC_DEBUG=1 shows how far it comes"
	case errors.As(err, &request) && request.Passing, errors.As(err, &aws) && aws.Code == "":
		return reach
	case errors.As(err, &request):
		return "a CI answers its own jobs, and only while they run: are the variables that it set for this job still as it set them?"
	case errors.As(err, &aws) && aws.Retryable:
		return "it may pass: try again"
	}
	return ""
}

// where shortens an endpoint's URL.
func where(endpoint string) string {
	return strings.TrimSuffix(strings.TrimPrefix(endpoint, "https://"), "/")
}

// refusedRole says whether STS gave the one answer that it has for a role that is not there and for one whose policy
// refuses.
func refusedRole(err error) bool {
	var aws *exchange.Error
	return errors.As(err, &aws) && aws.Step == exchange.WebIdentity && aws.Code == "AccessDenied"
}

func (d *diagnosis) registry(x helper.Examination) {
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
	d.add("registry", good, "%s", text)
}

func (d *diagnosis) roles(x helper.Examination) {
	if len(x.Roles.ARNs) > 0 {
		d.Role, d.Session = x.Roles.ARNs[0], x.Settings.SessionName
	}
	var none *token.NoRoleError
	switch {
	case len(x.Roles.ARNs) > 0:
		d.add("role", good, "%s, from %s", strings.Join(x.Roles.ARNs, ", then "), x.Roles.From)
	case x.Registry.Public:
		d.add("role", note, "none, so this registry is left anonymous").Next = "for a login: set ECR_OIDC_ROLE_PUBLIC"
	case errors.As(x.Err, &none):
		d.wrong("role", x.Err)
	default:
		d.add("role", good, "none: the credentials ask for the password themselves")
	}
}

// source says where we are and who we are there.
func (d *diagnosis) source(x helper.Examination, p program) {
	id := x.Identity
	text := id.Name
	if id.KeysOnly {
		text = id.Detected
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
		text += chain(x, p)
	}
	if passed := id.Ignored(); len(passed) > 0 && !x.Identity.KeysOnly {
		text += "; passed over: " + strings.Join(passed, ", ")
	}
	d.add("source", good, "%s", text)
}

// chain says where the SDK's chain begins.
func chain(x helper.Examination, p program) string {
	if profile := x.Settings.Identity.Profile; profile != "" {
		return "; profile " + shown(profile) + " from " + x.Settings.Identity.ProfileFrom
	}
	if p.env.Get("AWS_ACCESS_KEY_ID") != "" && p.env.Get("AWS_SECRET_ACCESS_KEY") != "" {
		return "; the keys in the environment"
	}
	if name := firstSet(p.env, "AWS_PROFILE", "AWS_DEFAULT_PROFILE"); name != "" {
		return "; profile " + shown(p.env.Get(name)) + " from " + name
	}
	return "; profile default"
}

func (d *diagnosis) token(x helper.Examination) {
	if x.Token.Raw == "" {
		return
	}
	d.Token = tokenOf(x.Token.Payload())
	c := x.Token.Claims
	text := fmt.Sprintf("issuer   %s\nsubject  %s\naudience %s", shown(c.Issuer), shown(c.Subject), shown(strings.Join(c.Audience, ", ")))
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
	d.add("token", good, "%s", text)
	if rest := list(d.Token.Claims); rest != "" {
		d.add("claims", good, "%s", rest)
	}
}

// step names the step of an error that is not AWS's answer.
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

// exchange says what AWS answered, or what kept it from being asked. To tell more of a role that refuses, the policy is
// wanted.
func (d *diagnosis) exchange(x helper.Examination, wanted bool) {
	var (
		failed *exchange.Error
		noRole *token.NoRoleError
	)
	for _, o := range x.Passed {
		switch o.Step {
		case exchange.Password:
			d.add("ECR", good, "a password that lives %s; %s, %d ms", span(o.TTL), where(x.ECR), o.Duration.Milliseconds())
		default:
			d.add("STS", good, "%s assumed, for %s; %s, %d ms", exchange.Short(o.Role), span(o.TTL), where(x.STS), o.Duration.Milliseconds())
		}
	}
	switch {
	case x.Err == nil || errors.As(x.Err, &noRole): // said with the role
		return
	case !errors.As(x.Err, &failed): // before AWS was asked
		d.wrong(step(x), x.Err)
		if x.ECR == "" {
			return
		}
		if len(x.Roles.ARNs) > 0 {
			d.add("STS", skipped, "not asked (%s)", where(x.STS))
		}
	case failed.Step == exchange.Password:
		d.add("ECR", bad, "%s (%s)", oneline.Clean(failed.Error()), where(x.ECR)).Next = next(x.Err)
		return
	default:
		c := d.add("STS", bad, "%s (%s)", oneline.Clean(failed.Error()), where(x.STS))
		c.Next = next(x.Err)
		if refusedRole(x.Err) && wanted {
			c.Next += ". To ask the policy: aws iam get-role --role-name " + word(failed.Role[strings.LastIndex(failed.Role, "/")+1:]) +
				" | docker-credential-ecr-oidc doctor --trust-policy - " + x.Registry.Host
		}
	}
	d.add("ECR", skipped, "not asked (%s)", where(x.ECR))
}

func (d *diagnosis) cache(x helper.Examination) {
	var missing *fs.PathError
	switch {
	case errors.Is(x.CacheErr, fs.ErrNotExist) && errors.As(x.CacheErr, &missing):
		d.add("cache", good, "%s is not there yet", missing.Path)
	case x.CacheErr != nil:
		why := strings.ReplaceAll(strings.TrimPrefix(x.CacheErr.Error(), "opening the cache: "), "\n", "; ")
		d.add("cache", note, "none: %s", oneline.Clean(why))
	case x.Cached == nil:
		d.add("cache", good, "%s: nothing for this registry", x.CacheDir)
	default:
		d.cached(x, time.Since(x.Cached.CreatedAt))
	}
}

// storedLogin reports a login that another tool stored, which get returns before all else.
func (d *diagnosis) storedLogin(x helper.Examination) {
	const (
		returned = "get returns the login that another tool stored %s ago; the role and the source are not used"
		ignored  = "get ignores the login that another tool stored %s ago: ECR_OIDC_STORED_LOGINS is off"
	)
	remove := "to delete it: docker logout " + x.Registry.Host
	switch {
	case x.Stored != nil:
		c := d.add("login", note, returned, span(time.Since(x.Stored.CreatedAt)))
		c.Next = remove + "; to ignore stored logins: ECR_OIDC_STORED_LOGINS=off"
	case x.Ignored != nil:
		d.add("login", note, ignored, span(time.Since(x.Ignored.CreatedAt))).Next = remove
	}
}

// cached reports how long get will return the entry. When it is no longer fresh, AWS is asked again, and a refusal
// deletes it.
func (d *diagnosis) cached(x helper.Examination, age time.Duration) {
	e := x.Cached
	left := min(e.Remaining(time.Now()), e.FreshFor-age)
	text := fmt.Sprintf("%s: a password made %s ago that lives %s", x.CacheDir, span(age), span(e.TTL))
	switch {
	case !e.IsUsable(time.Now()):
		d.add("cache", good, "%s and serves no longer", text)
	case d.Ready:
		d.add("cache", good, "%s", text)
	case left <= 0:
		d.add("cache", note, "%s; get answers with it while AWS cannot be asked", text)
	default:
		d.add("cache", note, "%s; get answers with it for up to %s yet, and says only then what it would say now", text, span(left)).Next = "to forget it: docker logout " + x.Registry.Host
	}
}

// repeated says that get answers with a failure that is over by now, where it would not say the same anyway.
func (d *diagnosis) repeated(x helper.Examination, p program) {
	host := x.Registry.Host
	if x.Repeated == nil || x.Stored != nil || x.Err != nil && p.line(x.Err, host) == p.line(x.Repeated, host) {
		return
	}
	d.Ready = false
	left := max(time.Second, time.Until(x.Until))
	d.add("cache", bad, "get repeats a failure of a moment ago for %s yet", span(left)).Next = "to forget it: docker logout " + host
}

// get says what a get would print.
func (d *diagnosis) get(x helper.Examination, p program) {
	switch {
	case x.Stored != nil:
		d.Ready = true
		d.Get = "a username and a password: the login that another tool stored"
	case x.Anonymous:
		d.Ready = false
		d.Get = "credentials not found in native keychain"
	case x.Repeated != nil:
		d.Get = p.line(x.Repeated, x.Registry.Host)
	case x.Err != nil:
		d.Get = p.line(x.Err, x.Registry.Host)
	default:
		d.Get = "a username and a password"
	}
}

// compare speaks of a policy and of AWS's answer when they do not agree.
func (d *diagnosis) compare(x helper.Examination) {
	switch admits := d.Policy.Verdict.Admits; {
	case admits == trust.Yes && refusedRole(x.Err):
		d.add("policy", note, "it would admit this token, and AWS did not: it is not the policy that this role has now, or there is no such role, or no such provider in its account, or a policy of the organisation denies")
	case admits == trust.No && x.Err == nil:
		d.add("policy", note, "it would not admit this token, and AWS did: it is not the policy that this role has now")
	}
}
