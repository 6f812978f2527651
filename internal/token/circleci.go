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

// circleci is CircleCI: CIRCLE_OIDC_TOKEN_V2, or the older CIRCLE_OIDC_TOKEN where the first is not
// there at all (CircleCI server), each for one audience and minted an hour before it expires,
// shortly before the job starts. An empty or expired one, or one for another audience, is renewed
// by "circleci run oidc get", which only the CLI of the job's environment has
// (https://circleci.com/docs/openid-connect-tokens/). The variable seals the cache as the job
// started with it; a token that was minted later does not.
func circleci(env Env, _ Settings) (Source, string) {
	name := "CIRCLE_OIDC_TOKEN_V2"
	if _, set := env(name); !set {
		if _, set := env("CIRCLE_OIDC_TOKEN"); set {
			name = "CIRCLE_OIDC_TOKEN"
		}
	}
	raw := env.Get(name)
	s := Source{Origin: name, Secret: raw}
	s.Token = func(ctx context.Context, _ *http.Client, audience string) (string, error) {
		return circleciToken(ctx, env, name, raw, audience)
	}
	s.Renew = func(ctx context.Context, _ *http.Client, audience string) (string, error) {
		return circleciRenew(ctx, env, name, raw, audience)
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
	circleciAdvice = "let the project have OIDC tokens (builds of forked pull requests get none " +
		"unless secrets are passed to them)"

	circleciAudienceAdvice = "unset ECR_OIDC_AUDIENCE and add the token's audience to the IAM OIDC " +
		"provider, or run where the job's `circleci run oidc get` is on PATH"
	circleciExpiredAdvice = "CircleCI's token lives one hour; run where the job's `circleci run oidc " +
		"get` is on PATH, or push earlier in the job"
)

// circleciToken returns the variable's token, or a newly minted one when that is missing, expired
// or for another audience.
func circleciToken(ctx context.Context, env Env, name, raw, audience string) (string, error) {
	have, err := Parse(raw)
	if raw != "" && err != nil {
		return "", fmt.Errorf("%w (from %s)", err, name)
	}
	matches := raw != "" && (audience == "" || slices.Contains(have.Claims.Audience, audience))
	if matches && !isExpired(have, time.Now()) {
		return raw, nil
	}
	audience = circleciAudience(env, have, audience)
	minted, err := circleciMint(ctx, env, audience)
	var wrong *AudienceError
	switch {
	case err == nil:
		return minted.Raw, nil
	case errors.As(err, &wrong):
		return "", wrong
	case matches: // it looks expired, but a clock may be wrong: STS decides
		return raw, nil
	case raw != "":
		return "", &AudienceError{
			Token: circleciName, Want: audience, Got: have.Claims.Audience,
			Why: err.Error(), Advice: circleciAudienceAdvice,
		}
	}
	return "", &MissingError{
		Token: circleciName, Why: env.DescribeMissing(name) + "; " + err.Error(),
		Advice: circleciAdvice, Ignored: ignored(env),
	}
}

// circleciRenew mints a token after STS reported the variable's as expired.
func circleciRenew(ctx context.Context, env Env, name, raw, audience string) (string, error) {
	have, err := Parse(raw)
	if raw != "" && err != nil {
		return "", fmt.Errorf("%w (from %s)", err, name)
	}
	minted, err := circleciMint(ctx, env, circleciAudience(env, have, audience))
	if err != nil {
		return "", fmt.Errorf("renewing the CircleCI job's OIDC token: %w", err)
	}
	return minted.Raw, nil
}

// circleciAudience returns the audience to mint a token for: the one requested, the present token's, or the
// organization's id, which is CircleCI's default and what its AWS orb requests.
func circleciAudience(env Env, have Token, audience string) string {
	if audience == "" && len(have.Claims.Audience) > 0 {
		audience = have.Claims.Audience[0]
	}
	return cmp.Or(audience, env.Get("CIRCLE_ORGANIZATION_ID"))
}

// circleciHint explains a missing token. These variables are set in builds of forked pull requests alone
// (https://circleci.com/docs/variables/#built-in-environment-variables).
func circleciHint(env Env) Hint {
	if env.Get("CIRCLE_PR_REPONAME") == "" && env.Get("CIRCLE_PR_USERNAME") == "" {
		return Hint{}
	}
	return Hint{
		Name: "fork",
		Text: "this is a build of a forked pull request, which CircleCI gives no token and no secrets",
		Next: "push in a build of the branch; or, where every fork is trusted, pass secrets to " +
			"forked builds (Project Settings, Advanced)",
		NoSecrets: true,
	}
}

// circleciMint asks the job's circleci command for a token. Its output is a token when all is well,
// so no part of its standard output is ever shown; a "circleci" on PATH that is the CLI for laptops
// has no such command and fails.
func circleciMint(ctx context.Context, env Env, audience string) (Token, error) {
	ctx, cancel := context.WithTimeout(ctx, oneTry)
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
	var stdout, stderr head
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Second // a grandchild that keeps the pipe open does not keep us
	err := cmd.Run()
	if err == nil {
		minted, err := Parse(strings.TrimSpace(string(stdout)))
		switch {
		case err != nil:
			return Token{}, errors.New("`circleci run oidc get`: it printed no token")
		case audience != "" && !slices.Contains(minted.Claims.Audience, audience):
			return Token{}, &AudienceError{Token: circleciName, Want: audience, Got: minted.Claims.Audience,
				Advice: circleciAudienceAdvice}
		}
		return minted, nil
	}
	if errors.Is(err, exec.ErrNotFound) {
		return Token{}, errors.New("`circleci run oidc get`: there is no circleci command on PATH")
	}
	if ctx.Err() != nil {
		err = errors.New("no answer in time")
	}
	if said := safetext.Sanitize(safetext.Redact(string(stderr), env.Secrets()...)); said != "" {
		return Token{}, fmt.Errorf("`circleci run oidc get`: %w: %s", err, said)
	}
	return Token{}, fmt.Errorf("`circleci run oidc get`: %w", err)
}

// head is a writer that keeps the first 64 KiB and takes the rest without a word.
type head []byte

func (h *head) Write(p []byte) (int, error) {
	*h = append(*h, p[:min(len(p), maxReply-len(*h))]...)
	return len(p), nil
}
