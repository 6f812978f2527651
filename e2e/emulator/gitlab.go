package emulator

import "time"

// GitLabJob is one job of GitLab CI/CD. Empty fields get the values of
// gitlab.com building acme/app's main branch.
type GitLabJob struct {
	Instance string // https://gitlab.com
	Project  string // acme/app
	Ref      string // refs/heads/main or refs/tags/v1
	Audience string // as in id_tokens; default sts.amazonaws.com
	Variable string // as in id_tokens; default ECR_OIDC_TOKEN
	NoToken  bool   // a job without id_tokens
	Expired  bool   // a job that outlived its token
}

// GitLabIssuer is the issuer of gitlab.com; another instance is its own.
const GitLabIssuer = "https://gitlab.com"

// GitLab returns the environment of a job. There is no endpoint to ask: the
// token is a variable of the name that the job's id_tokens chose.
// https://docs.gitlab.com/ci/secrets/id_token_authentication/
func (w *Server) GitLab(j GitLabJob) map[string]string {
	j.Instance = or(j.Instance, GitLabIssuer)
	j.Project = or(j.Project, "acme/app")
	kind, name := refParts(or(j.Ref, "refs/heads/main"))
	env := map[string]string{
		"CI": "true", "GITLAB_CI": "true", "CI_SERVER_URL": j.Instance, "CI_PROJECT_PATH": j.Project,
		"CI_JOB_ID": "987654", "CI_PIPELINE_ID": "4321", "CI_COMMIT_SHA": githubSHA, "CI_COMMIT_REF_NAME": name,
	}
	if j.NoToken {
		return env
	}
	issued := w.now()
	if j.Expired {
		issued = issued.Add(-2 * time.Hour)
	}
	env[or(j.Variable, "ECR_OIDC_TOKEN")] = w.Mint(j.Instance, map[string]any{
		"sub": "project_path:" + j.Project + ":ref_type:" + kind + ":ref:" + name,
		"aud": or(j.Audience, "sts.amazonaws.com"),
		"iat": issued.Unix(), "nbf": issued.Add(-5 * time.Second).Unix(), "exp": issued.Add(time.Hour).Unix(),
		"project_path": j.Project, "ref": name, "ref_type": kind, "ref_protected": "true",
		"pipeline_source": "push", "job_id": "987654", "pipeline_id": "4321", "runner_environment": "gitlab-hosted",
	})
	return env
}
