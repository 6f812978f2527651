package trust

import (
	"strings"
	"testing"
)

// What is suggested admits the job that it is for, and exactly that one.
func TestSmallest(t *testing.T) {
	const buildkite = "organization:acme:pipeline:app:ref:refs/heads/main:commit:%s:step:build"
	for _, tt := range []struct {
		name   string
		claims map[string]any
		open   string
		wider  string   // their subjects
		others []string // subjects that the policy must not admit
		next   string   // the same job's next subject, which it must
	}{
		{"branch", gh(mainSub), "", "repo:acme/app:ref:refs/heads/* repo:acme/app:* repo:acme/*", []string{"repo:acme/app:pull_request", "repo:acme/app:ref:refs/heads/main2"}, mainSub},
		{"tag", gh("repo:acme/app:ref:refs/tags/v1"), "", "repo:acme/app:ref:refs/tags/* repo:acme/app:* repo:acme/*", []string{mainSub}, ""},
		{"pull request", gh("repo:acme/app:pull_request"), "", "repo:acme/app:* repo:acme/*", []string{mainSub}, ""},
		{"immutable", gh("repo:acme@1/app@2:environment:prod"), "", "repo:acme@1/app@2:* repo:acme@1/*", []string{"repo:acme/app:environment:prod", "repo:acme@1/app@3:environment:prod"}, ""},
		{"wildcards in a name", gh("repo:acme/app:environment:a*b?${x}<&>"), "", "repo:acme/app:* repo:acme/*", []string{"repo:acme/app:environment:aXXb?${x}<&>"}, ""},
		{"customised", gh("job_workflow_ref:acme/ci/.github/workflows/x.yml@refs/heads/main"), "", "", []string{mainSub}, ""},
		{"CircleCI", tokenOf(circle, org, circleV2), "any user", circleWider, []string{strings.Replace(circleV2, "heads/main", "heads/dev", 1), circleV1,
			strings.Replace(circleV2, "heads/main", "heads/x/vcs-origin/github.com/acme/app/vcs-ref/refs/heads/main", 1)},
			strings.Replace(circleV2, user, project, 1)},
		{"CircleCI V1", tokenOf(circle, org, circleV1), "any user", "org/" + org + "/project/" + project + "/user/* org/" + org + "/project/*", []string{strings.Replace(circleV1, project, user, 1)},
			strings.Replace(circleV1, user, project, 1)},
		{"Buildkite", tokenOf("agent.buildkite.com", "sts.amazonaws.com", strings.Replace(buildkite, "%s", "abc", 1)), "any commit",
			"organization:acme:pipeline:app:ref:refs/heads/main:commit:*:step:* organization:acme:pipeline:app:ref:refs/heads/main:commit:* organization:acme:pipeline:app:ref:* organization:acme:pipeline:*",
			[]string{"organization:acme:pipeline:app:ref:refs/heads/dev:commit:abc:step:build"}, strings.Replace(buildkite, "%s", "def", 1)},
		{"Buildkite, a step's name", tokenOf("agent.buildkite.com", "x", "organization:acme:pipeline:app:ref:r:commit:c:step:a*b"), "any commit",
			"organization:acme:pipeline:app:ref:r:commit:*:step:* organization:acme:pipeline:app:ref:r:commit:* organization:acme:pipeline:app:ref:* organization:acme:pipeline:*",
			[]string{"organization:acme:pipeline:app:ref:r:commit:c:step:aXb"}, "organization:acme:pipeline:app:ref:r:commit:d:step:a*b"},
		{"Buildkite, customised", tokenOf("agent.buildkite.com", "x", "x:organization:acme:pipeline:app:ref:r:commit:c:step:s"), "", "", []string{"organization:acme:pipeline:app:ref:r:commit:d:step:s"}, ""},
		{"GitLab", tokenOf("gitlab.com", "x", "project_path:g/p:ref_type:branch:ref:main"), "", "project_path:g/p:ref_type:branch:ref:* project_path:g/p:ref_type:*", []string{"project_path:g/p:ref_type:tag:ref:main"}, ""},
		{"tags", tagged(tokenOf("idp.example.com", "a", "s", "https://aws.amazon.com/source_identity=x")), "", "", []string{"t"}, ""},
		{"azp", tokenOf("idp.example.com", "a", "s", "azp=b"), "", "", []string{"t"}, ""},
		{"Google", tokenOf("accounts.google.com", "a", "s", "azp=b"), "", "", []string{"t"}, ""},
		{"two audiences", map[string]any{"iss": "https://idp.example.com", "sub": "s", "aud": []any{"a", "b"}}, "", "", []string{"t"}, ""},
	} {
		r := Request{Role: role, Claims: tt.claims}
		s, err := Smallest(r)
		if err != nil {
			t.Fatal(err)
		}
		var wider []string
		for _, w := range s.Wider {
			wider = append(wider, w.Subject)
			if w.Who == "" {
				t.Errorf("%s: nothing is said of %s", tt.name, w.Subject)
			}
		}
		if got := strings.Join(wider, " "); got != tt.wider || s.Open != tt.open {
			t.Errorf("%s: wider: %s; open: %s", tt.name, got, s.Open)
		}
		v := evaluate(t, s.Policy, r)
		for _, f := range v.Findings {
			if f.Level == Danger || f.Kind == NoAudience {
				t.Errorf("%s: %s", tt.name, f.Text)
			}
		}
		if strings.Contains(s.Policy, `\u00`) {
			t.Errorf("%s: not as people write it: %s", tt.name, s.Policy)
		}
		if v.Admits != Yes {
			t.Errorf("%s: its own job is not admitted\n%s\n%s", tt.name, s.Policy, v)
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
		sub := texts(tt.claims["sub"])[0]
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

const anyUUID = "????????-????-????-????-????????????"

func TestSmallestText(t *testing.T) {
	s, err := Smallest(Request{Role: role, Claims: gh(mainSub)})
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
