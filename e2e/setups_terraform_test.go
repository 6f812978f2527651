//go:build clients

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// The tests of Terraform take half a minute of processor time, so that only -tags clients includes them.
// The step terraform of .ci/run runs them:
//
//	go test -tags clients -run '^TestTerraform' ./e2e
//
// All except TestTerraformModule render examples/terraform/policies, which has no provider: Terraform
// downloads nothing and makes no request.

// rendered contains the outputs of examples/terraform/policies.
type rendered struct{ Trust, Push, Pull string }

// A renderer is a directory with a Terraform configuration.
type renderer struct {
	t         *testing.T
	dir       string
	terraform string
	config    string // the CLI configuration; "" for the default
}

func newRenderer(t *testing.T) *renderer {
	t.Helper()
	terraform, err := exec.LookPath("terraform")
	if err != nil {
		t.Skip(
			"terraform is not installed; the policies in examples/ are tested without rendering them",
		)
	}
	return &renderer{t: t, dir: t.TempDir(), terraform: terraform}
}

func (r *renderer) run(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	config := filepath.Join(r.dir, "terraformrc")
	if err := os.WriteFile(config, []byte(r.config), 0o600); err != nil {
		r.t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, r.terraform, args...)
	cmd.Dir = r.dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + r.dir,
		"SystemRoot=" + os.Getenv("SystemRoot"),
		"TMPDIR=" + r.dir,
		"TF_CLI_CONFIG_FILE=" + config,
		"CHECKPOINT_DISABLE=1",
		"TF_IN_AUTOMATION=1",
		"NO_COLOR=1",
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (r *renderer) source() string {
	r.t.Helper()
	source, err := filepath.Abs(filepath.Join(examples, "terraform", "policies"))
	if err != nil {
		r.t.Fatal(err)
	}
	return filepath.ToSlash(source)
}

// write writes a configuration with these module calls, and initializes it.
func (r *renderer) write(calls map[string]inputs) {
	r.t.Helper()
	modules, outputs := map[string]any{}, map[string]any{}
	for name, in := range calls {
		call := maps.Clone(in)
		call["source"] = r.source()
		modules[name] = call
		outputs[name] = map[string]any{"value": map[string]string{
			"trust": "${module." + name + ".trust_policy}",
			"push":  "${module." + name + ".push_policy}",
			"pull":  "${module." + name + ".pull_policy}",
		}}
	}
	b, err := json.Marshal(map[string]any{"module": modules, "output": outputs})
	if err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.dir, "main.tf.json"), b, 0o600); err != nil {
		r.t.Fatal(err)
	}
	if out, err := r.run("init", "-input=false", "-no-color"); err != nil {
		r.t.Fatalf("terraform init: %v\n%s", err, out)
	}
}

// render applies the configuration and returns the policies of each module call.
func (r *renderer) render(calls map[string]inputs) map[string]rendered {
	r.t.Helper()
	r.write(calls)
	if out, err := r.run("apply", "-auto-approve", "-input=false", "-no-color"); err != nil {
		r.t.Fatalf("terraform apply: %v\n%s", err, out)
	}
	out, err := r.run("output", "-json")
	if err != nil {
		r.t.Fatalf("terraform output: %v\n%s", err, out)
	}
	var values map[string]struct{ Value rendered }
	if err := json.Unmarshal([]byte(out), &values); err != nil {
		r.t.Fatal(err)
	}
	all := map[string]rendered{}
	for name, v := range values {
		all[name] = v.Value
	}
	return all
}

