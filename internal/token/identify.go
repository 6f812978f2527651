// Package token detects the CI that a process runs in, and requests the job's OIDC token.
//
// Identify decides which identity the process uses: an OIDC token or AWS credentials. The decision
// is final. When that identity fails, no other identity is tried. Identify reads environment
// variables and token files. It makes no request and runs no command. Identity.Token and
// Identity.Renew may do both.
package token

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Settings are the user's settings for the identity. With the zero value, only the environment
// decides.
type Settings struct {
	Source     string // a value of ECR_OIDC_SOURCE; "" is "auto"
	TokenFile  string // path of a file that contains the token
	Profile    string // AWS profile of the "aws" source
	Connection string // id of the Azure Pipelines service connection

	// AccountSpecific means that Source or TokenFile is set for the registry's account.
	// ECR_OIDC_TOKEN is then ignored.
	AccountSpecific bool

	// HasRole and HasWebIdentityRole report whether a role is configured. AWS_ROLE_ARN of a web
	// identity pair counts only for HasWebIdentityRole.
	HasRole, HasWebIdentityRole bool

	// SourceFrom, TokenFileFrom and ProfileFrom name the variable or the line of ecr-oidc.yaml
	// that sets the value, for messages.
	SourceFrom, TokenFileFrom, ProfileFrom string
}

// Identity is what the process authenticates with: an OIDC token or AWS credentials.
type Identity struct {
	Provider
	CI         bool   // a CI was detected; unless Explicit, the machine's credentials are not used
	DetectedCI string // name of the detected CI; "" outside a CI
	SelectedBy string // variable or line that selected the source; "" for the default
	Explicit   bool   // the user named the source, and no other is used

	// WebIdentityPair means that the token is in AWS_WEB_IDENTITY_TOKEN_FILE, so that
	// AWS_ROLE_ARN applies.
	WebIdentityPair bool

	// KeysOnly means that only the AWS access keys in the environment are used. Name is then
	// "aws".
	KeysOnly bool

	// CacheSecret is the secret from which the cache's encryption key is derived. Only processes that can use
	// the same identity have it. It is nil when there is none.
	CacheSecret []byte

	// TokenSource provides the OIDC token. It is zero when the identity is AWS credentials.
	TokenSource TokenSource

	env Env

	// job is the Job function of the detected CI, which may not be the source. It is nil outside a
	// CI.
	job func(Env) (repository, run string)
}

// minSecret is the minimum length in bytes of a secret from which a key is derived.
const minSecret = 16

// stsAudience is the audience for CI tokens in AWS's documentation and in AWS's GitHub actions.
const stsAudience = "sts.amazonaws.com"

// Identify decides which identity this process uses:
//
//  1. It selects the provider: the source, token or token file that the user configured. Otherwise
//     the first CI in providers that is detected, even when its token is missing. Otherwise the
//     process runs on a machine outside a CI, and the provider is a web identity pair (Kubernetes)
//     or the AWS SDK's chain.
//  2. For the provider "aws", the identity is the AWS SDK's default chain, with or without a role.
//     For every other provider, it is the provider's token if a role is configured; a missing
//     token is an error. If no role is configured, the identity is the AWS access keys in the
//     environment, but only in a CI and only if the user did not name a source. All other cases
//     are errors.
//
// The error is a *MissingError, a *NoRoleError, or reports an invalid setting. The Identity that
// is returned with the first two has its CacheSecret, so that a login stored for this job is
// still found.
func Identify(env Env, s Settings) (Identity, error) {
	id, err := selectProvider(env, s)
	id.env = env
	if err != nil {
		return id, err
	}
	if id.Name == "aws" {
		id.CacheSecret = usableSecret(chainSecret(env, s))
		return id, nil
	}
	source, missing := id.New(env, s)
	id.CacheSecret = usableSecret(source.CacheSecret)
	role := s.HasRole
	if id.WebIdentityPair {
		role = s.HasWebIdentityRole
	}
	switch {
	case role && missing == "":
		id.TokenSource = source
		return id, nil
	case role:
		return id, &MissingError{
			TokenName: id.TokenName(), Why: missing, Advice: id.Advice(env),
			Ignored: ignoredAWSVariables(env),
		}
	case env.Get("AWS_ACCESS_KEY_ID") != "" && id.CI && !id.Explicit:
		id.Name, id.KeysOnly = "aws", true
		if id.CacheSecret == nil {
			id.CacheSecret = usableSecret(env.Get("AWS_SECRET_ACCESS_KEY"))
		}
		return id, nil
	}
	e := &NoRoleError{Why: missing, Ignored: ignoredAWSVariables(env)}
	if missing != "" {
		e.Advice = id.Advice(env)
	}
	return id, e
}

// selectProvider performs the first step of Identify.
func selectProvider(env Env, s Settings) (Identity, error) {
	ci := detectCI(env)
	if s.Source != "" && s.Source != "auto" {
		return ci.withNamedSource(env, s)
	}
	hasToken := hasTokenVariable(env, s)
	switch {
	case hasToken && s.TokenFile != "":
		return ci, fmt.Errorf("ECR_OIDC_TOKEN and %s are both set; remove one of them",
			s.TokenFileFrom)
	case hasToken && ci.Name == "gitlab": // a job's id_tokens set this variable
		ci.SelectedBy = "ECR_OIDC_TOKEN"
		return ci, nil
	case hasToken:
		return ci.withProvider("env", "ECR_OIDC_TOKEN"), nil
	case s.TokenFile != "":
		return ci.withProvider("file", s.TokenFileFrom), nil
	case ci.CI:
		return ci, nil
	case env.Get("AWS_WEB_IDENTITY_TOKEN_FILE") != "" && env.Get("AWS_ROLE_ARN") != "":
		id := ci.withProvider("file", "AWS_WEB_IDENTITY_TOKEN_FILE")
		id.WebIdentityPair = true
		return id, nil
	}
	return ci.withProvider("aws", ""), nil
}

