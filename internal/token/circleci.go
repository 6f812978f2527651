package token

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
)

// circleci returns the token source for CircleCI. The token is in CIRCLE_OIDC_TOKEN_V2, or in the
// older CIRCLE_OIDC_TOKEN when the first is not set (CircleCI server). CircleCI issues it shortly
// before the job starts, for one audience. It expires after one hour. When it is empty, expired
// or for another audience, "circleci run oidc get" requests a new one. Only the CLI in a job's
// environment has that command (https://circleci.com/docs/openid-connect-tokens/).
//
// The cache is encrypted with the variable's value, which is the same for the whole job. A token
// that is issued later is not used for that.
func circleci(env Env, _ Settings) (TokenSource, string) {
	name := "CIRCLE_OIDC_TOKEN_V2"
	if _, set := env(name); !set {
		if _, set := env("CIRCLE_OIDC_TOKEN"); set {
			name = "CIRCLE_OIDC_TOKEN"
		}
	}
	raw := env.Get(name)
	s := TokenSource{Origin: name, CacheSecret: raw}
	s.Token = func(ctx context.Context, _ *http.Client, audience string) (string, error) {
		return circleciToken(ctx, env, name, raw, audience)
	}
	s.Renew = func(ctx context.Context, _ *http.Client, audience string) (string, error) {
		return circleciRenew(ctx, env, raw, audience)
	}
	if raw == "" {
		if _, err := exec.LookPath("circleci"); err != nil {
			return s, env.DescribeMissing(name)
		}
	}
	return s, ""
}

const (
	circleciName   = "the CircleCI job's OIDC token"
	circleciAdvice = "check that the job receives an OIDC token (builds of forked pull requests " +
		"receive none unless the project passes secrets to them)"

	circleciAudienceAdvice = "unset ECR_OIDC_AUDIENCE and add the token's audience to the IAM OIDC " +
		"provider, or run where the job's `circleci run oidc get` is on PATH"
	circleciExpiredAdvice = "CircleCI's token is valid for one hour; run where the job's `circleci " +
		"run oidc get` is on PATH, or push earlier in the job"
)

// circleciToken returns the token in the variable. It returns a newly issued token when the
// variable's is missing, expired or for another audience.
func circleciToken(ctx context.Context, env Env, name, raw, audience string) (string, error) {
	// "" and an invalid token have the zero Token; fetch reports an invalid one.
	current, _ := Parse(raw)
	matches := raw != "" && (audience == "" || slices.Contains(current.Claims.Audience, audience))
	if matches && !expiresWithinMinute(current, time.Now()) {
		return raw, nil
	}
	audience = circleciAudience(env, current, audience)
	issued, err := circleciRequest(ctx, env, audience)
	var audienceErr *AudienceError
	switch {
	case err == nil:
		return issued.Raw, nil
	case errors.As(err, &audienceErr):
		return "", audienceErr
	case matches: // expired by the local clock, which may be wrong; STS decides
		return raw, nil
	case raw != "":
		return "", &AudienceError{
			TokenName: circleciName, Want: audience, Got: current.Claims.Audience,
			Why: err.Error(), Advice: circleciAudienceAdvice,
		}
	}
	return "", &MissingError{
		TokenName: circleciName, Why: env.DescribeMissing(name) + "; " + err.Error(),
		Advice: circleciAdvice, Ignored: ignoredAWSVariables(env),
	}
}

// circleciRenew requests a token after STS has reported the variable's token as expired.
func circleciRenew(ctx context.Context, env Env, raw, audience string) (string, error) {
	current, _ := Parse(raw) // the first request has checked it; "" has the zero Token
	issued, err := circleciRequest(ctx, env, circleciAudience(env, current, audience))
	if err != nil {
		return "", fmt.Errorf("renewing the CircleCI job's OIDC token: %w", err)
	}
	return issued.Raw, nil
}

// circleciAudience returns the audience to request a token for: the requested audience, else the
// current token's, else the organization's id. The id is CircleCI's default, and the audience that
// its AWS orb requests.
func circleciAudience(env Env, current Token, audience string) string {
	if audience == "" && len(current.Claims.Audience) > 0 {
		audience = current.Claims.Audience[0]
	}
	return cmp.Or(audience, env.Get("CIRCLE_ORGANIZATION_ID"))
}

// circleciHint explains a missing token. CircleCI sets these variables only in builds of forked
// pull requests (https://circleci.com/docs/variables/#built-in-environment-variables).
func circleciHint(env Env) Hint {
	if env.Get("CIRCLE_PR_REPONAME") == "" && env.Get("CIRCLE_PR_USERNAME") == "" {
		return Hint{}
	}
	return Hint{
		Name: "fork",
		Text: "this is a build of a forked pull request; CircleCI passes it no token and no secrets",
		Advice: "push in a build of the branch; or, where every fork is trusted, pass secrets to " +
			"forked builds (Project Settings, Advanced)",
		NoSecrets: true,
	}
}

// circleciRequest runs the circleci command to request a new token. On success stdout is the
// token, so no part of stdout is ever shown. The CircleCI CLI for developers has the same name,
// but not this subcommand, and fails.
func circleciRequest(ctx context.Context, env Env, audience string) (Token, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	args := []string{"run", "oidc", "get"}
	if audience != "" {
		claims, err := json.Marshal(map[string]string{"aud": audience})
		if err != nil {
			return Token{}, err
		}
		args = append(args, "--claims", string(claims))
	}
	cmd := exec.CommandContext(ctx, "circleci", args...)
	var stdout, stderr limitedBuffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Second // a grandchild may keep the pipes open
	err := cmd.Run()
	if err == nil {
		issued, err := Parse(strings.TrimSpace(string(stdout)))
		switch {
		case err != nil:
			return Token{}, errors.New("`circleci run oidc get`: the output is not a token")
		case audience != "" && !slices.Contains(issued.Claims.Audience, audience):
			return Token{}, &AudienceError{
				TokenName: circleciName, Want: audience, Got: issued.Claims.Audience,
				Advice: circleciAudienceAdvice,
			}
		}
		return issued, nil
	}
	if errors.Is(err, exec.ErrNotFound) {
		return Token{}, errors.New("`circleci run oidc get`: circleci is not on PATH")
	}
	if ctx.Err() != nil {
		err = errors.New("no response in time")
	}
	detail := safetext.Sanitize(safetext.Redact(string(stderr), env.Secrets()...))
	if detail != "" {
		return Token{}, fmt.Errorf("`circleci run oidc get`: %w: %s", err, detail)
	}
	return Token{}, fmt.Errorf("`circleci run oidc get`: %w", err)
}

// limitedBuffer is an io.Writer that keeps the first maxResponse bytes and discards the rest.
type limitedBuffer []byte

func (b *limitedBuffer) Write(p []byte) (int, error) {
	*b = append(*b, p[:min(len(p), maxResponse-len(*b))]...)
	return len(p), nil
}
