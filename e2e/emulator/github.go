package emulator

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
)

// GitHubJob is one job of GitHub Actions. Empty fields get the values of a push
// to acme/app's main branch.
type GitHubJob struct {
	Repository, Ref, Environment, Event, Workflow string

	Issuer     string         // of a GitHub Enterprise Server; default GitHubIssuer
	Subject        string         // instead of the one that GitHub would build
	SubjectClaims  []string       // the repository's include_claim_keys: a subject of these claims
	ImmutableSubject  bool           // made, renamed or moved after July 2026: the subject has the ids too
	ReusableWorkflow string         // the reusable workflow that the job is in, as OWNER/REPO/PATH@REF
	NoIDToken  bool           // a job without "id-token: write"
	Claims     map[string]any // extra or overriding; nil removes
}

// githubRun is what the token endpoint knows about a job.
type githubRun struct {
	job  GitHubJob
	path string // of its own token URL, as it is sent
	id   string
}

// GitHub returns the environment of a job whose token endpoint is on loopback.
// RUNNER_TEMP is not in it: that is the test's own folder.
func (w *Server) GitHub(j GitHubJob) map[string]string { return w.github(j, w.URL("github-token")) }

// GitHubRealHost is GitHub with the token endpoint's real host name, for a client
// that reaches it through the proxy or in a namespace of its own.
func (w *Server) GitHubRealHost(j GitHubJob) map[string]string {
	return w.github(j, "https://"+githubTokenHost)
}

func (w *Server) github(j GitHubJob, base string) map[string]string {
	j.Repository = or(j.Repository, "acme/app")
	j.Ref = or(j.Ref, "refs/heads/main")
	j.Event = or(j.Event, "push")
	j.Workflow = or(j.Workflow, "build.yml")
	owner, _, _ := strings.Cut(j.Repository, "/")
	kind, name := refParts(j.Ref)
	run := githubRun{job: j, path: "/222//idtoken/" + guid() + "/" + guid(), id: "19521337042"}
	env := map[string]string{
		"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "octocat", "GITHUB_JOB": "build",
		"GITHUB_SERVER_URL": "https://github.com", "GITHUB_API_URL": "https://api.github.com",
		"GITHUB_REPOSITORY": j.Repository, "GITHUB_REPOSITORY_OWNER": owner,
		"GITHUB_REPOSITORY_ID": "456789", "GITHUB_REPOSITORY_OWNER_ID": "123456",
		"GITHUB_REF": j.Ref, "GITHUB_REF_NAME": name, "GITHUB_REF_TYPE": kind, "GITHUB_SHA": githubSHA,
		"GITHUB_EVENT_NAME": j.Event, "GITHUB_WORKFLOW": j.Workflow, "GITHUB_WORKFLOW_REF": workflowRef(j),
		"GITHUB_RUN_ID": run.id, "GITHUB_RUN_NUMBER": "7", "GITHUB_RUN_ATTEMPT": "1",
		"RUNNER_OS": "Linux", "RUNNER_ENVIRONMENT": "github-hosted",
	}
	if j.NoIDToken { // the runner then leaves both variables out
		return env
	}
	bearer := randomHex(64)
	env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = bearer
	env["ACTIONS_ID_TOKEN_REQUEST_URL"] = base + run.path + "?api-version=2.0"
	w.mu.Lock()
	defer w.mu.Unlock()
	w.jobs[bearer] = run
	return env
}

const githubSHA = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

func refParts(ref string) (kind, name string) {
	if name, ok := strings.CutPrefix(ref, "refs/tags/"); ok {
		return "tag", name
	}
	return "branch", strings.TrimPrefix(ref, "refs/heads/")
}

func workflowRef(j GitHubJob) string {
	return j.Repository + "/.github/workflows/" + j.Workflow + "@" + j.Ref
}

