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

// detectGitHub detects GitHub Actions, and Forgejo with the same variables. GITHUB_ACTIONS counts
// only as "true", which is what the runner sets; a user's shell may hold another value.
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

func githubAdvice(env Env) string {
	if isForgejo(env) {
		return "give the job `enable-openid-connect: true`"
	}
	return "give the job `permissions: {id-token: write}` (a job's permissions replace the " +
		"workflow's; pull requests from public forks never get it)"
}

// github is GitHub Actions, and Forgejo with the same contract (actions/toolkit
// packages/core/src/oidc-utils.ts). The runner sets both variables for a job with "id-token: write"
// (actions/runner ScriptHandler.cs). The request token is one value for the whole job, so it seals
// the job's cache.
func github(env Env, _ Settings) (Source, string) {
	const urlName, tokenName = "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
	endpoint, requestToken := env.Get(urlName), env.Get(tokenName)
	s := Source{
		OnDemand: true, Audience: stsAudience, Origin: "GitHub", Secret: requestToken, CacheKeyInput: endpoint,
	}
	s.Token = func(ctx context.Context, client *http.Client, audience string) (string, error) {
		u, err := ParseEndpoint(endpoint)
		if err != nil {
			return "", fmt.Errorf("reading %s: %w", urlName, err)
		}
		q := u.Query() // it has one already, "api-version=2.0"; the path, with its double slash, stays as it is
		q.Set("audience", audience)
		u.RawQuery = q.Encode()
		return request(ctx, client, s.Origin, "value", func(ctx context.Context) (*http.Request, error) {
			return newRequest(ctx, http.MethodGet, u, "Bearer "+requestToken, nil)
		})
	}
	s.Renew = s.Token
	return s, env.firstMissing(urlName, tokenName)
}

// githubHint explains a missing token: a pull request from a fork, or the job's permissions.
func githubHint(env Env) Hint {
	event := env.Get("GITHUB_EVENT_NAME")
	from, to, err := pullRequest(env.Get("GITHUB_EVENT_PATH"))
	switch {
	// A pull_request_target event runs in the base repository, and may have a token.
	case err == nil && from != to && event != "pull_request_target":
		if from == "" { // the fork is gone
			from = "that was deleted"
		}
		return Hint{
			Name: "fork",
			Text: fmt.Sprintf("this is a pull request from the fork %s: GitHub gives its jobs no "+
				"token and no secrets, whatever their permissions", safetext.Sanitize(from)),
			Next:      "push in a workflow that runs after the merge, or on workflow_run",
			NoSecrets: true,
		}
	case isForgejo(env), detectGitHub(env) == "":
		return Hint{}
	}
	return Hint{
		Name: "permission",
		Text: "the job has not the permission id-token: write. A job's own permissions replace the " +
			"workflow's, and a reusable workflow has at most its caller's",
		Next: "permissions: {id-token: write, contents: read}",
	}
}

// maxEvent is the most that is read of the event's file, in bytes.
const maxEvent = 10 << 20

// pullRequest returns the repositories that a pull request comes from and goes to, as the event's
// file names them (https://docs.github.com/en/webhooks/webhook-events-and-payloads#pull_request).
// from is "" when it was deleted.
func pullRequest(path string) (from, to string, err error) {
	none := errors.New("the event is not a pull request")
	if fi, err := os.Stat(path); err != nil || !fi.Mode().IsRegular() { // reading a pipe might block
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
	if json.NewDecoder(io.LimitReader(f, maxEvent)).Decode(&event) != nil || event.PullRequest == nil {
		return "", "", none
	}
	return event.PullRequest.Head.Repo.FullName, event.PullRequest.Base.Repo.FullName, nil
}
