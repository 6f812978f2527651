package emulator

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
)

// GitHubJob is a job of GitHub Actions. The zero value is a push to the main branch of acme/app.
type GitHubJob struct {
	Repository, Ref, Environment, Event, Workflow string

	Issuer           string         // the issuer of a GitHub Enterprise Server; default GitHubIssuer
	Subject          string         // replaces the subject that GitHub would build
	SubjectClaims    []string       // include_claim_keys of the repository: the claims of the subject
	ImmutableSubject bool           // the subject contains IDs, as for repositories created after 15 July 2026
	ReusableWorkflow string         // the reusable workflow that contains the job, as OWNER/REPO/PATH@REF
	NoIDToken        bool           // the job does not have the permission "id-token: write"
	Claims           map[string]any // additional or replaced claims; nil removes a claim
}

// githubRun is a running job as its token endpoint sees it.
type githubRun struct {
	job  GitHubJob
	path string // of the job's token URL
	id   string
}

// GitHub returns the environment of a job, with a token endpoint on loopback. It does not contain
// RUNNER_TEMP, which each test sets to its own directory.
func (s *Server) GitHub(j GitHubJob) map[string]string { return s.github(j, s.URL("github-token")) }

// GitHubRealHost is GitHub with the real host name of the token endpoint, for clients that use the
// proxy or a network namespace.
func (s *Server) GitHubRealHost(j GitHubJob) map[string]string {
	return s.github(j, "https://"+githubTokenHost)
}

func (s *Server) github(j GitHubJob, base string) map[string]string {
	j.Repository = or(j.Repository, "acme/app")
	j.Ref = or(j.Ref, "refs/heads/main")
	j.Event = or(j.Event, "push")
	j.Workflow = or(j.Workflow, "build.yml")
	owner, _, _ := strings.Cut(j.Repository, "/")
	kind, name := refParts(j.Ref)
	run := githubRun{job: j, path: "/222//idtoken/" + newUUID() + "/" + newUUID(), id: "19521337042"}
	env := map[string]string{
		"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "octocat", "GITHUB_JOB": "build",
		"GITHUB_SERVER_URL": "https://github.com", "GITHUB_API_URL": "https://api.github.com",
		"GITHUB_REPOSITORY": j.Repository, "GITHUB_REPOSITORY_OWNER": owner,
		"GITHUB_REPOSITORY_ID": "456789", "GITHUB_REPOSITORY_OWNER_ID": "123456",
		"GITHUB_REF": j.Ref, "GITHUB_REF_NAME": name, "GITHUB_REF_TYPE": kind, "GITHUB_SHA": commitSHA,
		"GITHUB_EVENT_NAME": j.Event, "GITHUB_WORKFLOW": j.Workflow, "GITHUB_WORKFLOW_REF": workflowRef(j),
		"GITHUB_RUN_ID": run.id, "GITHUB_RUN_NUMBER": "7", "GITHUB_RUN_ATTEMPT": "1",
		"RUNNER_OS": "Linux", "RUNNER_ENVIRONMENT": "github-hosted",
	}
	if j.NoIDToken { // the runner sets neither variable
		return env
	}
	bearer := randomHex(64)
	env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = bearer
	env["ACTIONS_ID_TOKEN_REQUEST_URL"] = base + run.path + "?api-version=2.0"
	s.mu.Lock()
	defer s.mu.Unlock()
	s.githubRuns[bearer] = run
	return env
}

// commitSHA is the commit of every job.
const commitSHA = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

// refParts returns the type (branch or tag) and the short name of a ref.
func refParts(ref string) (kind, name string) {
	if name, ok := strings.CutPrefix(ref, "refs/tags/"); ok {
		return "tag", name
	}
	return "branch", strings.TrimPrefix(ref, "refs/heads/")
}

func workflowRef(j GitHubJob) string {
	return j.Repository + "/.github/workflows/" + j.Workflow + "@" + j.Ref
}

