package token

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// buildkite is Buildkite: one POST to the agent API, which is all that "buildkite-agent oidc request-token" does
// (buildkite/agent api/oidc.go).
//
// BUILDKITE_AGENT_ACCESS_TOKEN is the job's own token where Buildkite issues one; otherwise it is the session token of
// the agent, which all of its jobs share (buildkite/agent agent/job_runner.go). Only a job token seals the cache. It is
// known by its prefix (https://buildkite.com/docs/platform/security/tokens); an agent's session token has another one,
// and tokens from before 2025 have none.
func buildkite(env Env) candidate {
	const jobName, tokenName = "BUILDKITE_JOB_ID", "BUILDKITE_AGENT_ACCESS_TOKEN"
	job, bearer, endpoint := env.Get(jobName), env.Get(tokenName), env.Get("BUILDKITE_AGENT_ENDPOINT")
	if endpoint == "" {
		endpoint = "https://agent.buildkite.com/v3"
	}
	c := candidate{from: "Buildkite", audience: stsAudience}
	if job == "" {
		c.missing = env.Without(jobName)
	} else if bearer == "" {
		c.missing = env.Without(tokenName)
	} else if strings.HasPrefix(bearer, "bkaj_") {
		c.secret = bearer
	}
	c.fetch = func(ctx context.Context, client *http.Client, audience string) (string, error) {
		if audience == "" {
			audience = stsAudience
		}
		u, err := ParseEndpoint(endpoint)
		if err != nil {
			return "", fmt.Errorf("reading BUILDKITE_AGENT_ENDPOINT: %w", err)
		}
		u = u.JoinPath("jobs", job, "oidc", "tokens")
		body, err := json.Marshal(map[string]string{"audience": audience})
		if err != nil {
			return "", err
		}
		return request(ctx, client, "Buildkite", "token", func(ctx context.Context) (*http.Request, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
			if err != nil {
				return nil, err
			}
			req.Header.Set("Authorization", "Token "+bearer)
			req.Header.Set("Content-Type", "application/json")
			return req, nil
		})
	}
	c.renew = c.fetch
	return c
}
