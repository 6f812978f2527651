package token

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// buildkite is Buildkite: one POST to the agent API, which is all that "buildkite-agent oidc request-token" does
// (buildkite/agent api/oidc.go). The agent's access token is the job's own only where the server makes one, so the job
// id goes into the sealing secret with it.
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
	} else {
		c.secret = bearer + "\n" + job
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
