package token

import (
	"context"
	"fmt"
	"net/http"
)

// github is GitHub Actions, and Forgejo with the same contract (actions/toolkit packages/core/src/oidc-utils.ts). The
// runner sets both variables for a job with "id-token: write" (actions/runner ScriptHandler.cs). The request token is
// one value for the whole job, so it seals the job's cache.
func github(env Env) candidate {
	const urlName, tokenName = "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
	endpoint, bearer := env.Get(urlName), env.Get(tokenName)
	c := candidate{from: "GitHub", secret: bearer, audience: stsAudience}
	if endpoint == "" {
		c.missing = env.Without(urlName)
	} else if bearer == "" {
		c.missing = env.Without(tokenName)
	}
	c.fetch = func(ctx context.Context, client *http.Client, audience string) (string, error) {
		if audience == "" {
			audience = stsAudience
		}
		u, err := ParseEndpoint(endpoint)
		if err != nil {
			return "", fmt.Errorf("reading %s: %w", urlName, err)
		}
		q := u.Query() // it has one already, "api-version=2.0"; the path, with its double slash, stays as it is
		q.Set("audience", audience)
		u.RawQuery = q.Encode()
		return request(ctx, client, "GitHub", "value", func(ctx context.Context) (*http.Request, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
			if err != nil {
				return nil, err
			}
			req.Header.Set("Authorization", "Bearer "+bearer)
			return req, nil
		})
	}
	c.renew = c.fetch
	return c
}
