package emulator

import (
	"strings"
	"time"
)

// CircleJob is a job of CircleCI. The zero value is a job of CircleOrg for the main branch of acme/app.
type CircleJob struct {
	Org, Project, User string // UUIDs
	Repo, Ref          string // default acme/app and refs/heads/main
	Expired            bool   // the tokens have expired: the job started over an hour ago
	Audience           string // default Org
}

// IDs of the default CircleCI organization, project and user.
const (
	CircleOrg     = "6b1e7f4e-6a44-4c55-9d0c-2b6f0c8e2d11"
	CircleProject = "0f7d3a52-3c1e-4d6b-8a9e-5b7c9d1e3f20"
	circleUser    = "c2a4e6f8-1b3d-4f5a-9c7e-8d6b4a2f0e13"
)

func (j CircleJob) withDefaults() CircleJob {
	j.Org = or(j.Org, CircleOrg)
	j.Project = or(j.Project, CircleProject)
	j.User = or(j.User, circleUser)
	j.Repo = or(j.Repo, "acme/app")
	j.Ref = or(j.Ref, "refs/heads/main")
	j.Audience = or(j.Audience, j.Org)
	return j
}

// Circle returns the environment of a job, with both of its tokens.
func (s *Server) Circle(j CircleJob) map[string]string {
	j = j.withDefaults()
	owner, name, _ := strings.Cut(j.Repo, "/")
	env := map[string]string{
		"CI": "true", "CIRCLECI": "true", "CIRCLE_JOB": "build", "CIRCLE_BUILD_NUM": "42",
		"CIRCLE_ORGANIZATION_ID": j.Org, "CIRCLE_PROJECT_ID": j.Project,
		"CIRCLE_PROJECT_USERNAME": owner, "CIRCLE_PROJECT_REPONAME": name,
		"CIRCLE_SHA1": commitSHA, "CIRCLE_WORKFLOW_ID": newUUID(),
		"CIRCLE_OIDC_TOKEN": s.mintCircleCI(j, false), "CIRCLE_OIDC_TOKEN_V2": s.mintCircleCI(j, true),
	}
	if kind, name := refParts(j.Ref); kind == "tag" {
		env["CIRCLE_TAG"] = name
	} else {
		env["CIRCLE_BRANCH"] = name
	}
	return env
}

// CircleToken returns the output of "circleci run oidc get" in a job: a new token with the longer
// subject. Tests use it in an emulated circleci command.
func (s *Server) CircleToken(j CircleJob) string {
	j.Expired = false
	return s.mintCircleCI(j.withDefaults(), true)
}

// mintCircleCI returns a token. Version 2 has the repository and the ref in its subject.
// https://circleci.com/docs/openid-connect-tokens/
func (s *Server) mintCircleCI(j CircleJob, v2 bool) string {
	issued := s.now()
	if j.Expired {
		issued = issued.Add(-2 * time.Hour)
	}
	origin := "github.com/" + j.Repo
	sub := "org/" + j.Org + "/project/" + j.Project + "/user/" + j.User
	if v2 {
		sub += "/vcs-origin/" + origin + "/vcs-ref/" + j.Ref
	}
	const prefix = circleHost + "/" // of CircleCI's own claims
	return s.Mint(circleIssuer+"/org/"+j.Org, map[string]any{
		"sub": sub, "aud": j.Audience, "jti": nil, "nbf": nil,
		"iat": issued.Unix(), "exp": issued.Add(time.Hour).Unix(),
		prefix + "org-id": j.Org, prefix + "project-id": j.Project, prefix + "vcs-origin": origin,
		prefix + "vcs-ref": j.Ref,
		prefix + "job-id":  newUUID(), prefix + "workflow-id": newUUID(), prefix + "pipeline-id": newUUID(),
		prefix + "context-ids": []string{}, prefix + "ssh-rerun": false,
	})
}
