package emulator

import (
	"encoding/json"
	"net/http"
	"strings"
)

// BuildkiteJob is one job of Buildkite. Empty fields get the values of a build
// of the organisation acme's pipeline app on its main branch.
type BuildkiteJob struct {
	Organization, Pipeline string
	Ref                    string // refs/heads/main
	Step                   string // the step's key; a step without one leaves it empty in the subject
	NoToken                bool   // a process to which the agent's variables were not passed on
	AgentToken             bool   // BUILDKITE_AGENT_ACCESS_TOKEN is the agent's own, as for agents before job tokens
}

// BuildkiteIssuer is the issuer of Buildkite's tokens, for all organisations.
const BuildkiteIssuer = "https://" + buildkiteHost

// buildkiteRun is what the agent API knows about a running job.
type buildkiteRun struct {
	job BuildkiteJob
	id  string
}

// Buildkite returns the environment of a job whose agent API is on loopback.
func (w *Server) Buildkite(j BuildkiteJob) map[string]string {
	return w.buildkiteJob(j, w.URL("buildkite"))
}

// BuildkiteRealHost is Buildkite with the agent API's real host name.
func (w *Server) BuildkiteRealHost(j BuildkiteJob) map[string]string {
	return w.buildkiteJob(j, BuildkiteIssuer)
}

func (w *Server) buildkiteJob(j BuildkiteJob, base string) map[string]string {
	j.Organization = or(j.Organization, "acme")
	j.Pipeline = or(j.Pipeline, "app")
	j.Ref = or(j.Ref, "refs/heads/main")
	_, branch := refParts(j.Ref)
	run := buildkiteRun{job: j, id: guid()}
	env := map[string]string{
		"CI": "true", "BUILDKITE": "true", "BUILDKITE_JOB_ID": run.id, "BUILDKITE_BUILD_NUMBER": "175",
		"BUILDKITE_ORGANIZATION_SLUG": j.Organization, "BUILDKITE_PIPELINE_SLUG": j.Pipeline,
		"BUILDKITE_BRANCH": branch, "BUILDKITE_COMMIT": githubSHA, "BUILDKITE_STEP_KEY": j.Step,
		"BUILDKITE_AGENT_ENDPOINT": base + "/v3",
	}
	if j.NoToken {
		return env
	}
	// https://buildkite.com/docs/platform/security/tokens: the prefix of a job token, and of an agent session token.
	access := "bkaj_" + randomHex(20)
	w.mu.Lock()
	defer w.mu.Unlock()
	if j.AgentToken {
		access = buildkiteAgentToken
	}
	env["BUILDKITE_AGENT_ACCESS_TOKEN"] = access
	w.builds[access] = append(w.builds[access], run)
	return env
}

// buildkiteAgentToken is the session token of the one agent that runs every job with AgentToken.
const buildkiteAgentToken = "bkaa_0123456789abcdef0123456789abcdef01234567"

// buildkite is the one call of the agent API that "buildkite-agent oidc
// request-token" makes.
// https://github.com/buildkite/agent/blob/main/api/oidc.go
func (v *visit) buildkite() {
	access, ok := strings.CutPrefix(v.r.Header.Get("Authorization"), "Token ")
	v.w.mu.Lock()
	runs, known := v.w.builds[access]
	v.w.mu.Unlock()
	var run buildkiteRun
	for _, run = range runs { // an agent's token is good for each of its jobs
		if v.at.path == "/v3/jobs/"+run.id+"/oidc/tokens" {
			break
		}
	}
	var in struct {
		Audience string
		Lifetime int64
	}
	switch {
	case !strings.HasPrefix(v.at.path, "/v3/jobs/") || !strings.HasSuffix(v.at.path, "/oidc/tokens"):
		v.fail(apiError{http.StatusNotFound, "", "Not Found"})
	case v.r.Method != http.MethodPost:
		v.fail(apiError{http.StatusMethodNotAllowed, "", "Method Not Allowed"})
	case !ok || !known:
		v.fail(apiError{http.StatusUnauthorized, "", "Invalid access token"})
	case v.at.path != "/v3/jobs/"+run.id+"/oidc/tokens":
		v.fail(apiError{http.StatusNotFound, "", "No job found"})
	case !strings.HasPrefix(v.r.Header.Get("Content-Type"), "application/json") || json.Unmarshal(v.body, &in) != nil:
		v.fail(apiError{http.StatusBadRequest, "", "Bad Request"})
	case in.Lifetime < 0 || in.Lifetime > 7200:
		v.fail(apiError{http.StatusUnprocessableEntity, "", "lifetime is too long"})
	default:
		now := v.w.now().Unix()
		life := or(in.Lifetime, 300)
		v.json(http.StatusOK, map[string]string{"token": v.w.Mint(BuildkiteIssuer, map[string]any{
			"sub": buildkiteSub(run.job), "aud": or(in.Audience, "https://buildkite.com/"+run.job.Organization),
			"iat": now, "nbf": now, "exp": now + life, "jti": nil,
			"organization_slug": run.job.Organization, "pipeline_slug": run.job.Pipeline, "build_number": 175,
			"build_commit": githubSHA, "job_id": run.id, "agent_id": guid(), "step_key": run.job.Step,
		})})
	}
}

// buildkiteSub is the subject: https://buildkite.com/docs/agent/v3/cli-oidc
func buildkiteSub(j BuildkiteJob) string {
	return "organization:" + j.Organization + ":pipeline:" + j.Pipeline + ":ref:" + j.Ref +
		":commit:" + githubSHA + ":step:" + j.Step
}
