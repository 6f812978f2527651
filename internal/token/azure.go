package token

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
)

// azure returns the token source for Azure Pipelines. The token is requested by one POST to the
// URL that the agent sets, with the job's access token
// (https://learn.microsoft.com/rest/api/azure/devops/distributedtask/oidctoken/create;
// azure-identity's AzurePipelinesCredential sends the same request). A request with the id of a
// service connection returns the connection's token. A request without one returns the pipeline's
// own token. The audience cannot be requested: it is api://AzureADTokenExchange, or the id of
// that resource in a token that Entra issues for a connection.
//
// Azure Pipelines generates the access token for each job
// (https://learn.microsoft.com/azure/devops/pipelines/process/access-tokens). No other job has it,
// so the job's cache is encrypted with it.
func azure(env Env, settings Settings) (TokenSource, string) {
	const urlName, tokenName = "SYSTEM_OIDCREQUESTURI", "SYSTEM_ACCESSTOKEN"
	endpoint, accessToken := env.Get(urlName), env.Get(tokenName)
	connectionName, connection := "ECR_OIDC_AZURE_SERVICE_CONNECTION", settings.Connection
	if connection == "" {
		connectionName = "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID"
		connection = env.Get(connectionName)
	}
	s := TokenSource{
		Origin: "Azure Pipelines", CacheSecret: accessToken,
		CacheKeyInput: endpoint + " " + connection,
	}
	// Entra sets the issue time of a connection's token five minutes in the past.
	s.OnDemand = connection == ""
	s.Token = func(ctx context.Context, client *http.Client, _ string) (string, error) {
		u, err := ParseEndpoint(endpoint)
		if err != nil {
			return "", fmt.Errorf("reading %s: %w", urlName, err)
		}
		// Azure Pipelines ignores a connection's name and returns the pipeline's own token
		// (https://github.com/gravitational/teleport/blob/master/rfd/0211-azure-devops-joining.md).
		if connection != "" && !isID(connection) {
			return "", fmt.Errorf("reading %s: it must be the id of the service connection "+
				"(resourceId in the URL of its page), not its name", connectionName)
		}
		q := u.Query()
		q.Set("api-version", "7.1")
		if connection != "" {
			q.Set("serviceConnectionId", connection)
		}
		u.RawQuery = q.Encode()
		return requestToken(ctx, client, s.Origin, "oidcToken",
			func(ctx context.Context) (*http.Request, error) {
				bearer := "Bearer " + accessToken
				req, err := newRequest(ctx, http.MethodPost, u, bearer, []byte{})
				if err == nil {
					// This header prevents a redirect to a sign-in page.
					req.Header.Set("X-TFS-FedAuthRedirect", "Suppress")
				}
				return req, err
			})
	}
	s.Renew = s.Token
	return s, env.firstMissing(urlName, tokenName)
}

// azureAdvice returns what to change when one of the two variables is missing. The agent sets the
// URL in every step. The pipeline must map the access token into the step.
func azureAdvice(env Env) string {
	if env.Get("SYSTEM_OIDCREQUESTURI") == "" {
		return "pass SYSTEM_OIDCREQUESTURI and SYSTEM_ACCESSTOKEN to the environment of docker"
	}
	return "map the job's token into the step: `env: {SYSTEM_ACCESSTOKEN: $(System.AccessToken)}`"
}

// isID reports whether s has the form of an Azure DevOps id, a UUID.
func isID(s string) bool {
	return regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`).MatchString(s)
}
