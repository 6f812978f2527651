// Package token finds the CI that a process runs in and requests its OIDC token.
//
// Identify decides which identity a process may use. The decision is final: a failure never falls
// back to another identity. Identify reads environment variables and the token's file; it makes no
// request and runs no command. Identity.Token and Identity.Renew may do both.
package token

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Settings is what the user configured about the identity. The zero value leaves everything to the
// environment.
type Settings struct {
	Source             string // a value of ECR_OIDC_SOURCE; "" is "auto"
	TokenFile          string // path of a file that contains the token
	Profile            string // AWS profile of the "aws" source
	Connection         string // id of the Azure Pipelines service connection
	AccountSpecific    bool   // source or token file is for one account; ECR_OIDC_TOKEN does not count
	HasRole            bool   // a role is configured ...
	HasWebIdentityRole bool   // ... and if AWS_ROLE_ARN beside AWS_WEB_IDENTITY_TOKEN_FILE counts

	SourceFrom, TokenFileFrom, ProfileFrom string // the variable or line that set it, for messages
}

// Identity is what this process authenticates with: an OIDC token, or AWS credentials. It is decided once.
type Identity struct {
	Provider
	CI              bool   // a known CI was detected: the machine's own credentials do not count
	DetectedCI      string // name of the detected CI; "" on a machine
	DetectedBy      string // the variable that decided, for messages; "" when none did, which makes it a machine
	Explicit        bool   // the user named the source, and only that one is used
	WebIdentityPair bool   // the token is AWS_WEB_IDENTITY_TOKEN_FILE's, so that AWS_ROLE_ARN beside it counts
	KeysOnly        bool   // the AWS access keys in the environment and nothing else; Name is then "aws"
	Secret          []byte // known to this job alone; seals its cache. nil when there is none
	Source          Source // of the OIDC token; without Token when the identity is AWS credentials

	env Env
	job func(Env) (repository, run string) // of the detected CI, not of the source; nil for none
}

// minSecret is the length in bytes below which a secret is not used to derive a key.
const minSecret = 16

// stsAudience is the audience by which AWS's documentation and actions let a role trust a CI.
const stsAudience = "sts.amazonaws.com"

// Identify decides which identity this process uses:
//
//  1. A source, a token or a token file that the user configured. Otherwise the first CI in providers
//     that is detected, even when its token is missing. Otherwise it is a machine: a web-identity
//     pair (Kubernetes) or the AWS SDK's chain.
//  2. In a CI with a role: the token, or an error. Without a role: the AWS keys in the environment
//     alone, or an error. A source that the user named is used or fails.
//
// The error is *MissingError, *NoRoleError or a setting that is wrong. The Identity that comes with
// the first two has its Secret, so that a login that was stored for this job is still found.
func Identify(env Env, s Settings) (Identity, error) {
	id, err := locate(env, s)
	id.env = env
	if err != nil {
		return id, err
	}
	if id.Name == "aws" {
		id.Secret = usableSecret(chainSecret(env, s))
		return id, nil
	}
	source, missing := id.New(env, s)
	id.Secret = usableSecret(source.Secret)
	role := s.HasRole
	if id.WebIdentityPair {
		role = s.HasWebIdentityRole
	}
	switch {
	case role && missing == "":
		id.Source = source
		return id, nil
	case role:
		return id, &MissingError{
			Token: id.TokenName(), Why: missing, Advice: id.Advice(env), Ignored: ignored(env),
		}
	case env.Get("AWS_ACCESS_KEY_ID") != "" && id.CI && !id.Explicit:
		id.Name, id.KeysOnly = "aws", true
		if id.Secret == nil {
			id.Secret = usableSecret(env.Get("AWS_SECRET_ACCESS_KEY"))
		}
		return id, nil
	}
	e := &NoRoleError{Why: missing, Ignored: ignored(env)}
	if missing != "" {
		e.Advice = id.Advice(env)
	}
	return id, e
}

// locate carries out the first step of Identify.
func locate(env Env, s Settings) (Identity, error) {
	ci := detect(env)
	if s.Source != "" && s.Source != "auto" {
		return ci.named(env, s)
	}
	inVariable := inVariable(env, s)
	switch {
	case inVariable && s.TokenFile != "":
		return ci, fmt.Errorf("ECR_OIDC_TOKEN and %s are both set: unset one of them", s.TokenFileFrom)
	case inVariable && ci.Name == "gitlab": // where the token comes in this variable
		ci.DetectedBy = "ECR_OIDC_TOKEN"
		return ci, nil
	case inVariable:
		return ci.as("env", "ECR_OIDC_TOKEN"), nil
	case s.TokenFile != "":
		return ci.as("file", s.TokenFileFrom), nil
	case ci.CI:
		return ci, nil
	case env.Get("AWS_WEB_IDENTITY_TOKEN_FILE") != "" && env.Get("AWS_ROLE_ARN") != "":
		id := ci.as("file", "AWS_WEB_IDENTITY_TOKEN_FILE")
		id.WebIdentityPair = true
		return id, nil
	}
	return ci.as("aws", ""), nil
}