// TestTerraformPolicies checks that every policy in examples/ is what Terraform renders.
func TestTerraformPolicies(t *testing.T) {
	t.Parallel()
	r := newRenderer(t)
	calls := map[string]inputs{}
	for i, c := range renderedPolicies {
		repository := c.repository
		if repository == "" {
			repository = appRepository
		}
		calls[fmt.Sprintf("case%d", i)] = merged(
			inputs{"principals": []string{"arn:aws:iam::123456789012:user/admin"}},
			inputs{"repository_arns": []string{repository}},
			c.in,
		)
		if c.in != nil && c.in["principals"] == nil {
			delete(calls[fmt.Sprintf("case%d", i)], "principals")
		}
	}
	// The github variable in main.tf of the examples renders the same policies.
	var own strings.Builder
	for _, folder := range []string{"github-terraform", "bootstrap-multi-platform"} {
		b, err := os.ReadFile(filepath.Join(examples, folder, "main.tf"))
		if err != nil {
			t.Fatal(err)
		}
		github := regexp.MustCompile(`(?ms)^  github += \[\{.*?^  \}\]$`).Find(b)
		if github == nil {
			t.Fatalf("%s/main.tf has no github", folder)
		}
		fmt.Fprintf(
			&own,
			"module %q {\n  source = %q\n  github_provider_arn = %q\n  repository_arns = [%q]\n%s\n}\n"+
				"output %[1]q {\n  value = { trust = module.%[1]s.trust_policy }\n}\n",
			folder,
			r.source(),
			githubProvider,
			appRepository,
			github,
		)
	}
	if err := os.WriteFile(filepath.Join(r.dir, "own.tf"), []byte(own.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	all := r.render(calls)
	for _, folder := range []string{"github-terraform", "bootstrap-multi-platform"} {
		sameJSON(t, folder+"/trust-policy.json", all[folder].Trust)
	}
	for i, c := range renderedPolicies {
		got := all[fmt.Sprintf("case%d", i)]
		for file, document := range map[string]string{c.trust: got.Trust, c.push: got.Push} {
			if file != "" {
				sameJSON(t, file, document)
			}
		}
	}
}

// sameJSON fails the test unless a file below examples/ and a document contain the same JSON value.
func sameJSON(t *testing.T, file, document string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(examples, file))
	if err != nil {
		t.Fatal(err)
	}
	var have, want any
	if err := json.Unmarshal(b, &have); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if err := json.Unmarshal([]byte(document), &want); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if !reflect.DeepEqual(have, want) {
		t.Errorf("%s differs from the rendered policy:\n%s", file, document)
	}
}

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

// TestTerraformValidation checks that Terraform rejects variables that would admit other identities, before
// it makes a plan.
func TestTerraformValidation(t *testing.T) {
	t.Parallel()
	r := newRenderer(t)
	subjects := func(subjects ...string) inputs {
		return inputs{"github_provider_arn": githubProvider, "github_subjects": subjects}
	}
	other := func(provider, audience string, subjects ...string) inputs {
		subjects = append([]string{}, subjects...) // not null
		return inputs{
			"subjects": []any{
				map[string]any{"provider_arn": provider, "audience": audience, "subjects": subjects},
			},
		}
	}
	atRef := func(ref string) inputs {
		return trustsGitHub(map[string]any{
			"repository":         "acme/*",
			"reusable_workflows": []string{"acme/gh/.github/workflows/a.yaml@" + ref},
		})
	}
	pulls := trustsGitHub(
		map[string]any{"repository": "acme/app", "branches": []string{"main"}},
		map[string]any{"repository": "acme/web", "pull_requests": true},
	)
	const (
		owner     = "wildcards"
		strangers = "lets in repositories of strangers"
		open      = "A reusable workflow is"
		reviewed  = "what nobody has reviewed could push"
	)
	cases := []struct {
		name string
		in   inputs
		want string
	}{
		{"no identity", inputs{}, "Nobody would be let in"},
		{
			name: "no provider",
			in: inputs{
				"github": []any{map[string]any{"repository": "acme/app", "branches": []string{"main"}}},
			},
			want: "need github_provider_arn",
		},
		{
			name: "invalid provider ARN",
			in:   inputs{"github_provider_arn": "token.actions.githubusercontent.com"},
			want: "github_provider_arn is arn:",
		},
		{
			name: "repository without a condition",
			in:   trustsGitHub(map[string]any{"repository": "acme/app"}),
			want: "Say what of the repository is let in",
		},
		{
			name: "misspelled key",
			in:   trustsGitHub(map[string]any{"repository": "acme/app", "branch": []string{"main"}}),
			want: "Say what of the repository is let in",
		},
		{
			name: "empty branch",
			in:   trustsGitHub(map[string]any{"repository": "acme/app", "branches": []string{""}}),
			want: "names nothing",
		},
		{
			name: "wildcard owner",
			in:   trustsGitHub(map[string]any{"repository": "*/app", "branches": []string{"main"}}),
			want: owner,
		},
		{
			name: "prefix of an owner",
			in:   trustsGitHub(map[string]any{"repository": "ac*/app", "branches": []string{"main"}}),
			want: owner,
		},
		{
			name: "any repository",
			in:   trustsGitHub(map[string]any{"repository": "*", "branches": []string{"main"}}),
			want: owner,
		},
		{
			name: "all repositories of an owner",
			in:   trustsGitHub(map[string]any{"repository": "acme/*", "branches": []string{"main"}}),
			want: "name the repositories",
		},
		{
			name: "prefix of a name",
			in:   trustsGitHub(map[string]any{"repository": "acme/ap*", "branches": []string{"main"}}),
			want: owner,
		},
		{
			name: "owner_id without repository_id",
			in: trustsGitHub(map[string]any{
				"repository": "acme/app",
				"owner_id":   "1",
				"branches":   []string{"main"},
			}),
			want: "go together",
		},
		{
			name: "invalid id",
			in: trustsGitHub(map[string]any{
				"repository":    "acme/app",
				"owner_id":      "*",
				"repository_id": "1",
				"branches":      []string{"main"},
			}),
			want: "are numbers",
		},
		{
			name: "workflow without ref",
			in: trustsGitHub(map[string]any{
				"repository":         "acme/*",
				"reusable_workflows": []string{"acme/gh/.github/workflows/a.yaml"},
			}),
			want: "A reusable workflow is",
		},
		{
			name: "a workflow at any ref",
			in: trustsGitHub(map[string]any{
				"repository":         "acme/*",
				"reusable_workflows": []string{"acme/gh/.github/workflows/a.yaml@*"},
			}),
			want: "A reusable workflow is",
		},
		{"a workflow at no ref", atRef(""), open},
		{"a workflow at any branch or tag", atRef("refs/*"), open},
		{"a workflow at any branch", atRef("refs/heads/*"), open},
		{"a workflow at any branch with a name", atRef("refs/heads/?*"), open},
		{"a workflow at any tag", atRef("refs/tags/*"), open},
		{"a workflow at a branch or tag of any kind", atRef("refs/h*/main"), open},
		{"a workflow at a pull request", atRef("refs/pull/7/merge"), open},
		{"a workflow at a bare name", atRef("main"), open},
		{"a workflow at a commit's beginning", atRef(commit[:7]), open},
		{"a workflow at commits", atRef(commit[:39] + "*"), open},
		{
			name: "any workflow",
			in: trustsGitHub(map[string]any{
				"repository":         "acme/*",
				"reusable_workflows": []string{"*@refs/heads/main"},
			}),
			want: "A reusable workflow is",
		},
		{"subject: anything", subjects("*"), strangers},
		{"subject: any repository", subjects("repo:*"), strangers},
		{"subject: any owner", subjects("repo:*/app:ref:refs/heads/main"), strangers},
		{"subject: an owner's beginning", subjects("repo:acme*"), strangers},
		{"subject: an owner's beginning, one letter", subjects("repo:acm?/app:*"), strangers},
		{"subject: any id", subjects("repo:acme@*/app@1:*"), strangers},
		{"subject: no owner", subjects("environment:production"), strangers},
		{
			name: "subject: anyone who calls a workflow",
			in:   subjects("job_workflow_ref:acme/gh/.github/workflows/a.yaml@refs/heads/main"),
			want: strangers,
		},
		{"subject: an owner behind a wildcard", subjects("*:repo:acme/app:ref:refs/heads/main"), strangers},
		{"subject: one good, one bad", subjects("repo:acme/app:*", "repo:*"), strangers},
		{"subject: an owner's beginning, by another claim", subjects("repository_owner:acme*"), strangers},
		{
			name: "any audience",
			in:   merged(subjects("repo:acme/app:*"), inputs{"github_audience": "*"}),
			want: "github_audience is one audience",
		},
		{
			name: "other: GitHub as another provider",
			in:   other(githubProvider, "sts.amazonaws.com", "repo:*"),
			want: "go into github_subjects",
		},
		{"other: no subject", other(gitlabProvider, "sts.amazonaws.com"), "anyone with a token"},
		{"other: any audience", other(gitlabProvider, "*", "project_path:acme/app:*"), "anyone with a token"},
		{"other: anything", other(gitlabProvider, "sts.amazonaws.com", "*"), "names its organisation"},
		{
			name: "other: any project",
			in:   other(gitlabProvider, "sts.amazonaws.com", "project_path:*"),
			want: "names its organisation",
		},
		{
			name: "other: a group's beginning",
			in:   other(gitlabProvider, "sts.amazonaws.com", "project_path:ac*/app:ref_type:branch:ref:main"),
			want: "names its organisation",
		},
		{
			name: "other: any organisation",
			in:   other(buildkiteProvider, "sts.amazonaws.com", "organization:*:pipeline:app:*"),
			want: "names its organisation",
		},
		{"circleci: nothing of a project", trustsCircle(nil), "Say what of the project is let in"},
		{
			name: "circleci: any project",
			in:   trustsCircle(map[string]any{"project_id": "*", "branches": []string{"main"}}),
			want: "are UUIDs",
		},
		{
			name: "circleci: any repository",
			in: trustsCircle(map[string]any{
				"repository": "github.com/acme/*",
				"branches":   []string{"main"},
			}),
			want: "without wildcards",
		},
		{
			name: "circleci: another organisation's provider",
			in: merged(
				trustsCircle(map[string]any{"branches": []string{"main"}}),
				inputs{"circleci_provider_arn": "arn:aws:iam::123456789012:oidc-provider/" +
					"oidc.circleci.com/org/11111111-2222-4333-8444-555555555555"},
			),
			want: "an issuer of its own",
		},
		{"any principal", inputs{"principals": []string{"*"}}, "the ARN of one user or one role"},
		{
			name: "root of an account",
			in:   inputs{"principals": []string{"arn:aws:iam::123456789012:root"}},
			want: "the ARN of one user or one role",
		},
		{
			name: "all ECR repositories",
			in: inputs{
				"principals":      []string{"arn:aws:iam::123456789012:user/a"},
				"repository_arns": []string{"*"},
			},
			want: "only NAME may end in a wildcard",
		},
		{
			name: "no ECR repository",
			in: inputs{
				"principals":      []string{"arn:aws:iam::123456789012:user/a"},
				"repository_arns": []string{},
			},
			want: "The role has no repository",
		},
		{"pull requests that push", merged(pulls, inputs{"permissions": "push"}), reviewed},
		{"pull requests that push, by default", pulls, reviewed},
		{
			name: "invalid permissions",
			in:   merged(pulls, inputs{"permissions": "all"}),
			want: "permissions is push or pull",
		},
	}
	calls := map[string]inputs{}
	for i, c := range cases {
		calls[fmt.Sprintf("case%d", i)] = merged(inputs{"repository_arns": []string{appRepository}}, c.in)
	}
	errors := map[string]string{}
	for range 2 { // Terraform checks outputs only if all variables are valid, so that two plans are needed
		r.write(calls)
		out, err := r.run("plan", "-input=false", "-no-color", "-lock=false")
		if err == nil {
			t.Fatalf("terraform plan succeeded:\n%s", out)
		}
		// Terraform reports every error with its module call.
		for _, report := range strings.Split(out, "\nError: ")[1:] {
			name := regexp.MustCompile(`\bcase\d+\b`).FindString(report)
			// Terraform wraps the lines of an error.
			errors[name] += " " + strings.Join(strings.Fields(strings.ReplaceAll(report, "│", " ")), " ")
			delete(calls, name)
		}
	}
	for i, c := range cases {
		if got := errors[fmt.Sprintf("case%d", i)]; !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want an error with %q", c.name, got, c.want)
		}
	}
}

