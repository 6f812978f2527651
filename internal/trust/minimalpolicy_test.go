package trust

import (
	"strings"
	"testing"
)

// TestMinimalPolicy checks that a suggested policy admits its job, the next run of that job, and no other
// job.
func TestMinimalPolicy(t *testing.T) {
	const buildkite = "organization:acme:pipeline:app:ref:refs/heads/main:commit:%s:step:build"
	for _, tt := range []struct {
		name   string
		claims map[string]any
		caveat string
		wider  string   // the subjects of Suggestion.Wider
		others []string // subjects that the policy must not admit
		next   string   // the subject of the next run, which the policy must admit
	}{
		{"branch", gh(mainSub), "", "repo:acme/app:ref:refs/heads/* repo:acme/app:* repo:acme/*", []string{"repo:acme/app:pull_request", "repo:acme/app:ref:refs/heads/main2"}, mainSub},
		{"tag", gh("repo:acme/app:ref:refs/tags/v1"), "", "repo:acme/app:ref:refs/tags/* repo:acme/app:* repo:acme/*", []string{mainSub}, ""},
		{"pull request", gh("repo:acme/app:pull_request"), "it admits every pull request of acme/app, with the workflow of its branch; " +
			"pull requests from forks get a token only if the repository's settings allow it", "repo:acme/app:* repo:acme/*", []string{mainSub}, ""},
		{"immutable", gh("repo:acme@1/app@2:environment:prod"), "", "repo:acme@1/app@2:* repo:acme@1/*", []string{"repo:acme/app:environment:prod", "repo:acme@1/app@3:environment:prod"}, ""},
		{"wildcards in the environment", gh("repo:acme/app:environment:a*b?${x}<&>"), "", "repo:acme/app:* repo:acme/*", []string{"repo:acme/app:environment:aXXb?${x}<&>"}, ""},
		{"customized", gh("job_workflow_ref:acme/ci/.github/workflows/x.yml@refs/heads/main", "repository=acme/app"), "", "", []string{mainSub}, ""},
		{"audience with the syntax of a variable", tokenOf(gitHub, "a${b}", mainSub), "", "repo:acme/app:ref:refs/heads/* repo:acme/app:* repo:acme/*", []string{"repo:acme/app:pull_request"}, ""},
		{"Bitbucket", tokenOf("api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc", "x", "{"+org+"}:{"+user+"}"), wildcardCaveat("step"), "{" + org + "}:*",
			[]string{"{" + project + "}:{" + user + "}", "{" + org + "}:{" + project + "}:{" + user + "}"}, "{" + org + "}:{" + project + "}"},
		{"Bitbucket, a deployment", tokenOf("api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc", "x", "{"+org+"}:{"+project+"}:{"+user+"}"), wildcardCaveat("step"), "{" + org + "}:*",
			[]string{"{" + org + "}:{" + user + "}", "{" + org + "}:{" + user + "}:{" + user + "}"}, "{" + org + "}:{" + project + "}:{" + org + "}"},
		{"CircleCI, user that is not a UUID", tokenOf(circle, org, strings.Replace(circleV2, user, "u-7", 1)), wildcardCaveat("user"), strings.ReplaceAll(circleWider, anyUUID, "?-?"),
			[]string{strings.Replace(circleV2, user, "u-7", 1) + "x", strings.Replace(circleV2, "heads/main", "heads/x/vcs-origin/github.com/acme/app/vcs-ref/refs/heads/main", 1)}, strings.Replace(circleV2, user, "v-8", 1)},
		{"Buildkite, HEAD", tokenOf("agent.buildkite.com", "x", strings.Replace(buildkite, "%s", "HEAD", 1)), wildcardCaveat("commit"), bkWider("refs/heads/main", "????"),
			[]string{strings.Replace(buildkite, "%s", "HEAD", 1) + ":step:build", strings.Replace(buildkite, "%s", "HEAD:step:lint", 1)}, strings.Replace(buildkite, "%s", "HEAD", 1)},
		{"CircleCI", tokenOf(circle, org, circleV2), wildcardCaveat("user"), circleWider, []string{strings.Replace(circleV2, "heads/main", "heads/dev", 1), circleV1,
			strings.Replace(circleV2, "heads/main", "heads/x/vcs-origin/github.com/acme/app/vcs-ref/refs/heads/main", 1)},
			strings.Replace(circleV2, user, project, 1)},
		{"CircleCI V1", tokenOf(circle, org, circleV1), wildcardCaveat("user"), "org/" + org + "/project/" + project + "/user/* org/" + org + "/project/*", []string{strings.Replace(circleV1, project, user, 1)},
			strings.Replace(circleV1, user, project, 1)},
		{"Buildkite", tokenOf("agent.buildkite.com", "sts.amazonaws.com", strings.Replace(buildkite, "%s", "abc", 1)), wildcardCaveat("commit"), bkWider("refs/heads/main", "???"),
			[]string{"organization:acme:pipeline:app:ref:refs/heads/dev:commit:abc:step:build"}, strings.Replace(buildkite, "%s", "def", 1)},
		{"Buildkite, wildcard in the step", tokenOf("agent.buildkite.com", "x", "organization:acme:pipeline:app:ref:r:commit:c:step:a*b"), wildcardCaveat("commit"), bkWider("r", "?"),
			[]string{"organization:acme:pipeline:app:ref:r:commit:c:step:aXb"}, "organization:acme:pipeline:app:ref:r:commit:d:step:a*b"},
		{"Buildkite, customized", tokenOf("agent.buildkite.com", "x", "x:organization:acme:pipeline:app:ref:r:commit:c:step:s"), otherSubject, "", []string{"organization:acme:pipeline:app:ref:r:commit:d:step:s"}, ""},
		{"GitLab", tokenOf("gitlab.com", "x", "project_path:g/p:ref_type:branch:ref:main"), "", "project_path:g/p:ref_type:branch:ref:* project_path:g/p:ref_type:*", []string{"project_path:g/p:ref_type:tag:ref:main"}, ""},
		{"tags", tagged(tokenOf("idp.example.com", "a", "s", "https://aws.amazon.com/source_identity=x")), otherSubject, "", []string{"t"}, ""},
		{"azp", tokenOf("idp.example.com", "a", "s", "azp=b"), otherSubject, "", []string{"t"}, ""},
		{"Google", tokenOf("accounts.google.com", "a", "s", "azp=b"), otherSubject, "", []string{"t"}, ""},
		{"two audiences", map[string]any{"iss": "https://idp.example.com", "sub": "s", "aud": []any{"a", "b"}}, otherSubject, "", []string{"t"}, ""},
	} {
		r := Request{Role: role, Claims: tt.claims}
		s, err := MinimalPolicy(r)
		if err != nil {
			t.Fatal(err)
		}
		var wider []string
		for _, w := range s.Wider {
			wider = append(wider, w.Subject)
			if w.Scope == "" {
				t.Errorf("%s: no scope for %s", tt.name, w.Subject)
			}
		}
		if got := strings.Join(wider, " "); got != tt.wider || s.Caveat != tt.caveat {
			t.Errorf("%s: wider: %s; caveat: %s", tt.name, got, s.Caveat)
		}
		v := evaluate(t, s.Policy, r)
		for _, f := range v.Findings {
			if f.Level == Danger || f.Kind == NoAudience {
				t.Errorf("%s: %s", tt.name, f.Text)
			}
		}
		if strings.Contains(s.Policy, `\u00`) {
			t.Errorf("%s: the JSON has HTML escapes: %s", tt.name, s.Policy)
		}
		if v.Admits != Yes {
			t.Errorf("%s: the job is not admitted\n%s\n%s", tt.name, s.Policy, v)
		}
		admits := func(policy, sub string) Result {
			claims := map[string]any{"sub": sub}
			for k, v := range tt.claims {
				if k != "sub" {
					claims[k] = v
				}
			}
			return evaluate(t, policy, Request{Role: role, Claims: claims}).Admits
		}
		for _, sub := range tt.others {
			if admits(s.Policy, sub) != No {
				t.Errorf("%s: %s is admitted\n%s", tt.name, sub, s.Policy)
			}
		}
		if tt.next != "" && admits(s.Policy, tt.next) != Yes {
			t.Errorf("%s: %s is not admitted\n%s", tt.name, tt.next, s.Policy)
		}
		sub := claimValue(tt.claims["sub"]).values[0]
		for _, w := range wider {
			policy := trusting(strings.TrimPrefix(tt.claims["iss"].(string), "https://"), `{"StringLike": {"@:sub": "`+w+`"}}`)
			if admits(policy, sub) != Yes {
				t.Errorf("%s: %s does not admit the job", tt.name, w)
			}
		}
	}
}