// githubToken is the endpoint behind ACTIONS_ID_TOKEN_REQUEST_URL. Its answer has
// the shape that GitHub's own client expects:
// https://github.com/actions/toolkit/blob/main/packages/core/src/oidc-utils.ts
func (v *visit) githubToken() {
	bearer, ok := strings.CutPrefix(v.r.Header.Get("Authorization"), "Bearer ")
	v.w.mu.Lock()
	run, known := v.w.jobs[bearer]
	v.w.mu.Unlock()
	query := v.r.URL.Query()
	switch {
	case !strings.HasPrefix(v.at.path, "/222//idtoken/"): // a client that cleans paths ends here
		v.fail(apiError{http.StatusNotFound, "", "not found"})
	case v.r.Method != http.MethodGet:
		v.fail(apiError{http.StatusMethodNotAllowed, "", "method not allowed"})
	case !ok || !known:
		v.fail(apiError{http.StatusUnauthorized, "", "unauthorized"})
	case v.at.path != run.path:
		v.fail(apiError{http.StatusNotFound, "", "not found"})
	case query.Get("api-version") != "2.0": // lost by a client that sets the query instead of adding to it
		v.fail(apiError{http.StatusBadRequest, "", "no api-version was given"})
	default:
		token := v.w.Mint(or(run.job.Issuer, GitHubIssuer), v.w.githubClaims(run, query.Get("audience")))
		v.json(http.StatusOK, map[string]any{"count": len(token), "value": token})
	}
}

// githubClaims are the token's contents.
// https://docs.github.com/en/actions/reference/security/oidc
func (w *Server) githubClaims(run githubRun, audience string) map[string]any {
	j := run.job
	owner, _, _ := strings.Cut(j.Repository, "/")
	kind, _ := refParts(j.Ref)
	now := w.now().Unix()
	c := map[string]any{
		"aud": or(audience, "https://github.com/"+owner),
		"iat": now, "nbf": now - 600, "exp": now + int64(w.opts.GitHubTokenTTL.Seconds()),
		"ref": j.Ref, "ref_type": kind, "ref_protected": "true", "sha": githubSHA, "head_ref": "", "base_ref": "",
		"repository": j.Repository, "repository_id": "456789", "repository_visibility": "private",
		"repository_owner": owner, "repository_owner_id": "123456", "actor": "octocat", "actor_id": "583231",
		"run_id": run.id, "run_number": "7", "run_attempt": "1", "runner_environment": "github-hosted",
		"event_name": j.Event, "workflow": j.Workflow, "workflow_ref": workflowRef(j), "workflow_sha": githubSHA,
		"job_workflow_ref": or(j.ReusableWorkflow, workflowRef(j)), "job_workflow_sha": githubSHA, "check_run_id": "55912837465",
	}
	if j.Environment != "" {
		c["environment"] = j.Environment
	}
	maps.Copy(c, j.Claims)
	if _, ok := c["sub"]; !ok {
		c["sub"] = or(j.Subject, githubSub(j, c))
	}
	return c
}

// githubSub builds the subject from the job's other claims: those that the
// repository chose, or its name and the context.
// https://docs.github.com/en/actions/reference/security/oidc#customizing-the-token-claims
func githubSub(j GitHubJob, claims map[string]any) string {
	owner, name, _ := strings.Cut(j.Repository, "/")
	if j.ImmutableSubject {
		owner, name = fmt.Sprintf("%s@%s", owner, claims["repository_owner_id"]), fmt.Sprintf("%s@%s", name, claims["repository_id"])
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
			parts = append(parts, key+":"+escaped(fmt.Sprint(claims[key])))
		}
	}
	return strings.Join(parts, ":")
}

// githubContext: the environment wins over the event, the event over the ref.
func githubContext(j GitHubJob) string {
	switch {
	case j.Environment != "":
		return "environment:" + escaped(j.Environment)
	case j.Event == "pull_request":
		return "pull_request"
	}
	return "ref:" + escaped(j.Ref)
}

// escaped: a colon inside a value must not look like the end of it.
func escaped(value string) string { return strings.ReplaceAll(value, ":", "%3A") }
