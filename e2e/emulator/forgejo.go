package emulator

import (
	"fmt"
	"net/http"
	"strings"
)

// ForgejoJob is one job of Forgejo Actions. Empty fields get the values of a
// push to acme/app's main branch.
type ForgejoJob struct {
	Repository, Ref, Event string
	NoIDToken              bool // a job without "enable-openid-connect: true"
}

// Forgejo's instance in the emulator, and the ids that it gave to acme and app.
const (
	forgejoHost   = "forge.acme.example"
	ForgejoIssuer = "https://" + forgejoHost + "/api/actions"
	ForgejoOwnerID  = "123"
	ForgejoRepoID   = "456"
)

// Forgejo returns the environment of a job: the contract is GitHub's, the URL
// is the instance's own. RUNNER_TEMP is not in it.
func (w *Server) Forgejo(j ForgejoJob) map[string]string {
	j.Repository = or(j.Repository, "acme/app")
	j.Ref = or(j.Ref, "refs/heads/main")
	j.Event = or(j.Event, "push")
	owner, name, _ := strings.Cut(j.Repository, "/")
	kind, ref := refParts(j.Ref)
	env := map[string]string{
		"CI": "true", "GITHUB_ACTIONS": "true", "FORGEJO_ACTIONS": "true", "GITHUB_JOB": "build",
		"GITHUB_SERVER_URL": "https://" + forgejoHost, "GITHUB_REPOSITORY": j.Repository, "GITHUB_REPOSITORY_OWNER": owner,
		"GITHUB_REF": j.Ref, "GITHUB_REF_NAME": ref, "GITHUB_REF_TYPE": kind, "GITHUB_SHA": githubSHA,
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
	env["ACTIONS_ID_TOKEN_REQUEST_URL"] = w.URL("forgejo") + path + "?placeholder=true"
	run := githubRun{path: path, id: "792", job: GitHubJob{
		Repository: j.Repository, Ref: j.Ref, Event: j.Event, Workflow: "build.yml", Issuer: ForgejoIssuer, Subject: sub,
		Claims: map[string]any{"repository_id": ForgejoRepoID, "repository_owner_id": ForgejoOwnerID},
	}}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.jobs[bearer] = run
	return env
}

// forgejoToken is the endpoint behind Forgejo's ACTIONS_ID_TOKEN_REQUEST_URL.
// Its placeholder is there so that a client may add "&audience=" to the URL.
// https://codeberg.org/forgejo/forgejo, services/actions/context.go
func (v *visit) forgejoToken() {
	bearer, _ := strings.CutPrefix(v.r.Header.Get("Authorization"), "Bearer ")
	v.w.mu.Lock()
	run, known := v.w.jobs[bearer]
	v.w.mu.Unlock()
	query := v.r.URL.Query()
	switch {
	case !known:
		v.fail(apiError{http.StatusUnauthorized, "", "unauthorized"})
	case v.r.Method != http.MethodGet || v.at.path != run.path:
		v.fail(apiError{http.StatusNotFound, "", "not found"})
	default:
		owner, _, _ := strings.Cut(run.job.Repository, "/")
		audience := or(query.Get("audience"), "https://"+forgejoHost+"/"+owner)
		token := v.w.Mint(run.job.Issuer, v.w.githubClaims(run, audience))
		v.json(http.StatusOK, map[string]any{"count": len(token), "value": token})
	}
}
