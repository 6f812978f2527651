package token

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Source is an identity that this process may use, decided once and never exchanged for another.
type Source struct {
	Place
	// Secret is known to this job alone and seals its cache; nil where there is no such thing.
	Secret []byte
	// KeysOnly is true of an "aws" source that is the environment's access keys and nothing else.
	KeysOnly bool

	from     string // where the token stands or comes from, for messages
	audience string // what is asked for unless the user says otherwise; "" where the token comes unasked
	fetch    fetch
	renew    fetch
}

// fetch gets a token. It may block for as long as ctx allows.
type fetch func(ctx context.Context, client *http.Client, audience string) (string, error)

// Renewable says whether Renew can give a token that Token did not.
func (s Source) Renewable() bool { return s.renew != nil }

// Asked says whether the source makes a token when it is asked, as opposed to one that was there before.
func (s Source) Asked() bool { return s.OIDC() && (s.Name == "github" || s.Name == "buildkite") }

// OIDC says whether the source is a token, as opposed to the AWS SDK's chain.
func (s Source) OIDC() bool { return s.fetch != nil }

// shortest is the length in bytes below which something is no secret to derive a key from.
const shortest = 16

// candidate is what one CI's file in this package says of the environment.
type candidate struct {
	from     string
	secret   string
	audience string
	missing  string // why no token can be had; "" when one can
	fetch    fetch
	renew    fetch // makes a new token after STS called one expired; nil where there is only the one
}

// Identify says which credentials the place offers, given whether a role is configured. The error is *MissingError or
// *NoRoleError; the Source that comes with it has the place and its Secret, so that a login kept for this job can
// still be found. The rules, in a CI:
//
//	            token              no token
//	role        OIDC               error
//	no role     the keys alone, if AWS_ACCESS_KEY_ID is set; else error
//
// A source that the user named is used or fails; it never turns into the keys. On a machine "file" needs no more than
// its pair, and "aws" is the SDK's chain.
func Identify(env Env, place Place, choice Choice, role bool) (Source, error) {
	if place.Name == "aws" {
		return Source{Place: place, Secret: seal(keySecret(env, choice))}, nil
	}
	c := ask(env, place, choice)
	s := Source{Place: place, Secret: seal(c.secret), from: c.from, audience: c.audience}
	keys := env.Get("AWS_ACCESS_KEY_ID") != ""
	switch {
	case role && c.missing == "":
		s.fetch, s.renew = c.fetch, c.renew
		return s, nil
	case role:
		return s, &MissingError{Place: place, Why: c.missing, Others: others(env)}
	case keys && place.CI && !place.Chosen:
		s.Name, s.KeysOnly = "aws", true
		if s.Secret == nil {
			s.Secret = seal(env.Get("AWS_SECRET_ACCESS_KEY"))
		}
		return s, nil
	}
	return s, &NoRoleError{Place: place, Why: c.missing, Others: others(env)}
}

// ask is the table of sources that are a token.
func ask(env Env, place Place, choice Choice) candidate {
	switch place.Name {
	case "github":
		return github(env)
	case "circleci":
		return circleci(env)
	case "gitlab":
		return variable(env, "ECR_OIDC_TOKEN", "STS_AMAZONAWS_COM_ID_TOKEN")
	case "buildkite":
		return buildkite(env)
	case "env":
		return variable(env, "ECR_OIDC_TOKEN")
	default:
		return file(env, choice)
	}
}

// Token gets the job's token. An audience of "" asks for the source's own: "sts.amazonaws.com" where it can be asked,
// and what the token carries anyway where it cannot. It blocks for as long as ctx and passing faults allow.
func (s Source) Token(ctx context.Context, client *http.Client, audience string) (Token, error) {
	raw, err := s.fetch(ctx, client, audience)
	if err != nil {
		return Token{}, err
	}
	return s.check(raw, audience)
}

// Renew gets a token that is newer than the one STS called expired. It is to be called only when Renewable.
func (s Source) Renew(ctx context.Context, client *http.Client, audience string) (Token, error) {
	raw, err := s.renew(ctx, client, audience)
	if err != nil {
		return Token{}, err
	}
	return s.check(raw, audience)
}

// check reads a token and refuses one that is for someone else than who was asked for.
func (s Source) check(raw, audience string) (Token, error) {
	t, err := Parse(raw)
	if err != nil {
		return Token{}, fmt.Errorf("%w (from %s)", err, s.from)
	}
	if want := s.Audience(audience); want != "" && !slices.Contains(t.Claims.Audience, want) {
		return Token{}, &AudienceError{Place: s.Place, Want: want, Got: t.Claims.Audience}
	}
	return t, nil
}

// Audience returns the audience that Token(ctx, client, audience) will ask for; "" when it takes what it is given.
func (s Source) Audience(audience string) string {
	if audience == "" {
		return s.audience
	}
	return audience
}

// stsAudience is the audience by which AWS's documentation and actions let a role trust a CI.
const stsAudience = "sts.amazonaws.com"

// others lists what else in the environment could have been used, for the error that says why it was not.
func others(env Env) []string {
	var found []string
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE"} {
		if env.Get(name) != "" {
			found = append(found, name)
		}
	}
	return found
}

// keySecret is the secret of an "aws" source: that of the environment's keys, when they are what the SDK's chain takes.
// A profile named in code goes before them (aws-sdk-go-v2 config/resolve_credentials.go); AWS_PROFILE does not.
func keySecret(env Env, choice Choice) string {
	if choice.Profile != "" || env.Get("AWS_ACCESS_KEY_ID") == "" {
		return ""
	}
	return env.Get("AWS_SECRET_ACCESS_KEY")
}

func seal(secret string) []byte {
	if len(secret) < shortest {
		return nil
	}
	return []byte(secret)
}

// expired says whether a token is past its life by the local clock, with a minute to use it in.
func expired(t Token, now time.Time) bool {
	return !t.Claims.Expires.IsZero() && now.Add(time.Minute).After(t.Claims.Expires)
}
