package emulator

import (
	"fmt"
	"net/http"
	"strings"
)

// ForgejoJob is a job of Forgejo Actions. The zero value is a push to the main branch of acme/app.
type ForgejoJob struct {
	Repository, Ref, Event string
	NoIDToken              bool // the job does not have "enable-openid-connect: true"
}

// The emulated Forgejo instance, and the IDs of the owner acme and the repository app.
const (
	forgejoHost    = "forge.acme.example"
	ForgejoIssuer  = "https://" + forgejoHost + "/api/actions"
	ForgejoOwnerID = "123"
	ForgejoRepoID  = "456"
)

// Forgejo returns the environment of a job, without RUNNER_TEMP. Forgejo uses GitHub's protocol
// with the URL of its own instance.
func (s *Server) Forgejo(j ForgejoJob) map[string]string {
	j.Repository = or(j.Repository, "acme/app")
	j.Ref = or(j.Ref, "refs/heads/main")
	j.Event = or(j.Event, "push")
	owner, name, _ := strings.Cut(j.Repository, "/")
	kind, ref := refParts(j.Ref)
	env := map[string]string{
		"CI": "true", "GITHUB_ACTIONS": "true", "FORGEJO_ACTIONS": "true", "GITHUB_JOB": "build",
		"GITHUB_SERVER_URL": "https://" + forgejoHost,
		"GITHUB_REPOSITORY": j.Repository, "GITHUB_REPOSITORY_OWNER": owner,
		"GITHUB_REF": j.Ref, "GITHUB_REF_NAME": ref, "GITHUB_REF_TYPE": kind, "GITHUB_SHA": commitSHA,
		"GITHUB_EVENT_NAME": j.Event, "GITHUB_RUN_ID": "792", "GITHUB_RUN_NUMBER": "7",
	}
	if j.NoIDToken {
		return env
	}
	sub := fmt.Sprintf("repo:%s-%s/%s-%s", owner, ForgejoOwnerID, name, ForgejoRepoID)
	if j.Event == "pull_request" {
		sub += ":pull_request"
	} else {
		sub += ":ref:" + j.Ref
	}
	bearer := randomHex(64)
	path := "/api/actions/_apis/pipelines/workflows/792/idtoken"
	env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = bearer
	env["ACTIONS_ID_TOKEN_REQUEST_URL"] = s.URL("forgejo") + path + "?placeholder=true"
	run := githubRun{path: path, id: "792", job: GitHubJob{
		Repository: j.Repository, Ref: j.Ref, Event: j.Event, Workflow: "build.yml",
		Issuer: ForgejoIssuer, Subject: sub,
		Claims: map[string]any{"repository_id": ForgejoRepoID, "repository_owner_id": ForgejoOwnerID},
	}}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.githubRuns[bearer] = run
	return env
}

// forgejoToken serves Forgejo's ACTIONS_ID_TOKEN_REQUEST_URL. The URL has the query
// "placeholder=true" so that clients can append "&audience=".
// https://codeberg.org/forgejo/forgejo, services/actions/context.go
func (r *request) forgejoToken() {
	bearer, _ := strings.CutPrefix(r.httpReq.Header.Get("Authorization"), "Bearer ")
	r.server.mu.Lock()
	run, known := r.server.githubRuns[bearer]
	r.server.mu.Unlock()
	query := r.httpReq.URL.Query()
	switch {
	case !known:
		r.writeError(apiError{http.StatusUnauthorized, "", "unauthorized"})
	case r.httpReq.Method != http.MethodGet || r.endpoint.path != run.path:
		r.writeError(apiError{http.StatusNotFound, "", "not found"})
	default:
		owner, _, _ := strings.Cut(run.job.Repository, "/")
		audience := or(query.Get("audience"), "https://"+forgejoHost+"/"+owner)
		token := r.server.Mint(run.job.Issuer, r.server.githubClaims(run, audience))
		r.writeJSON(http.StatusOK, map[string]any{"count": len(token), "value": token})
	}
}