const circleWider = "org/" + org + "/project/" + project + "/user/" + anyUUID + "/vcs-origin/github.com/acme/app/vcs-ref/* org/" + org + "/project/" + project + "/user/" + anyUUID + "/vcs-origin/* org/" +
	org + "/project/" + project + "/user/* org/" + org + "/project/*"

func wildcardCaveat(part string) string {
	return "its wildcard admits any " + part + ", because the " + part + " can differ in each run"
}

func bkWider(ref, commit string) string {
	ref = "organization:acme:pipeline:app:ref:" + ref
	return ref + ":commit:" + commit + ":step:* " + ref + ":commit:* organization:acme:pipeline:app:ref:* organization:acme:pipeline:*"
}

const otherSubject = "the next run can have another subject"

// TestMinimalPolicyWithoutOwner checks the caveat for a token whose claims do not identify an owner.
func TestMinimalPolicyWithoutOwner(t *testing.T) {
	s, err := MinimalPolicy(Request{Role: role, Claims: gh("job_workflow_ref:acme/ci/.github/workflows/x.yml@refs/heads/main")})
	if err != nil || s.Caveat != "it admits jobs of any repository that can call this workflow" {
		t.Errorf("%+v, %v", s, err)
	}
}

const anyUUID = "????????-????-????-????-????????????"

func TestMinimalPolicyJSON(t *testing.T) {
	s, err := MinimalPolicy(Request{Role: role, Claims: gh(mainSub)})
	const want = `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Principal": {
        "Federated": "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
      },
      "Action": "sts:AssumeRoleWithWebIdentity",
      "Condition": {
        "StringEquals": {
          "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
          "token.actions.githubusercontent.com:sub": "repo:acme/app:ref:refs/heads/main"
        }
      }
    }
  ]
}
`
	if err != nil || s.Policy != want {
		t.Errorf("%s%v", s.Policy, err)
	}
}