// githubToken serves ACTIONS_ID_TOKEN_REQUEST_URL. The response has the format that GitHub's client
// expects:
// https://github.com/actions/toolkit/blob/main/packages/core/src/oidc-utils.ts
func (r *request) githubToken() {
	bearer, ok := strings.CutPrefix(r.httpReq.Header.Get("Authorization"), "Bearer ")
	r.server.mu.Lock()
	run, known := r.server.githubRuns[bearer]
	r.server.mu.Unlock()
	query := r.httpReq.URL.Query()
	switch {
	case !strings.HasPrefix(r.endpoint.path, "/222//idtoken/"): // a client that cleans paths loses a slash
		r.writeError(apiError{http.StatusNotFound, "", "not found"})
	case r.httpReq.Method != http.MethodGet:
		r.writeError(apiError{http.StatusMethodNotAllowed, "", "method not allowed"})
	case !ok || !known:
		r.writeError(apiError{http.StatusUnauthorized, "", "unauthorized"})
	case r.endpoint.path != run.path:
		r.writeError(apiError{http.StatusNotFound, "", "not found"})
	case query.Get("api-version") != "2.0": // a client that replaces the query loses it
		r.writeError(apiError{http.StatusBadRequest, "", "no api-version was given"})
	default:
		token := r.server.Mint(or(run.job.Issuer, GitHubIssuer),
			r.server.githubClaims(run, query.Get("audience")))
		r.writeJSON(http.StatusOK, map[string]any{"count": len(token), "value": token})
	}
}

// githubClaims returns the claims of a job's token.
// https://docs.github.com/en/actions/reference/security/oidc
func (s *Server) githubClaims(run githubRun, audience string) map[string]any {
	j := run.job
	owner, _, _ := strings.Cut(j.Repository, "/")
	kind, _ := refParts(j.Ref)
	now := s.now().Unix()
	c := map[string]any{
		"aud": or(audience, "https://github.com/"+owner),
		"iat": now, "nbf": now - 600, "exp": now + int64(s.opts.GitHubTokenTTL.Seconds()),
		"ref": j.Ref, "ref_type": kind, "ref_protected": "true", "sha": commitSHA, "head_ref": "",
		"base_ref":   "",
		"repository": j.Repository, "repository_id": "456789", "repository_visibility": "private",
		"repository_owner": owner, "repository_owner_id": "123456", "actor": "octocat", "actor_id": "583231",
		"run_id": run.id, "run_number": "7", "run_attempt": "1", "runner_environment": "github-hosted",
		"event_name": j.Event, "workflow": j.Workflow, "workflow_ref": workflowRef(j),
		"workflow_sha":     commitSHA,
		"job_workflow_ref": or(j.ReusableWorkflow, workflowRef(j)), "job_workflow_sha": commitSHA,
		"check_run_id": "55912837465",
	}
	if j.Environment != "" {
		c["environment"] = j.Environment
	}
	maps.Copy(c, j.Claims)
	if _, ok := c["sub"]; !ok {
		c["sub"] = or(j.Subject, githubSubject(j, c))
	}
	return c
}

// githubSubject returns the subject of a job. It consists of the claims that the repository has
// configured, by default its name and the context.
// https://docs.github.com/en/actions/reference/security/oidc#customizing-the-token-claims
func githubSubject(j GitHubJob, claims map[string]any) string {
	owner, name, _ := strings.Cut(j.Repository, "/")
	if j.ImmutableSubject {
		owner = fmt.Sprintf("%s@%s", owner, claims["repository_owner_id"])
		name = fmt.Sprintf("%s@%s", name, claims["repository_id"])
	}
	keys := j.SubjectClaims
	if keys == nil {
		keys = []string{"repo", "context"}
	}
	var parts []string
	for _, key := range keys {
		switch key {
		case "repo":
			parts = append(parts, "repo:"+owner+"/"+name)
		case "context":
			parts = append(parts, githubContext(j))
		default:
			parts = append(parts, key+":"+escapeColons(fmt.Sprint(claims[key])))
		}
	}
	return strings.Join(parts, ":")
}

// githubContext returns the context of a subject: the environment if there is one, else the event for
// pull requests, else the ref.
func githubContext(j GitHubJob) string {
	switch {
	case j.Environment != "":
		return "environment:" + escapeColons(j.Environment)
	case j.Event == "pull_request":
		return "pull_request"
	}
	return "ref:" + escapeColons(j.Ref)
}

// escapeColons escapes the colons of a value, because colons separate the parts of a subject.
func escapeColons(value string) string { return strings.ReplaceAll(value, ":", "%3A") }