// detect returns the first CI that this process runs in; the zero Identity on a machine.
func detect(env Env) Identity {
	for _, p := range providers() {
		if p.Detect == nil {
			continue
		}
		if by := p.Detect(env); by != "" {
			return Identity{Provider: p, CI: true, DetectedCI: p.Name, DetectedBy: by, job: p.Job}
		}
	}
	return Identity{}
}

// inVariable reports whether ECR_OIDC_TOKEN holds a token that counts.
func inVariable(env Env, s Settings) bool {
	return env.Get("ECR_OIDC_TOKEN") != "" && !s.AccountSpecific
}

// named returns the identity with the provider that the user named. The error is that another
// setting disagrees.
func (id Identity) named(env Env, s Settings) (Identity, error) {
	id = id.as(s.Source, s.SourceFrom)
	id.Explicit = true
	id.WebIdentityPair = s.Source == "file" && s.TokenFile == "" && env.Get("AWS_WEB_IDENTITY_TOKEN_FILE") != ""
	set := s.SourceFrom + "=" + s.Source
	if strings.Contains(s.SourceFrom, ":") { // a line of the file
		set = s.SourceFrom + " (source " + s.Source + ")"
	}
	switch {
	case id.Name == "":
		return id, fmt.Errorf("%s is %q; allowed are %s", s.SourceFrom, s.Source,
			strings.Join(Sources(), ", "))
	case inVariable(env, s) && s.Source != "env" && s.Source != "gitlab":
		return id, fmt.Errorf("%s and ECR_OIDC_TOKEN disagree: unset one of them", set)
	case s.TokenFile != "" && s.Source != "file":
		return id, fmt.Errorf("%s and %s disagree: unset one of them", set, s.TokenFileFrom)
	}
	return id, nil
}

// as returns the identity with another provider, which by decided.
func (id Identity) as(name, by string) Identity {
	id.Provider, _ = find(name)
	id.DetectedBy = by
	return id
}

// OIDC reports whether the identity is an OIDC token, and not AWS credentials.
func (id Identity) OIDC() bool { return id.Source.Token != nil }

// TokenName describes the identity's token, for messages.
func (id Identity) TokenName() string {
	if id.Label == "" {
		return "the OIDC token"
	}
	return "the " + id.Label + " job's OIDC token"
}

// Token requests the job's token. An audience of "" requests the source's own: "sts.amazonaws.com"
// where one can be requested, otherwise what the token carries. It blocks until ctx is done at the
// latest.
func (id Identity) Token(ctx context.Context, client *http.Client, audience string) (Token, error) {
	return id.get(ctx, id.Source.Token, client, audience)
}

// Renew requests a token that is newer than the one that STS reported as expired. Source.Renew must
// not be nil.
func (id Identity) Renew(ctx context.Context, client *http.Client, audience string) (Token, error) {
	return id.get(ctx, id.Source.Renew, client, audience)
}

// get fetches a token, parses it, and refuses one that is for another audience than the one requested.
func (id Identity) get(
	ctx context.Context, fetch fetch, client *http.Client, audience string,
) (Token, error) {
	want := audience
	if want == "" {
		want = id.Source.Audience
	}
	raw, err := fetch(ctx, client, want)
	if err != nil {
		return Token{}, err
	}
	t, err := Parse(raw)
	if err != nil {
		return Token{}, fmt.Errorf("%w (from %s)", err, id.Source.Origin)
	}
	if want != "" && !slices.Contains(t.Claims.Audience, want) {
		return Token{}, &AudienceError{Token: id.TokenName(), Want: want, Got: t.Claims.Audience,
			Advice: "make the CI issue the token for that audience, or set ECR_OIDC_AUDIENCE to the " +
				"one it has and add it to the IAM OIDC provider"}
	}
	return t, nil
}

// Ignored returns the variables that are set and that another identity could have come from: other
// CIs' variables, a token, AWS keys, profile and web identity, container credentials.
func (id Identity) Ignored() []string {
	var found []string
	for _, p := range providers() {
		if own := p.Name == id.Name || id.KeysOnly && p.Name == id.DetectedCI; p.Detect != nil && !own {
			if by := p.Detect(id.env); by != "" {
				found = append(found, by)
			}
		}
	}
	names := []string{"ECR_OIDC_TOKEN"}
	if id.Name != "aws" {
		names = append(names, "AWS_ACCESS_KEY_ID")
	}
	if id.Name != "aws" || id.KeysOnly {
		names = append(names, "AWS_PROFILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
			"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
		if !id.WebIdentityPair {
			names = append(names, "AWS_WEB_IDENTITY_TOKEN_FILE")
		}
	}
	for _, name := range names {
		if id.env.Get(name) != "" && name != id.DetectedBy {
			found = append(found, name)
		}
	}
	return found
}

// ignored lists the variables of AWS credentials that are set and not used, for the error that explains why.
func ignored(env Env) []string {
	var found []string
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE"} {
		if env.Get(name) != "" {
			found = append(found, name)
		}
	}
	return found
}

func usableSecret(secret string) []byte {
	if len(secret) < minSecret {
		return nil
	}
	return []byte(secret)
}

// isExpired reports whether a token has less than a minute left by the local clock.
func isExpired(t Token, now time.Time) bool {
	return !t.Claims.Expires.IsZero() && now.Add(time.Minute).After(t.Claims.Expires)
}
