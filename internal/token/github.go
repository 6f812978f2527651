package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
)

// detectGitHub returns the variable that identifies GitHub Actions or Forgejo, which sets the same
// variables; "" for neither. The runner sets GITHUB_ACTIONS to "true". Any other value is ignored,
// because it may come from a user's shell.
func detectGitHub(env Env) string {
	if strings.EqualFold(env.Get("GITHUB_ACTIONS"), "true") {
		return "GITHUB_ACTIONS"
	}
	for _, name := range []string{"ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"} {
		if env.Get(name) != "" {
			return name
		}
	}
	return ""
}

// isForgejo reports whether the job runs on Forgejo (code.forgejo.org/forgejo/runner).
func isForgejo(env Env) bool { return env.Get("FORGEJO_ACTIONS") == "true" }

// githubAdvice returns how to give the job a token.
func githubAdvice(env Env) string {
	if isForgejo(env) {
		return "give the job `enable-openid-connect: true`"
	}
	return "give the job `permissions: {id-token: write}` (a job's permissions replace the " +
		"workflow's; pull requests from public forks never get it)"
}

// github returns the token source for GitHub Actions and Forgejo, which have the same API
// (actions/toolkit packages/core/src/oidc-utils.ts). The runner sets both variables for a job
// with "id-token: write" (actions/runner ScriptHandler.cs). The request token is the same for the
// whole job, so the job's cache is encrypted with it.
func github(env Env, _ Settings) (TokenSource, string) {
	const urlName, tokenName = "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
	endpoint, bearer := env.Get(urlName), env.Get(tokenName)
	s := TokenSource{
		OnDemand: true, Audience: stsAudience, Origin: "GitHub",
		CacheSecret: bearer, CacheKeyInput: endpoint,
	}
	s.Token = func(ctx context.Context, client *http.Client, audience string) (string, error) {
		u, err := ParseEndpoint(endpoint)
		if err != nil {
			return "", fmt.Errorf("reading %s: %w", urlName, err)
		}
		// The URL has the query "api-version=2.0" and a double slash in its path. Both must stay.
		q := u.Query()
		q.Set("audience", audience)
		u.RawQuery = q.Encode()
		return requestToken(ctx, client, s.Origin, "value",
			func(ctx context.Context) (*http.Request, error) {
				return newRequest(ctx, http.MethodGet, u, "Bearer "+bearer, nil)
			})
	}
	s.Renew = s.Token
	return s, env.firstMissing(urlName, tokenName)
}

// githubHint explains a missing token: a pull request from a fork, or a missing permission.
func githubHint(env Env) Hint {
	event := env.Get("GITHUB_EVENT_NAME")
	from, to, err := pullRequest(env.Get("GITHUB_EVENT_PATH"))
	switch {
	// A pull_request_target event runs in the base repository, and may have a token.
	case err == nil && from != to && event != "pull_request_target":
		if from == "" {
			from = "that was deleted"
		}
		return Hint{
			Name: "fork",
			Text: fmt.Sprintf("this is a pull request from the fork %s: GitHub passes its jobs "+
				"no token and no secrets, whatever their permissions", safetext.Sanitize(from)),
			Advice:    "push in a workflow that runs after the merge, or on workflow_run",
			NoSecrets: true,
		}
	case isForgejo(env), detectGitHub(env) == "":
		return Hint{}
	}
	return Hint{
		Name: "permission",
		Text: "the job does not have the permission id-token: write. A job's permissions replace " +
			"the workflow's, and a reusable workflow cannot exceed its caller's",
		Advice: "permissions: {id-token: write, contents: read}",
	}
}

// maxEvent limits how much of the event's file is read, in bytes.
const maxEvent = 10 << 20

// pullRequest returns the full names of a pull request's head and base repositories, from the
// event's file at path
// (https://docs.github.com/en/webhooks/webhook-events-and-payloads#pull_request). from is "" when
// the head repository was deleted. The error reports that the event is not a pull request, or that
// the file cannot be read.
func pullRequest(path string) (from, to string, err error) {
	none := errors.New("the event is not a pull request")
	// A pipe or a device could block.
	if fi, err := os.Stat(path); err != nil || !fi.Mode().IsRegular() {
		return "", "", none
	}
	f, err := os.Open(path)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	type branch struct {
		Repo struct {
			FullName string `json:"full_name"`
		} `json:"repo"`
	}
	var event struct {
		PullRequest *struct {
			Head, Base branch
		} `json:"pull_request"`
	}
	err = json.NewDecoder(io.LimitReader(f, maxEvent)).Decode(&event)
	if err != nil || event.PullRequest == nil {
		return "", "", none
	}
	return event.PullRequest.Head.Repo.FullName, event.PullRequest.Base.Repo.FullName, nil
}
