package trust

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// TestMinimalPolicy checks that a suggested policy admits its job, the next run of that job, and
// no other job.
func TestMinimalPolicy(t *testing.T) {
	for _, tt := range []struct {
		name   string
		claims map[string]any
		caveat string
		wider  []string // the subjects of Suggestion.Wider
		others []string // subjects that the policy must not admit
		next   string   // the subject of the next run, which the policy must admit
	}{
		{
			name:   "branch",
			claims: gh(mainSub),
			wider:  []string{"repo:acme/app:ref:refs/heads/*", "repo:acme/app:*", "repo:acme/*"},
			others: []string{"repo:acme/app:pull_request", "repo:acme/app:ref:refs/heads/main2"},
			next:   mainSub,
		}, {
			name:   "tag",
			claims: gh("repo:acme/app:ref:refs/tags/v1"),
			wider:  []string{"repo:acme/app:ref:refs/tags/*", "repo:acme/app:*", "repo:acme/*"},
			others: []string{mainSub},
		}, {
			name:   "pull request",
			claims: gh("repo:acme/app:pull_request"),
			caveat: "it admits every pull request of acme/app, and each runs the workflow in " +
				"its own branch; pull requests from forks get a token only if the repository's " +
				"settings allow it",
			wider:  []string{"repo:acme/app:*", "repo:acme/*"},
			others: []string{mainSub},
		}, {
			name:   "immutable",
			claims: gh("repo:acme@1/app@2:environment:prod"),
			wider:  []string{"repo:acme@1/app@2:*", "repo:acme@1/*"},
			others: []string{
				"repo:acme/app:environment:prod",
				"repo:acme@1/app@3:environment:prod",
			},
		}, {
			name:   "wildcards in the environment",
			claims: gh("repo:acme/app:environment:a*b?${x}<&>"),
			wider:  []string{"repo:acme/app:*", "repo:acme/*"},
			others: []string{"repo:acme/app:environment:aXXb?${x}<&>"},
		}, {
			name: "customized",
			claims: gh("job_workflow_ref:acme/ci/.github/workflows/x.yml@refs/heads/main",
				"repository=acme/app"),
			others: []string{mainSub},
		}, {
			name:   "audience with the syntax of a variable",
			claims: tokenOf(gitHub, "a${b}", mainSub),
			wider:  []string{"repo:acme/app:ref:refs/heads/*", "repo:acme/app:*", "repo:acme/*"},
			others: []string{"repo:acme/app:pull_request"},
		}, {
			name:   "Bitbucket",
			claims: tokenOf(bitbucketIssuer, "x", uuids(org, user)),
			caveat: wantCaveat("step"),
			wider:  []string{uuids(org) + ":*"},
			others: []string{uuids(project, user), uuids(org, project, user)},
			next:   uuids(org, project),
		}, {
			name:   "Bitbucket, deployment",
			claims: tokenOf(bitbucketIssuer, "x", uuids(org, project, user)),
			caveat: wantCaveat("step"),
			wider:  []string{uuids(org) + ":*"},
			others: []string{uuids(org, user), uuids(org, user, user)},
			next:   uuids(org, project, org),
		}, {
			name:   "CircleCI",
			claims: tokenOf(circle, org, circleV2),
			caveat: wantCaveat("user"),
			wider:  circleWider("????????-????-????-????-????????????"),
			others: []string{
				strings.Replace(circleV2, "heads/main", "heads/dev", 1),
				circleV1,
				circleNested,
			},
			next: strings.Replace(circleV2, user, project, 1),
		}, {
			name:   "CircleCI, user that is not a UUID",
			claims: tokenOf(circle, org, strings.Replace(circleV2, user, "u-7", 1)),
			caveat: wantCaveat("user"),
			wider:  circleWider("?-?"),
			others: []string{strings.Replace(circleV2, user, "u-7", 1) + "x", circleNested},
			next:   strings.Replace(circleV2, user, "v-8", 1),
		}, {
			name:   "CircleCI V1",
			claims: tokenOf(circle, org, circleV1),
			caveat: wantCaveat("user"),
			wider: []string{"org/" + org + "/project/" + project + "/user/*",
				"org/" + org + "/project/*"},
			others: []string{strings.Replace(circleV1, project, user, 1)},
			next:   strings.Replace(circleV1, user, project, 1),
		}, {
			name:   "Buildkite",
			claims: tokenOf(buildkite, "x", buildkiteSub("refs/heads/main", "abc", "build")),
			caveat: wantCaveat("commit"),
			wider:  buildkiteWider("refs/heads/main", "???"),
			others: []string{buildkiteSub("refs/heads/dev", "abc", "build")},
			next:   buildkiteSub("refs/heads/main", "def", "build"),
		}, {
			name:   "Buildkite, HEAD",
			claims: tokenOf(buildkite, "x", buildkiteSub("refs/heads/main", "HEAD", "build")),
			caveat: wantCaveat("commit"),
			wider:  buildkiteWider("refs/heads/main", "????"),
			others: []string{
				buildkiteSub("refs/heads/main", "HEAD", "build:step:build"),
				buildkiteSub("refs/heads/main", "HEAD:step:lint", "build"),
			},
			next: buildkiteSub("refs/heads/main", "HEAD", "build"),
		}, {
			name:   "Buildkite, wildcard in the step",
			claims: tokenOf(buildkite, "x", buildkiteSub("r", "c", "a*b")),
			caveat: wantCaveat("commit"),
			wider:  buildkiteWider("r", "?"),
			others: []string{buildkiteSub("r", "c", "aXb")},
			next:   buildkiteSub("r", "d", "a*b"),
		}, {
			name:   "Buildkite, customized",
			claims: tokenOf(buildkite, "x", "x:"+buildkiteSub("r", "c", "s")),
			caveat: otherSubject,
			others: []string{buildkiteSub("r", "d", "s")},
		}, {
			name:   "GitLab",
			claims: tokenOf("gitlab.com", "x", "project_path:g/p:ref_type:branch:ref:main"),
			wider: []string{"project_path:g/p:ref_type:branch:ref:*",
				"project_path:g/p:ref_type:*"},
			others: []string{"project_path:g/p:ref_type:tag:ref:main"},
		}, {
			name: "tags",
			claims: tagged(tokenOf("idp.example.com", "a", "s",
				"https://aws.amazon.com/source_identity=x")),
			caveat: otherSubject,
			others: []string{"t"},
		}, {
			name:   "azp",
			claims: tokenOf("idp.example.com", "a", "s", "azp=b"),
			caveat: otherSubject,
			others: []string{"t"},
		}, {
			name:   "Google",
			claims: tokenOf("accounts.google.com", "a", "s", "azp=b"),
			caveat: otherSubject,
			others: []string{"t"},
		}, {
			name:   "two audiences",
			claims: withClaim(tokenOf("idp.example.com", "", "s"), "aud", []any{"a", "b"}),
			caveat: otherSubject,
			others: []string{"t"},
		},
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
		if !slices.Equal(wider, tt.wider) || s.Caveat != tt.caveat {
			t.Errorf("%s: wider: %q; caveat: %s", tt.name, wider, s.Caveat)
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
			claims := withClaim(maps.Clone(tt.claims), "sub", sub)
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
		issuer := strings.TrimPrefix(tt.claims["iss"].(string), "https://")
		for _, w := range wider {
			policy := trusting(issuer, `{"StringLike": {"@:sub": "`+w+`"}}`)
			if admits(policy, sub) != Yes {
				t.Errorf("%s: %s does not admit the job", tt.name, w)
			}
		}
	}
}

const (
	buildkite       = "agent.buildkite.com"
	bitbucketIssuer = "api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc"

	// circleNested is the subject of a branch whose name contains the end of circleV2.
	circleNested = circleV1 + "/vcs-origin/github.com/acme/app/vcs-ref/refs/heads/x" +
		"/vcs-origin/github.com/acme/app/vcs-ref/refs/heads/main"

	otherSubject = "the next run can have another subject"
)

func wantCaveat(part string) string {
	return "its wildcard admits any " + part + ", because the " + part + " can differ in each run"
}

// uuids returns a subject of Bitbucket.
func uuids(parts ...string) string { return "{" + strings.Join(parts, "}:{") + "}" }

func buildkiteSub(ref, commit, step string) string {
	return "organization:acme:pipeline:app:ref:" + ref + ":commit:" + commit + ":step:" + step
}

func buildkiteWider(ref, commit string) []string {
	const pipeline = "organization:acme:pipeline:"
	return []string{
		buildkiteSub(ref, commit, "*"),
		pipeline + "app:ref:" + ref + ":commit:*",
		pipeline + "app:ref:*",
		pipeline + "*",
	}
}

func circleWider(user string) []string {
	const projects = "org/" + org + "/project/"
	origins := projects + project + "/user/" + user + "/vcs-origin/"
	return []string{
		origins + "github.com/acme/app/vcs-ref/*",
		origins + "*",
		projects + project + "/user/*",
		projects + "*",
	}
}

// TestMinimalPolicyWithoutOwner checks the caveat for a token whose claims do not identify an
// owner.
func TestMinimalPolicyWithoutOwner(t *testing.T) {
	claims := gh("job_workflow_ref:acme/ci/.github/workflows/x.yml@refs/heads/main")
	s, err := MinimalPolicy(Request{Role: role, Claims: claims})
	if err != nil || s.Caveat != "it admits jobs of any repository that can call this workflow" {
		t.Errorf("%+v, %v", s, err)
	}
}

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
