package token

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
)

// azure is Azure Pipelines: one POST to the URL that the agent sets, with the job's access token
// (https://learn.microsoft.com/rest/api/azure/devops/distributedtask/oidctoken/create; azure-identity's
// AzurePipelinesCredential sends the same request). With the id of a service connection the token is the connection's,
// without one it is the pipeline's own. The audience cannot be requested: it is always api://AzureADTokenExchange.
//
// The access token is generated for each job (https://learn.microsoft.com/azure/devops/pipelines/process/access-tokens),
// so it seals the job's cache.
func azure(env Env, settings Settings) (Source, string) {
	const urlName, tokenName = "SYSTEM_OIDCREQUESTURI", "SYSTEM_ACCESSTOKEN"
	endpoint, accessToken := env.Get(urlName), env.Get(tokenName)
	connection := cmp.Or(settings.Connection, env.Get("AZURESUBSCRIPTION_SERVICE_CONNECTION_ID"))
	s := Source{OnDemand: true, Origin: "Azure Pipelines", Secret: accessToken, KeyInput: endpoint + " " + connection}
	s.Token = func(ctx context.Context, client *http.Client, _ string) (string, error) {
		u, err := ParseEndpoint(endpoint)
		if err != nil {
			return "", fmt.Errorf("reading %s: %w", urlName, err)
		}
		q := u.Query()
		q.Set("api-version", "7.1")
		if connection != "" {
			q.Set("serviceConnectionId", connection)
		}
		u.RawQuery = q.Encode()
		return request(ctx, client, s.Origin, "oidcToken", func(ctx context.Context) (*http.Request, error) {
			req, err := newRequest(ctx, http.MethodPost, u, "Bearer "+accessToken, []byte{})
			if err == nil {
				req.Header.Set("X-TFS-FedAuthRedirect", "Suppress") // no redirect to a sign-in page
			}
			return req, err
		})
	}
	s.Renew = s.Token
	switch {
	case endpoint == "":
		return s, env.Missing(urlName)
	case accessToken == "":
		return s, env.Missing(tokenName)
	}
	return s, ""
}
