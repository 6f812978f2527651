package token

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// buildkite is Buildkite: one POST to the agent API, which is all that "buildkite-agent oidc
// request-token" does (buildkite/agent api/oidc.go).
//
// BUILDKITE_AGENT_ACCESS_TOKEN is the job's own token where Buildkite issues one; otherwise it is
// the session token of the agent, which all of its jobs share (buildkite/agent
// agent/job_runner.go). Only a job token seals the cache. It is known by its prefix
// (https://buildkite.com/docs/platform/security/tokens); an agent's session token has another one,
// and tokens from before 2025 have none.
func buildkite(env Env, _ Settings) (Source, string) {
	const jobName, tokenName = "BUILDKITE_JOB_ID", "BUILDKITE_AGENT_ACCESS_TOKEN"
	job, accessToken := env.Get(jobName), env.Get(tokenName)
	endpoint := cmp.Or(env.Get("BUILDKITE_AGENT_ENDPOINT"), "https://agent.buildkite.com/v3")
	s := Source{OnDemand: true, Audience: stsAudience, Origin: "Buildkite", CacheKeyInput: endpoint + " " + job}
	if strings.HasPrefix(accessToken, "bkaj_") {
		s.Secret = accessToken
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
		return request(ctx, client, s.Origin, "token", func(ctx context.Context) (*http.Request, error) {
			return newRequest(ctx, http.MethodPost, u, "Token "+accessToken, body)
		})
	}
	s.Renew = s.Token
	return s, env.firstMissing(jobName, tokenName)
}
