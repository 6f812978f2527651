package emulator

import (
	"encoding/json"
	"net/http"
	"strings"
)

// BuildkiteJob is a job of Buildkite. The zero value is a build of the main branch by the pipeline
// app of the organization acme.
type BuildkiteJob struct {
	Organization, Pipeline string
	Ref                    string // default refs/heads/main
	Step                   string // key of the step; may be empty, also in the subject
	NoToken                bool   // the environment has no agent access token
	AgentToken             bool   // the agent access token is the agent's, not the job's, as in old agents
}

// BuildkiteIssuer is the issuer of Buildkite's tokens, for all organizations.
const BuildkiteIssuer = "https://" + buildkiteHost

// buildkiteRun is a running job as the agent API sees it.
type buildkiteRun struct {
	job BuildkiteJob
	id  string
}

// Buildkite returns the environment of a job, with an agent API on loopback.
func (s *Server) Buildkite(j BuildkiteJob) map[string]string {
	return s.buildkiteJob(j, s.URL("buildkite"))
}

// BuildkiteRealHost is Buildkite with the real host name of the agent API.
func (s *Server) BuildkiteRealHost(j BuildkiteJob) map[string]string {
	return s.buildkiteJob(j, BuildkiteIssuer)
}

func (s *Server) buildkiteJob(j BuildkiteJob, base string) map[string]string {
	j.Organization = or(j.Organization, "acme")
	j.Pipeline = or(j.Pipeline, "app")
	j.Ref = or(j.Ref, "refs/heads/main")
	_, branch := refParts(j.Ref)
	run := buildkiteRun{job: j, id: newUUID()}
	env := map[string]string{
		"CI": "true", "BUILDKITE": "true", "BUILDKITE_JOB_ID": run.id, "BUILDKITE_BUILD_NUMBER": "175",
		"BUILDKITE_ORGANIZATION_SLUG": j.Organization, "BUILDKITE_PIPELINE_SLUG": j.Pipeline,
		"BUILDKITE_BRANCH": branch, "BUILDKITE_COMMIT": commitSHA, "BUILDKITE_STEP_KEY": j.Step,
		"BUILDKITE_AGENT_ENDPOINT": base + "/v3",
	}
	if j.NoToken {
		return env
	}
	// The prefix of job tokens: https://buildkite.com/docs/platform/security/tokens
	access := "bkaj_" + randomHex(20)
	s.mu.Lock()
	defer s.mu.Unlock()
	if j.AgentToken {
		access = buildkiteAgentToken
	}
	env["BUILDKITE_AGENT_ACCESS_TOKEN"] = access
	s.buildkiteRuns[access] = append(s.buildkiteRuns[access], run)
	return env
}

// buildkiteAgentToken is the session token of the agent that runs all jobs with AgentToken.
const buildkiteAgentToken = "bkaa_0123456789abcdef0123456789abcdef01234567"

// buildkite serves the operation of the agent API that "buildkite-agent oidc request-token" calls.
// https://github.com/buildkite/agent/blob/main/api/oidc.go
func (r *request) buildkite() {
	access, ok := strings.CutPrefix(r.httpReq.Header.Get("Authorization"), "Token ")
	r.server.mu.Lock()
	runs, known := r.server.buildkiteRuns[access]
	r.server.mu.Unlock()
	var run buildkiteRun
	for _, run = range runs { // an agent's token is valid for all of its jobs
		if r.endpoint.path == "/v3/jobs/"+run.id+"/oidc/tokens" {
			break
		}
	}
	var in struct {
		Audience string
		Lifetime int64
	}
	switch {
	case !strings.HasPrefix(r.endpoint.path, "/v3/jobs/") ||
		!strings.HasSuffix(r.endpoint.path, "/oidc/tokens"):
		r.writeError(apiError{http.StatusNotFound, "", "Not Found"})
	case r.httpReq.Method != http.MethodPost:
		r.writeError(apiError{http.StatusMethodNotAllowed, "", "Method Not Allowed"})
	case !ok || !known:
		r.writeError(apiError{http.StatusUnauthorized, "", "Invalid access token"})
	case r.endpoint.path != "/v3/jobs/"+run.id+"/oidc/tokens":
		r.writeError(apiError{http.StatusNotFound, "", "No job found"})
	case !strings.HasPrefix(r.httpReq.Header.Get("Content-Type"), "application/json"),
		json.Unmarshal(r.body, &in) != nil:
		r.writeError(apiError{http.StatusBadRequest, "", "Bad Request"})
	case in.Lifetime < 0 || in.Lifetime > 7200:
		r.writeError(apiError{http.StatusUnprocessableEntity, "", "lifetime is too long"})
	default:
		now := r.server.now().Unix()
		ttl := or(in.Lifetime, 300)
		r.writeJSON(http.StatusOK, map[string]string{"token": r.server.Mint(BuildkiteIssuer, map[string]any{
			"sub": buildkiteSubject(run.job),
			"aud": or(in.Audience, "https://buildkite.com/"+run.job.Organization),
			"iat": now, "nbf": now, "exp": now + ttl, "jti": nil,
			"organization_slug": run.job.Organization, "pipeline_slug": run.job.Pipeline, "build_number": 175,
			"build_commit": commitSHA, "job_id": run.id, "agent_id": newUUID(), "step_key": run.job.Step,
		})})
	}
}

// buildkiteSubject returns the subject of a job: https://buildkite.com/docs/agent/v3/cli-oidc
func buildkiteSubject(j BuildkiteJob) string {
	return "organization:" + j.Organization + ":pipeline:" + j.Pipeline + ":ref:" + j.Ref +
		":commit:" + commitSHA + ":step:" + j.Step
}
