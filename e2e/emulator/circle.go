package emulator

import (
	"strings"
	"time"
)

// CircleJob is one job of CircleCI. Empty fields get the values of Default's
// organisation building acme/app's main branch.
type CircleJob struct {
	Org, Project, User string // UUIDs
	Repo, Ref          string // acme/app, refs/heads/main
	Expired            bool   // tokens of a job that began over an hour ago
	Audience           string // default the organisation's UUID
}

// Identifiers of Default's CircleCI organisation.
const (
	CircleOrg     = "6b1e7f4e-6a44-4c55-9d0c-2b6f0c8e2d11"
	CircleProject = "0f7d3a52-3c1e-4d6b-8a9e-5b7c9d1e3f20"
	circleUser    = "c2a4e6f8-1b3d-4f5a-9c7e-8d6b4a2f0e13"
)

func (j CircleJob) filled() CircleJob {
	j.Org = or(j.Org, CircleOrg)
	j.Project = or(j.Project, CircleProject)
	j.User = or(j.User, circleUser)
	j.Repo = or(j.Repo, "acme/app")
	j.Ref = or(j.Ref, "refs/heads/main")
	j.Audience = or(j.Audience, j.Org)
	return j
}

// Circle returns the environment of a job with both of its tokens.
func (w *Server) Circle(j CircleJob) map[string]string {
	j = j.filled()
	owner, name, _ := strings.Cut(j.Repo, "/")
	env := map[string]string{
		"CI": "true", "CIRCLECI": "true", "CIRCLE_JOB": "build", "CIRCLE_BUILD_NUM": "42",
		"CIRCLE_ORGANIZATION_ID": j.Org, "CIRCLE_PROJECT_ID": j.Project,
		"CIRCLE_PROJECT_USERNAME": owner, "CIRCLE_PROJECT_REPONAME": name,
		"CIRCLE_SHA1": githubSHA, "CIRCLE_WORKFLOW_ID": guid(),
		"CIRCLE_OIDC_TOKEN": w.circle(j, false), "CIRCLE_OIDC_TOKEN_V2": w.circle(j, true),
	}
	if kind, name := refParts(j.Ref); kind == "tag" {
		env["CIRCLE_TAG"] = name
	} else {
		env["CIRCLE_BRANCH"] = name
	}
	return env
}

// CircleToken returns what "circleci run oidc get" prints in such a job: a fresh
// token with the longer subject. A test's fake circleci hands it out.
func (w *Server) CircleToken(j CircleJob) string {
	j.Expired = false
	return w.circle(j.filled(), true)
}

// circle mints one token; v2 adds the branch to the subject.
// https://circleci.com/docs/openid-connect-tokens/
func (w *Server) circle(j CircleJob, v2 bool) string {
	issued := w.now()
	if j.Expired {
		issued = issued.Add(-2 * time.Hour)
	}
	origin := "github.com/" + j.Repo
	sub := "org/" + j.Org + "/project/" + j.Project + "/user/" + j.User
	if v2 {
		sub += "/vcs-origin/" + origin + "/vcs-ref/" + j.Ref
	}
	const own = circleHost + "/"
	return w.Mint(circleIssuer+"/org/"+j.Org, map[string]any{
		"sub": sub, "aud": j.Audience, "jti": nil, "nbf": nil,
		"iat": issued.Unix(), "exp": issued.Add(time.Hour).Unix(),
		own + "org-id": j.Org, own + "project-id": j.Project, own + "vcs-origin": origin, own + "vcs-ref": j.Ref,
		own + "job-id": guid(), own + "workflow-id": guid(), own + "pipeline-id": guid(),
		own + "context-ids": []string{}, own + "ssh-rerun": false,
	})
}