// TestTerraformModule checks the variables of the module in examples/terraform, and that it passes those
// of the policies on. The AWS provider plans it without a request.
func TestTerraformModule(t *testing.T) {
	t.Parallel()
	r := newRenderer(t)
	mirror := os.Getenv("ECR_OIDC_TERRAFORM_MIRROR")
	if mirror == "" {
		mirror = "/opt/tf-plugins"
	}
	if _, err := os.Stat(filepath.Join(mirror, "registry.terraform.io", "hashicorp", "aws")); err != nil {
		t.Skipf("terraform-provider-aws is not in %s (ECR_OIDC_TERRAFORM_MIRROR)", mirror)
	}
	r.config = fmt.Sprintf(
		"provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n",
		filepath.ToSlash(mirror),
	)
	source, err := filepath.Abs(filepath.Join(examples, "terraform"))
	if err != nil {
		t.Fatal(err)
	}
	call := func(name, more string) string {
		return fmt.Sprintf(
			"module %q {\n  source = %q\n  role_name = %[1]q\n  %[3]s\n}\n",
			name,
			filepath.ToSlash(source),
			more,
		)
	}
	plan := func(calls string) (string, error) {
		t.Helper()
		text := "provider \"aws\" {\n  region = \"eu-west-2\"\n  access_key = \"testing\"\n" +
			"  secret_key = \"testing\"\n" +
			"  skip_credentials_validation = true\n  skip_requesting_account_id = true\n" +
			"  skip_metadata_api_check = true\n}\n"
		if err := os.WriteFile(filepath.Join(r.dir, "main.tf"), []byte(text+calls), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := r.run("init", "-input=false", "-no-color"); err != nil {
			t.Fatalf("terraform init: %v\n%s", err, out)
		}
		out, err := r.run("plan", "-input=false", "-no-color", "-lock=false")
		return strings.Join(strings.Fields(strings.ReplaceAll(out, "│", " ")), " "), err
	}
	const (
		main  = `github = [{ repository = "acme/app", branches = ["main"] }]`
		pulls = `github = [{ repository = "acme/app", pull_requests = true }]`
		app   = "\n  repositories = [\"app\"]\n"
	)
	for name, tt := range map[string]struct{ in, want string }{
		"mutability": {
			in:   main + app + `image_tag_mutability = "immutable"`,
			want: "image_tag_mutability is IMMUTABLE or MUTABLE",
		},
		"permissions":   {main + app + `permissions = "all"`, "permissions is push or pull"},
		"no-repository": {main, "The role has no repository"},
		"pull-requests": {pulls + app, "what nobody has reviewed could push"},
	} {
		if out, err := plan(call(name, tt.in)); err == nil || !strings.Contains(out, tt.want) {
			t.Errorf("%s: %v, want an error with %q:\n%s", name, err, tt.want, out)
		}
	}
	out, err := plan(call("writer", main+app) + call("reader", pulls+`
  repositories           = ["web"]
  permissions            = "pull"
  image_tag_mutability   = "MUTABLE"
  create_github_provider = false
  github_provider_arn    = module.writer.github_provider_arn`))
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		`+ image_tag_mutability = "IMMUTABLE" + name = "app"`,
		`+ image_tag_mutability = "MUTABLE" + name = "web"`,
		`+ name = "ecr-pull"`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the plan does not contain %s:\n%s", want, out)
		}
	}
}
