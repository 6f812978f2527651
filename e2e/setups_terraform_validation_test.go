//go:build clients

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

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
	messages := map[string]string{}
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
			messages[name] += " " + strings.Join(strings.Fields(strings.ReplaceAll(report, "│", " ")), " ")
			delete(calls, name)
		}
	}
	for i, c := range cases {
		if got := messages[fmt.Sprintf("case%d", i)]; !strings.Contains(got, c.want) {
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
