//go:build clients

package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// An identity is a job that assumes the role, and its subject or a part of it.
type identity struct {
	sub string
	env func(*emulator.Server) map[string]string
}

// gh returns the identity of a GitHub job.
func gh(sub string, j emulator.GitHubJob) identity {
	return identity{sub, func(w *emulator.Server) map[string]string { return w.GitHubRealHost(j) }}
}

// cc returns the identity of a CircleCI job.
func cc(sub string, j emulator.CircleJob) identity {
	return identity{sub, func(w *emulator.Server) map[string]string { return w.Circle(j) }}
}

// TestTerraformPoliciesAdmit evaluates the rendered policies. The right jobs push and pull with the
// program under test, and the errors of the others name their own subject.
func TestTerraformPoliciesAdmit(t *testing.T) {
	t.Parallel()
	requireBash(t)
	r := newRenderer(t)
	called := func(ref string) string {
		return "acme/gh-actions/.github/workflows/build-and-push.yaml@" + ref
	}
	main := gh("repo:acme/app:ref:refs/heads/main", emulator.GitHubJob{})
	feature := gh("repo:acme/app:ref:refs/heads/feature", emulator.GitHubJob{Ref: "refs/heads/feature"})
	pull := gh("repo:acme/app:pull_request", emulator.GitHubJob{Event: "pull_request"})
	tag := gh("repo:acme/app:ref:refs/tags/v1", emulator.GitHubJob{Ref: "refs/tags/v1"})
	production := gh("repo:acme/app:environment:production", emulator.GitHubJob{Environment: "production"})
	evil := gh("repo:acme-evil/app:ref:refs/heads/main", emulator.GitHubJob{Repository: "acme-evil/app"})
	immutable := gh(
		"repo:acme@123456/app@456789:ref:refs/heads/main",
		emulator.GitHubJob{ImmutableSubject: true},
	)
	web := gh("repo:acme/web:ref:refs/heads/main", emulator.GitHubJob{Repository: "acme/web"})
	cases := []struct {
		name     string
		in       inputs
		admitted []identity
		refused  []identity
	}{
		{
			name:     "branch",
			in:       trustsGitHub(map[string]any{"repository": "acme/app", "branches": []string{"main"}}),
			admitted: []identity{main},
			refused:  []identity{feature, pull, tag, production, evil, immutable, web},
		},
		{
			name: "branches by a pattern",
			in: trustsGitHub(map[string]any{
				"repository": "acme/app",
				"branches":   []string{"main", "release/*"},
			}),
			admitted: []identity{main, gh("", emulator.GitHubJob{Ref: "refs/heads/release/1"})},
			refused:  []identity{feature, tag, pull},
		},
		{
			name:     "tags",
			in:       trustsGitHub(map[string]any{"repository": "acme/app", "tags": []string{"v*"}}),
			admitted: []identity{tag},
			refused: []identity{
				main,
				gh("repo:acme/app:ref:refs/heads/v1", emulator.GitHubJob{Ref: "refs/heads/v1"}),
			},
		},
		{
			name: "environment",
			in: trustsGitHub(map[string]any{
				"repository":   "acme/app",
				"environments": []string{"production", "a:b"},
			}),
			admitted: []identity{production, gh("", emulator.GitHubJob{Environment: "a:b"})},
			refused: []identity{
				main,
				gh("repo:acme/app:environment:a", emulator.GitHubJob{Environment: "a"}),
			},
		},
		{
			name: "pull requests",
			in: merged(
				trustsGitHub(map[string]any{"repository": "acme/app", "pull_requests": true}),
				inputs{"permissions": "pull"},
			),
			admitted: []identity{pull},
			refused: []identity{
				main,
				gh(
					"repo:acme-evil/app:pull_request",
					emulator.GitHubJob{Repository: "acme-evil/app", Event: "pull_request"},
				),
			},
		},
		{
			name: "several repositories",
			in: trustsGitHub(
				map[string]any{"repository": "acme/app", "branches": []string{"main"}},
				map[string]any{"repository": "acme/web", "tags": []string{"v*"}},
			),
			admitted: []identity{
				main,
				gh("", emulator.GitHubJob{Repository: "acme/web", Ref: "refs/tags/v1"}),
			},
			refused: []identity{web, tag},
		},
		{
			name: "immutable",
			in: trustsGitHub(map[string]any{
				"repository":    "acme/app",
				"owner_id":      "123456",
				"repository_id": "456789",
				"branches":      []string{"main"},
			}),
			admitted: []identity{immutable},
			refused: []identity{
				main,
				gh(
					"repo:acme@123456/app@1:",
					emulator.GitHubJob{ImmutableSubject: true, Claims: map[string]any{"repository_id": "1"}},
				),
			},
		},
		{
			name: "all subjects of a repository",
			in: inputs{
				"github_provider_arn": githubProvider,
				"github_subjects":     []string{"repo:acme/app:*"},
			},
			admitted: []identity{main, feature, pull, tag, production},
			refused:  []identity{evil, web, immutable},
		},
		{
			name: "custom subject",
			in: inputs{
				"github_provider_arn": githubProvider,
				"github_subjects":     []string{"repository_owner:acme:environment:production"},
			},
			admitted: []identity{
				gh("", emulator.GitHubJob{
					Environment:   "production",
					SubjectClaims: []string{"repository_owner", "environment"},
				}),
			},
			refused: []identity{
				production,
				gh("repository_owner:acme-evil:environment:production", emulator.GitHubJob{
					Repository:    "acme-evil/app",
					Environment:   "production",
					SubjectClaims: []string{"repository_owner", "environment"},
				}),
			},
		},
		{
			name: "reusable workflow of one repository and branch",
			in: trustsGitHub(map[string]any{
				"repository":         "acme/app",
				"branches":           []string{"main"},
				"reusable_workflows": []string{called("refs/tags/v*")},
			}),
			admitted: []identity{gh("", emulator.GitHubJob{ReusableWorkflow: called("refs/tags/v1")})},
			refused: []identity{
				main,
				gh(
					"repo:acme/app:ref:refs/heads/main",
					emulator.GitHubJob{ReusableWorkflow: called("refs/heads/v1")},
				),
				gh(
					"repo:acme/app:ref:refs/heads/feature",
					emulator.GitHubJob{Ref: "refs/heads/feature", ReusableWorkflow: called("refs/tags/v1")},
				),
			},
		},
		{
			name: "reusable workflow at a commit",
			in: trustsGitHub(map[string]any{
				"repository":         "acme/*",
				"reusable_workflows": []string{called(commit)},
			}),
			admitted: []identity{
				gh("", emulator.GitHubJob{Ref: "refs/heads/any", ReusableWorkflow: called(commit)}),
			},
			refused: []identity{
				main,
				gh(
					"repo:acme/app:ref:refs/heads/main",
					emulator.GitHubJob{ReusableWorkflow: called(strings.Repeat("0", 40))},
				),
			},
		},
		{
			name: "circleci branch and tag",
			in:   trustsCircle(map[string]any{"branches": []string{"main"}, "tags": []string{"v*"}}),
			admitted: []identity{
				cc("", emulator.CircleJob{}),
				cc("", emulator.CircleJob{Ref: "refs/tags/v1", User: "00000000-0000-0000-0000-000000000000"}),
			},
			refused: []identity{
				cc("/vcs-ref/refs/heads/feature", emulator.CircleJob{Ref: "refs/heads/feature"}),
				cc("/vcs-origin/github.com/acme/web/", emulator.CircleJob{Repo: "acme/web"}),
				cc("/vcs-ref/refs/heads/x/vcs-origin/", emulator.CircleJob{
					Ref: "refs/heads/x/vcs-origin/github.com/acme/app/vcs-ref/refs/heads/main",
				}),
			},
		},
		{
			name: "another audience",
			in: merged(
				trustsGitHub(map[string]any{"repository": "acme/app", "branches": []string{"main"}}),
				inputs{"github_audience": "sts.amazonaws.com.cn"},
			),
			admitted: []identity{{env: func(w *emulator.Server) map[string]string {
				env := w.GitHubRealHost(emulator.GitHubJob{})
				env["ECR_OIDC_AUDIENCE"] = "sts.amazonaws.com.cn"
				return env
			}}},
			refused: []identity{main},
		},
		{
			name: "both, during a migration",
			in: merged(
				trustsGitHub(map[string]any{"repository": "acme/app", "branches": []string{"main"}}),
				trustsCircle(map[string]any{"branches": []string{"main"}}),
			),
			admitted: []identity{main, cc("", emulator.CircleJob{})},
			refused: []identity{
				feature,
				cc("/refs/heads/feature", emulator.CircleJob{Ref: "refs/heads/feature"}),
			},
		},
	}
	calls := map[string]inputs{}
	for i, c := range cases {
		calls[fmt.Sprintf("case%d", i)] = merged(c.in, inputs{"repository_arns": []string{appRepository}})
	}
	all := r.render(calls)
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, err := emulator.Start(emulator.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(w.Close)
			policies := all[fmt.Sprintf("case%d", i)]
			providers := regexp.MustCompile(`arn:aws:iam::(\d+):oidc-provider/([^"]+)`)
			for _, m := range providers.FindAllStringSubmatch(policies.Trust, -1) {
				w.AddProvider(m[1], m[2], "sts.amazonaws.com", "sts.amazonaws.com.cn", emulator.CircleOrg)
			}
			const arn, image = "arn:aws:iam::123456789012:role/rendered", registry + "/app:1"
			e := &example{t: t, server: w, roles: map[string]emulator.Role{}}
			as := func(id identity) *exampleJob {
				j := e.job(id.env(w))
				j.env["ECR_OIDC_ROLE"] = arn
				if err := j.checkout(); err != nil {
					t.Fatal(err)
				}
				if err := j.exec(nil, program, "configure", registry); err != nil {
					t.Fatal(err)
				}
				return j
			}
			e.setRole(emulator.Role{ARN: arn, Trust: policies.Trust, Policy: policies.Push})
			for _, id := range c.admitted {
				j := as(id)
				if err := j.shell(nil, "docker build --push -t "+image+" ."); err != nil {
					t.Error(err)
					continue
				}
				j.pullPushed(nil, image)
			}
			for _, id := range c.refused {
				e.requireRefusal(
					as(id).exec(nil, "docker", "pull", image),
					"AWS refused role rendered in 123456789012",
					id.sub,
					"AccessDenied",
				)
			}
			// With the pull policy, the role can pull and cannot push.
			e.setRole(emulator.Role{ARN: arn, Trust: policies.Trust, Policy: policies.Pull})
			j := as(c.admitted[0])
			if err := j.exec(nil, "docker", "pull", image); err != nil {
				t.Error(err)
			}
			e.requireRefusal(
				j.shell(
					nil,
					"echo 'FROM another' >Dockerfile && docker build --push -t "+registry+"/app:2 .",
				),
				"is not authorized to perform: ecr:InitiateLayerUpload",
			)
		})
	}
}
