package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/oneline"
)

// circleci is CircleCI: CIRCLE_OIDC_TOKEN_V2, or the older CIRCLE_OIDC_TOKEN where the first is not there at all
// (CircleCI server), each for one audience and minted an hour before it expires, shortly before the job starts. An
// empty or expired one, or one for another audience, is renewed by "circleci run oidc get", which only the CLI of the
// job's environment has (https://circleci.com/docs/openid-connect-tokens/). The variable seals the cache as the job
// started with it; a token that was minted later does not.
func circleci(env Env) candidate {
	name := "CIRCLE_OIDC_TOKEN_V2"
	if _, set := env(name); !set {
		if _, set := env("CIRCLE_OIDC_TOKEN"); set {
			name = "CIRCLE_OIDC_TOKEN"
		}
	}
	raw := env.Get(name)
	c := candidate{from: name, secret: raw}
	if raw == "" {
		if _, err := exec.LookPath("circleci"); err != nil {
			c.missing = env.Without(name)
		}
	}
	c.fetch = func(ctx context.Context, _ *http.Client, audience string) (string, error) {
		return circleciToken(ctx, env, name, raw, audience, false)
	}
	c.renew = func(ctx context.Context, _ *http.Client, audience string) (string, error) {
		return circleciToken(ctx, env, name, raw, audience, true)
	}
	return c
}

// circleciToken gives the variable's token, or with used (STS has called it expired) or where it does not do, a newly
// minted one.
func circleciToken(ctx context.Context, env Env, name, raw, audience string, used bool) (string, error) {
	now, err := Parse(raw)
	have := raw != ""
	if have && err != nil {
		return "", fmt.Errorf("%w (from %s)", err, name)
	}
	fits := have && (audience == "" || slices.Contains(now.Claims.Audience, audience))
	if fits && !used && !expired(now, time.Now()) {
		return raw, nil
	}
	if audience == "" && have && len(now.Claims.Audience) > 0 {
		audience = now.Claims.Audience[0]
	}
	if audience == "" { // CircleCI's own default, and what its AWS orb asks for
		audience = env.Get("CIRCLE_ORGANIZATION_ID")
	}
	minted, err := circleciMint(ctx, env, audience)
	switch {
	case err == nil && audience != "" && !slices.Contains(minted.Claims.Audience, audience):
		return "", &AudienceError{Place: Place{Name: "circleci"}, Want: audience, Got: minted.Claims.Audience}
	case err == nil:
		return minted.Raw, nil
	case fits && used:
		return "", fmt.Errorf("renewing the CircleCI job's OIDC token: %w", err)
	case fits: // looks expired, but clocks are wrong at times: STS decides
		return raw, nil
	case have:
		return "", &AudienceError{Place: Place{Name: "circleci"}, Want: audience, Got: now.Claims.Audience, Why: err.Error()}
	}
	return "", &MissingError{Place: Place{Name: "circleci", CI: true}, Why: env.Without(name) + "; " + err.Error(), Others: others(env)}
}

// circleciMint asks the job's circleci command for a token. Its output is a token when all is well, so no part of its
// standard output is ever shown; a "circleci" on PATH that is the CLI for laptops has no such command and fails.
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
		if err != nil {
			return Token{}, errors.New("`circleci run oidc get`: it printed no token")
		}
		return minted, nil
	}
	if errors.Is(err, exec.ErrNotFound) {
		return Token{}, errors.New("`circleci run oidc get`: there is no circleci command on PATH")
	}
	if ctx.Err() != nil {
		err = errors.New("no answer in time")
	}
	if said := oneline.Clean(oneline.Strike(string(stderr), env.Secrets()...)); said != "" {
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