// detectCI returns an identity with the first CI that is detected. It returns the zero Identity
// outside a CI.
func detectCI(env Env) Identity {
	for _, p := range providers() {
		if p.Detect == nil {
			continue
		}
		if variable := p.Detect(env); variable != "" {
			return Identity{
				Provider: p, CI: true, DetectedCI: p.Name, SelectedBy: variable,
				job: p.Job,
			}
		}
	}
	return Identity{}
}

// hasTokenVariable reports whether ECR_OIDC_TOKEN contains a token and applies to the registry. It
// does not apply when the source or the token file is set for the registry's account.
func hasTokenVariable(env Env, s Settings) bool {
	return env.Get("ECR_OIDC_TOKEN") != "" && !s.AccountSpecific
}

// withNamedSource returns the identity with the source that the user named. The error reports an
// unknown source, or another setting that conflicts with it.
func (id Identity) withNamedSource(env Env, s Settings) (Identity, error) {
	id = id.withProvider(s.Source, s.SourceFrom)
	id.Explicit = true
	id.WebIdentityPair = s.Source == "file" && s.TokenFile == "" &&
		env.Get("AWS_WEB_IDENTITY_TOKEN_FILE") != ""
	setting := s.SourceFrom + "=" + s.Source
	if strings.Contains(s.SourceFrom, ":") { // FILE:LINE
		setting = s.SourceFrom + " (source " + s.Source + ")"
	}
	switch {
	case id.Name == "":
		return id, fmt.Errorf("%s is %q; allowed values are %s", s.SourceFrom, s.Source,
			strings.Join(Sources(), ", "))
	case hasTokenVariable(env, s) && s.Source != "env" && s.Source != "gitlab":
		return id, fmt.Errorf("%s conflicts with ECR_OIDC_TOKEN; remove one of them", setting)
	case s.TokenFile != "" && s.Source != "file":
		return id, fmt.Errorf("%s conflicts with %s; remove one of them", setting,
			s.TokenFileFrom)
	}
	return id, nil
}

// withProvider returns the identity with another provider, and with the variable or line that
// selected it.
func (id Identity) withProvider(name, selectedBy string) Identity {
	id.Provider, _ = findProvider(name)
	id.SelectedBy = selectedBy
	return id
}

// OIDC reports whether the identity is an OIDC token. Otherwise it is AWS credentials.
func (id Identity) OIDC() bool { return id.TokenSource.Token != nil }

// TokenName returns a description of the identity's token, for messages.
func (id Identity) TokenName() string {
	if id.Label == "" {
		return "the OIDC token"
	}
	return "the " + id.Label + " job's OIDC token"
}

// Token returns the job's token for an audience. For the audience "" it requests
// "sts.amazonaws.com" where an audience can be requested, and otherwise accepts the token's own. It
// blocks until it succeeds or fails, or until ctx is done. The error is a *RequestError, *MissingError
// or *AudienceError, or reports an invalid setting or token. It contains no secret. Identity must
// be an OIDC token.
func (id Identity) Token(ctx context.Context, client *http.Client, audience string) (Token, error) {
	return id.fetch(ctx, id.TokenSource.Token, client, audience)
}

// Renew requests a new token after STS has reported that the first one has expired. It is otherwise
// like Token. TokenSource.Renew must not be nil.
func (id Identity) Renew(ctx context.Context, client *http.Client, audience string) (Token, error) {
	return id.fetch(ctx, id.TokenSource.Renew, client, audience)
}

// fetch calls get, parses the token, and checks its audience.
func (id Identity) fetch(
	ctx context.Context, get tokenFunc, client *http.Client, audience string,
) (Token, error) {
	want := audience
	if want == "" {
		want = id.TokenSource.Audience
	}
	raw, err := get(ctx, client, want)
	if err != nil {
		return Token{}, err
	}
	t, err := Parse(raw)
	if err != nil {
		return Token{}, fmt.Errorf("%w (from %s)", err, id.TokenSource.Origin)
	}
	if want != "" && !slices.Contains(t.Claims.Audience, want) {
		return Token{}, &AudienceError{
			TokenName: id.TokenName(), Want: want, Got: t.Claims.Audience,
			Advice: "make the CI issue the token for that audience, or set ECR_OIDC_AUDIENCE " +
				"to the audience it has and add that to the IAM OIDC provider",
		}
	}
	return t, nil
}

// usableSecret returns nil for a secret that is too short to derive a key from.
func usableSecret(secret string) []byte {
	if len(secret) < minSecret {
		return nil
	}
	return []byte(secret)
}

// expiresWithinMinute reports whether a token has expired or expires within a minute of now. It
// returns false for a token without an expiry.
func expiresWithinMinute(t Token, now time.Time) bool {
	return !t.Claims.Expires.IsZero() && now.Add(time.Minute).After(t.Claims.Expires)
}
