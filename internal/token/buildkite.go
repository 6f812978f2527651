package token

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// buildkite returns the token source for Buildkite. The token is requested by one POST to the
// agent API, like "buildkite-agent oidc request-token" (buildkite/agent api/oidc.go).
//
// BUILDKITE_AGENT_ACCESS_TOKEN is a job token where Buildkite issues one. Otherwise it is the
// agent's session token, which all jobs of the agent share (buildkite/agent agent/job_runner.go).
// The cache is encrypted only with a job token. A job token has the prefix "bkaj_"
// (https://buildkite.com/docs/platform/security/tokens). A session token has a different prefix,
// and a token issued before 2025 has none.
func buildkite(env Env, _ Settings) (TokenSource, string) {
	const jobName, tokenName = "BUILDKITE_JOB_ID", "BUILDKITE_AGENT_ACCESS_TOKEN"
	job, accessToken := env.Get(jobName), env.Get(tokenName)
	endpoint := cmp.Or(env.Get("BUILDKITE_AGENT_ENDPOINT"), "https://agent.buildkite.com/v3")
	s := TokenSource{
		OnDemand: true, Audience: stsAudience, Origin: "Buildkite",
		CacheKeyInput: endpoint + " " + job,
	}
	if strings.HasPrefix(accessToken, "bkaj_") {
		s.CacheSecret = accessToken
	}
	s.Token = func(ctx context.Context, client *http.Client, audience string) (string, error) {
		u, err := ParseEndpoint(endpoint)
		if err != nil {
			return "", fmt.Errorf("reading BUILDKITE_AGENT_ENDPOINT: %w", err)
		}
		u = u.JoinPath("jobs", job, "oidc", "tokens")
		body, err := json.Marshal(map[string]string{"audience": audience})
		if err != nil {
			return "", err
		}
		return requestToken(ctx, client, s.Origin, "token",
			func(ctx context.Context) (*http.Request, error) {
				return newRequest(ctx, http.MethodPost, u, "Token "+accessToken, body)
			})
	}
	s.Renew = s.Token
	return s, env.firstMissing(jobName, tokenName)
}
