package emulator

import "time"

// GitLabJob is a job of GitLab CI/CD. The zero value is a job of gitlab.com for the main branch of
// acme/app.
type GitLabJob struct {
	Instance string // default https://gitlab.com
	Project  string // default acme/app
	Ref      string // default refs/heads/main
	Audience string // aud in id_tokens; default sts.amazonaws.com
	Variable string // the name in id_tokens; default ECR_OIDC_TOKEN
	NoToken  bool   // the job has no id_tokens
	Expired  bool   // the token has expired
}

// GitLabIssuer is the issuer of gitlab.com. Every other instance is its own issuer.
const GitLabIssuer = "https://gitlab.com"

// GitLab returns the environment of a job. GitLab has no token endpoint: the token is in the
// variable that id_tokens names.
// https://docs.gitlab.com/ci/secrets/id_token_authentication/
func (s *Server) GitLab(j GitLabJob) map[string]string {
	j.Instance = or(j.Instance, GitLabIssuer)
	j.Project = or(j.Project, "acme/app")
	kind, name := refParts(or(j.Ref, "refs/heads/main"))
	env := map[string]string{
		"CI": "true", "GITLAB_CI": "true", "CI_SERVER_URL": j.Instance, "CI_PROJECT_PATH": j.Project,
		"CI_JOB_ID": "987654", "CI_PIPELINE_ID": "4321", "CI_COMMIT_SHA": commitSHA,
		"CI_COMMIT_REF_NAME": name,
	}
	if j.NoToken {
		return env
	}
	issued := s.now()
	if j.Expired {
		issued = issued.Add(-2 * time.Hour)
	}
	env[or(j.Variable, "ECR_OIDC_TOKEN")] = s.Mint(j.Instance, map[string]any{
		"sub": "project_path:" + j.Project + ":ref_type:" + kind + ":ref:" + name,
		"aud": or(j.Audience, "sts.amazonaws.com"),
		"iat": issued.Unix(), "nbf": issued.Add(-5 * time.Second).Unix(), "exp": issued.Add(time.Hour).Unix(),
		"project_path": j.Project, "ref": name, "ref_type": kind, "ref_protected": "true",
		"pipeline_source": "push", "job_id": "987654", "pipeline_id": "4321",
		"runner_environment": "gitlab-hosted",
	})
	return env
}
