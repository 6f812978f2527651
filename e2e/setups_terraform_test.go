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

// Terraform takes half a minute of processor time, so its tests belong to the second tier. The step terraform of .ci/run runs them:
//
//	go test -tags clients -run '^TestTerraform' ./e2e
//
// In all of these but the last Terraform renders documents from examples/terraform/policies, which has no provider: nothing
// is downloaded, and nobody is asked.

// rendered are its outputs.
type rendered struct{ Trust, Push, Pull string }

// A renderer is a folder with one module call.
type renderer struct {
	t         *testing.T
	dir       string
	terraform string
	config    string // of Terraform's command line; none: it downloads nothing, since nothing needs a provider
}

func newRenderer(t *testing.T) *renderer {
	t.Helper()
	terraform, err := exec.LookPath("terraform")
	if err != nil {
		t.Skip("terraform is not installed here; the documents that it renders lie in examples/ and are tested as they are")
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
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + r.dir, "SystemRoot=" + os.Getenv("SystemRoot"), "TMPDIR=" + r.dir,
		"TF_CLI_CONFIG_FILE=" + config, "CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1", "NO_COLOR=1"}
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

// write makes a configuration of these module calls.
func (r *renderer) write(calls map[string]inputs) {
	r.t.Helper()
	modules, outputs := map[string]any{}, map[string]any{}
	for name, in := range calls {
		call := maps.Clone(in)
		call["source"] = r.source()
		modules[name] = call
		outputs[name] = map[string]any{"value": map[string]string{
			"trust": "${module." + name + ".trust_policy}", "push": "${module." + name + ".push_policy}", "pull": "${module." + name + ".pull_policy}"}}
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

// render returns the documents of each call.
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
	for i, c := range rendering {
		repository := c.repository
		if repository == "" {
			repository = appRepository
		}
		calls[fmt.Sprintf("case%d", i)] = merged(inputs{"principals": []string{"arn:aws:iam::123456789012:user/nobody"}}, inputs{"repository_arns": []string{repository}}, c.in)
		if c.in != nil && c.in["principals"] == nil {
			delete(calls[fmt.Sprintf("case%d", i)], "principals")
		}
	}
	// And what the examples' own Terraform gives the module for GitHub is what the table has.
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
		fmt.Fprintf(&own, "module %q {\n  source = %q\n  github_provider_arn = %q\n  repository_arns = [%q]\n%s\n}\noutput %[1]q {\n  value = { trust = module.%[1]s.trust_policy }\n}\n",
			folder, r.source(), githubProvider, appRepository, github)
	}
	if err := os.WriteFile(filepath.Join(r.dir, "own.tf"), []byte(own.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	all := r.render(calls)
	for _, folder := range []string{"github-terraform", "bootstrap-multi-platform"} {
		sameJSON(t, folder+"/trust-policy.json", all[folder].Trust)
	}
	for i, c := range rendering {
		got := all[fmt.Sprintf("case%d", i)]
		for file, document := range map[string]string{c.trust: got.Trust, c.push: got.Push} {
			if file != "" {
				sameJSON(t, file, document)
			}
		}
	}
}

// sameJSON compares a file below examples/ with a document, whatever their spaces and the order of their keys.
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
		t.Errorf("%s is not what Terraform renders:\n%s", file, document)
	}
}

// An identity is a job that asks for the role, and its subject, or a part of it.
type identity struct {
	sub string
	env func(*emulator.Server) map[string]string
}

func gh(sub string, j emulator.GitHubJob) identity {
	return identity{sub, func(w *emulator.Server) map[string]string { return w.GitHubRealHost(j) }}
}

func cc(sub string, j emulator.CircleJob) identity {
	return identity{sub, func(w *emulator.Server) map[string]string { return w.Circle(j) }}
}

// TestTerraformPoliciesLetIn evaluates the rendered policies. The right jobs push and pull with the
// program under test, and the errors of the others name their own subject.
func TestTerraformPoliciesLetIn(t *testing.T) {
	t.Parallel()
	needBash(t)
	r := newRenderer(t)
	called := func(ref string) string { return "acme/gh-actions/.github/workflows/build-and-push.yaml@" + ref }
	main := gh("repo:acme/app:ref:refs/heads/main", emulator.GitHubJob{})
	feature := gh("repo:acme/app:ref:refs/heads/feature", emulator.GitHubJob{Ref: "refs/heads/feature"})
	pull := gh("repo:acme/app:pull_request", emulator.GitHubJob{Event: "pull_request"})
	tag := gh("repo:acme/app:ref:refs/tags/v1", emulator.GitHubJob{Ref: "refs/tags/v1"})
	production := gh("repo:acme/app:environment:production", emulator.GitHubJob{Environment: "production"})
	evil := gh("repo:acme-evil/app:ref:refs/heads/main", emulator.GitHubJob{Repository: "acme-evil/app"})
	immutable := gh("repo:acme@123456/app@456789:ref:refs/heads/main", emulator.GitHubJob{ImmutableSubject: true})
	web := gh("repo:acme/web:ref:refs/heads/main", emulator.GitHubJob{Repository: "acme/web"})
	cases := []struct {
		name     string
		in       inputs
		admitted []identity
		refused  []identity
	}{
		{"branch", trustsGitHub(map[string]any{"repository": "acme/app", "branches": []string{"main"}}),
			[]identity{main}, []identity{feature, pull, tag, production, evil, immutable, web}},
		{"branches by a pattern", trustsGitHub(map[string]any{"repository": "acme/app", "branches": []string{"main", "release/*"}}),
			[]identity{main, gh("", emulator.GitHubJob{Ref: "refs/heads/release/1"})}, []identity{feature, tag, pull}},
		{"tags", trustsGitHub(map[string]any{"repository": "acme/app", "tags": []string{"v*"}}),
			[]identity{tag}, []identity{main, gh("repo:acme/app:ref:refs/heads/v1", emulator.GitHubJob{Ref: "refs/heads/v1"})}},
		{"environment", trustsGitHub(map[string]any{"repository": "acme/app", "environments": []string{"production", "a:b"}}),
			[]identity{production, gh("", emulator.GitHubJob{Environment: "a:b"})}, []identity{main, gh("repo:acme/app:environment:a", emulator.GitHubJob{Environment: "a"})}},
		{"pull requests", merged(trustsGitHub(map[string]any{"repository": "acme/app", "pull_requests": true}), inputs{"permissions": "pull"}),
			[]identity{pull}, []identity{main, gh("repo:acme-evil/app:pull_request", emulator.GitHubJob{Repository: "acme-evil/app", Event: "pull_request"})}},
		{"several repositories", trustsGitHub(map[string]any{"repository": "acme/app", "branches": []string{"main"}}, map[string]any{"repository": "acme/web", "tags": []string{"v*"}}),
			[]identity{main, gh("", emulator.GitHubJob{Repository: "acme/web", Ref: "refs/tags/v1"})}, []identity{web, tag}},
		{"immutable", trustsGitHub(map[string]any{"repository": "acme/app", "owner_id": "123456", "repository_id": "456789", "branches": []string{"main"}}),
			[]identity{immutable}, []identity{main, gh("repo:acme@123456/app@1:", emulator.GitHubJob{ImmutableSubject: true, Claims: map[string]any{"repository_id": "1"}})}},
		{"everything of a repository", inputs{"github_provider_arn": githubProvider, "github_subjects": []string{"repo:acme/app:*"}},
			[]identity{main, feature, pull, tag, production}, []identity{evil, web, immutable}},
		{"customised", inputs{"github_provider_arn": githubProvider, "github_subjects": []string{"repository_owner:acme:environment:production"}},
			[]identity{gh("", emulator.GitHubJob{Environment: "production", SubjectClaims: []string{"repository_owner", "environment"}})},
			[]identity{production, gh("repository_owner:acme-evil:environment:production", emulator.GitHubJob{Repository: "acme-evil/app", Environment: "production", SubjectClaims: []string{"repository_owner", "environment"}})}},
		{"reusable workflow of one repository and branch", trustsGitHub(map[string]any{"repository": "acme/app", "branches": []string{"main"}, "reusable_workflows": []string{called("refs/tags/v*")}}),
			[]identity{gh("", emulator.GitHubJob{ReusableWorkflow: called("refs/tags/v1")})},
			[]identity{main, gh("repo:acme/app:ref:refs/heads/main", emulator.GitHubJob{ReusableWorkflow: called("refs/heads/v1")}),
				gh("repo:acme/app:ref:refs/heads/feature", emulator.GitHubJob{Ref: "refs/heads/feature", ReusableWorkflow: called("refs/tags/v1")})}},
		{"reusable workflow at a commit", trustsGitHub(map[string]any{"repository": "acme/*", "reusable_workflows": []string{called(commit)}}),
			[]identity{gh("", emulator.GitHubJob{Ref: "refs/heads/any", ReusableWorkflow: called(commit)})},
			[]identity{main, gh("repo:acme/app:ref:refs/heads/main", emulator.GitHubJob{ReusableWorkflow: called(strings.Repeat("0", 40))})}},
		{"circleci branch and tag", trustsCircle(map[string]any{"branches": []string{"main"}, "tags": []string{"v*"}}),
			[]identity{cc("", emulator.CircleJob{}), cc("", emulator.CircleJob{Ref: "refs/tags/v1", User: "00000000-0000-0000-0000-000000000000"})},
			[]identity{cc("/vcs-ref/refs/heads/feature", emulator.CircleJob{Ref: "refs/heads/feature"}),
				cc("/vcs-origin/github.com/acme/web/", emulator.CircleJob{Repo: "acme/web"}),
				cc("/vcs-ref/refs/heads/x/vcs-origin/", emulator.CircleJob{Ref: "refs/heads/x/vcs-origin/github.com/acme/app/vcs-ref/refs/heads/main"})}},
		{"another audience", merged(trustsGitHub(map[string]any{"repository": "acme/app", "branches": []string{"main"}}), inputs{"github_audience": "sts.amazonaws.com.cn"}),
			[]identity{{env: func(w *emulator.Server) map[string]string {
				env := w.GitHubRealHost(emulator.GitHubJob{})
				env["ECR_OIDC_AUDIENCE"] = "sts.amazonaws.com.cn"
				return env
			}}}, []identity{main}},
		{"both, while moving", merged(trustsGitHub(map[string]any{"repository": "acme/app", "branches": []string{"main"}}), trustsCircle(map[string]any{"branches": []string{"main"}})),
			[]identity{main, cc("", emulator.CircleJob{})}, []identity{feature, cc("/refs/heads/feature", emulator.CircleJob{Ref: "refs/heads/feature"})}},
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
			for _, m := range regexp.MustCompile(`arn:aws:iam::(\d+):oidc-provider/([^"]+)`).FindAllStringSubmatch(policies.Trust, -1) {
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
				j.pullBack(nil, image)
			}
			for _, id := range c.refused {
				e.refusedFor(as(id).exec(nil, "docker", "pull", image), "AWS refused role rendered in 123456789012", id.sub, "AccessDenied")
			}
			// With the other policy the role pulls, and pushes nothing.
			e.setRole(emulator.Role{ARN: arn, Trust: policies.Trust, Policy: policies.Pull})
			j := as(c.admitted[0])
			if err := j.exec(nil, "docker", "pull", image); err != nil {
				t.Error(err)
			}
			e.refusedFor(j.shell(nil, "echo 'FROM another' >Dockerfile && docker build --push -t "+registry+"/app:2 ."), "is not authorized to perform: ecr:InitiateLayerUpload")
		})
	}
}

// TestTerraformRefuses checks that variables that would admit strangers are refused before there is
// a plan, whatever else is set.
func TestTerraformRefuses(t *testing.T) {
	t.Parallel()
	r := newRenderer(t)
	subjects := func(subjects ...string) inputs {
		return inputs{"github_provider_arn": githubProvider, "github_subjects": subjects}
	}
	other := func(provider, audience string, subjects ...string) inputs {
		subjects = append([]string{}, subjects...) // not null
		return inputs{"subjects": []any{map[string]any{"provider_arn": provider, "audience": audience, "subjects": subjects}}}
	}
	atRef := func(ref string) inputs {
		return trustsGitHub(map[string]any{"repository": "acme/*", "reusable_workflows": []string{"acme/gh/.github/workflows/a.yaml@" + ref}})
	}
	pulls := trustsGitHub(map[string]any{"repository": "acme/app", "branches": []string{"main"}}, map[string]any{"repository": "acme/web", "pull_requests": true})
	const owner, strangers, open, reviewed = "wildcards", "lets in repositories of strangers", "A reusable workflow is", "what nobody has reviewed could push"
	cases := []struct {
		name string
		in   inputs
		want string
	}{
		{"nobody", inputs{}, "Nobody would be let in"},
		{"no provider", inputs{"github": []any{map[string]any{"repository": "acme/app", "branches": []string{"main"}}}}, "need github_provider_arn"},
		{"a provider that is none", inputs{"github_provider_arn": "token.actions.githubusercontent.com"}, "github_provider_arn is arn:"},
		{"nothing of a repository", trustsGitHub(map[string]any{"repository": "acme/app"}), "Say what of the repository is let in"},
		{"a misspelt key", trustsGitHub(map[string]any{"repository": "acme/app", "branch": []string{"main"}}), "Say what of the repository is let in"},
		{"an empty branch", trustsGitHub(map[string]any{"repository": "acme/app", "branches": []string{""}}), "names nothing"},
		{"any owner", trustsGitHub(map[string]any{"repository": "*/app", "branches": []string{"main"}}), owner},
		{"an owner's beginning", trustsGitHub(map[string]any{"repository": "ac*/app", "branches": []string{"main"}}), owner},
		{"any repository", trustsGitHub(map[string]any{"repository": "*", "branches": []string{"main"}}), owner},
		{"all of an owner", trustsGitHub(map[string]any{"repository": "acme/*", "branches": []string{"main"}}), "name the repositories"},
		{"a name's beginning", trustsGitHub(map[string]any{"repository": "acme/ap*", "branches": []string{"main"}}), owner},
		{"half of the ids", trustsGitHub(map[string]any{"repository": "acme/app", "owner_id": "1", "branches": []string{"main"}}), "go together"},
		{"an id that is none", trustsGitHub(map[string]any{"repository": "acme/app", "owner_id": "*", "repository_id": "1", "branches": []string{"main"}}), "are numbers"},
		{"a workflow without ref", trustsGitHub(map[string]any{"repository": "acme/*", "reusable_workflows": []string{"acme/gh/.github/workflows/a.yaml"}}), "A reusable workflow is"},
		{"a workflow at any ref", trustsGitHub(map[string]any{"repository": "acme/*", "reusable_workflows": []string{"acme/gh/.github/workflows/a.yaml@*"}}), "A reusable workflow is"},
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
		{"any workflow", trustsGitHub(map[string]any{"repository": "acme/*", "reusable_workflows": []string{"*@refs/heads/main"}}), "A reusable workflow is"},
		{"subject: anything", subjects("*"), strangers},
		{"subject: any repository", subjects("repo:*"), strangers},
		{"subject: any owner", subjects("repo:*/app:ref:refs/heads/main"), strangers},
		{"subject: an owner's beginning", subjects("repo:acme*"), strangers},
		{"subject: an owner's beginning, one letter", subjects("repo:acm?/app:*"), strangers},
		{"subject: any id", subjects("repo:acme@*/app@1:*"), strangers},
		{"subject: no owner", subjects("environment:production"), strangers},
		{"subject: anyone who calls a workflow", subjects("job_workflow_ref:acme/gh/.github/workflows/a.yaml@refs/heads/main"), strangers},
		{"subject: an owner behind a wildcard", subjects("*:repo:acme/app:ref:refs/heads/main"), strangers},
		{"subject: one good, one bad", subjects("repo:acme/app:*", "repo:*"), strangers},
		{"subject: an owner's beginning, by another claim", subjects("repository_owner:acme*"), strangers},
		{"any audience", merged(subjects("repo:acme/app:*"), inputs{"github_audience": "*"}), "github_audience is one audience"},
		{"other: GitHub by the back door", other(githubProvider, "sts.amazonaws.com", "repo:*"), "go into github_subjects"},
		{"other: no subject", other(gitlabProvider, "sts.amazonaws.com"), "anyone with a token"},
		{"other: any audience", other(gitlabProvider, "*", "project_path:acme/app:*"), "anyone with a token"},
		{"other: anything", other(gitlabProvider, "sts.amazonaws.com", "*"), "names its organisation"},
		{"other: any project", other(gitlabProvider, "sts.amazonaws.com", "project_path:*"), "names its organisation"},
		{"other: a group's beginning", other(gitlabProvider, "sts.amazonaws.com", "project_path:ac*/app:ref_type:branch:ref:main"), "names its organisation"},
		{"other: any organisation", other(buildkiteProvider, "sts.amazonaws.com", "organization:*:pipeline:app:*"), "names its organisation"},
		{"circleci: nothing of a project", trustsCircle(nil), "Say what of the project is let in"},
		{"circleci: any project", trustsCircle(map[string]any{"project_id": "*", "branches": []string{"main"}}), "are UUIDs"},
		{"circleci: any repository", trustsCircle(map[string]any{"repository": "github.com/acme/*", "branches": []string{"main"}}), "without wildcards"},
		{"circleci: another organisation's provider", merged(trustsCircle(map[string]any{"branches": []string{"main"}}),
			inputs{"circleci_provider_arn": "arn:aws:iam::123456789012:oidc-provider/oidc.circleci.com/org/11111111-2222-4333-8444-555555555555"}), "an issuer of its own"},
		{"any principal", inputs{"principals": []string{"*"}}, "the ARN of one user or one role"},
		{"a whole account", inputs{"principals": []string{"arn:aws:iam::123456789012:root"}}, "the ARN of one user or one role"},
		{"any repository of ECR", inputs{"principals": []string{"arn:aws:iam::123456789012:user/a"}, "repository_arns": []string{"*"}}, "only NAME may end in a wildcard"},
		{"no repository of ECR", inputs{"principals": []string{"arn:aws:iam::123456789012:user/a"}, "repository_arns": []string{}}, "The role has no repository"},
		{"pull requests that push", merged(pulls, inputs{"permissions": "push"}), reviewed},
		{"pull requests that push, by default", pulls, reviewed},
		{"permissions that there are not", merged(pulls, inputs{"permissions": "all"}), "permissions is push or pull"},
	}
	calls := map[string]inputs{}
	for i, c := range cases {
		calls[fmt.Sprintf("case%d", i)] = merged(inputs{"repository_arns": []string{appRepository}}, c.in)
	}
	said := map[string]string{}
	for range 2 { // it looks at outputs when all variables are good, so those calls are for a second plan
		r.write(calls)
		out, err := r.run("plan", "-input=false", "-no-color", "-lock=false")
		if err == nil {
			t.Fatalf("all of it is planned:\n%s", out)
		}
		// Every error is reported, each with the call that it is about.
		for _, report := range strings.Split(out, "\nError: ")[1:] {
			name := regexp.MustCompile(`\bcase\d+\b`).FindString(report)
			said[name] += " " + strings.Join(strings.Fields(strings.ReplaceAll(report, "│", " ")), " ") // it breaks its lines
			delete(calls, name)
		}
	}
	for i, c := range cases {
		if got := said[fmt.Sprintf("case%d", i)]; !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want a refusal that says %q", c.name, got, c.want)
		}
	}
}

// TestTerraformModule checks the variables of the module around the policies, and that it passes on
// those of the policies. The AWS provider plans it without a request.
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
	r.config = fmt.Sprintf("provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", filepath.ToSlash(mirror))
	source, err := filepath.Abs(filepath.Join(examples, "terraform"))
	if err != nil {
		t.Fatal(err)
	}
	call := func(name, more string) string {
		return fmt.Sprintf("module %q {\n  source = %q\n  role_name = %[1]q\n  %[3]s\n}\n", name, filepath.ToSlash(source), more)
	}
	plan := func(calls string) (string, error) {
		t.Helper()
		text := "provider \"aws\" {\n  region = \"eu-west-2\"\n  access_key = \"testing\"\n  secret_key = \"testing\"\n" +
			"  skip_credentials_validation = true\n  skip_requesting_account_id = true\n  skip_metadata_api_check = true\n}\n"
		if err := os.WriteFile(filepath.Join(r.dir, "main.tf"), []byte(text+calls), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := r.run("init", "-input=false", "-no-color"); err != nil {
			t.Fatalf("terraform init: %v\n%s", err, out)
		}
		out, err := r.run("plan", "-input=false", "-no-color", "-lock=false")
		return strings.Join(strings.Fields(strings.ReplaceAll(out, "│", " ")), " "), err
	}
	const main, pulls = `github = [{ repository = "acme/app", branches = ["main"] }]`, `github = [{ repository = "acme/app", pull_requests = true }]`
	const app = "\n  repositories = [\"app\"]\n"
	for name, tt := range map[string]struct{ in, want string }{
		"mutability":    {main + app + `image_tag_mutability = "immutable"`, "image_tag_mutability is IMMUTABLE or MUTABLE"},
		"permissions":   {main + app + `permissions = "all"`, "permissions is push or pull"},
		"no-repository": {main, "The role has no repository"},
		"pull-requests": {pulls + app, "what nobody has reviewed could push"},
	} {
		if out, err := plan(call(name, tt.in)); err == nil || !strings.Contains(out, tt.want) {
			t.Errorf("%s: %v, want a refusal that says %q:\n%s", name, err, tt.want, out)
		}
	}
	out, err := plan(call("defaultHost", main+app) + call("reader", pulls+`
  repositories           = ["web"]
  permissions            = "pull"
  image_tag_mutability   = "MUTABLE"
  create_github_provider = false
  github_provider_arn    = module.defaultHost.github_provider_arn`))
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{`+ image_tag_mutability = "IMMUTABLE" + name = "app"`, `+ image_tag_mutability = "MUTABLE" + name = "web"`, `+ name = "ecr-pull"`} {
		if !strings.Contains(out, want) {
			t.Errorf("the plan has no %s:\n%s", want, out)
		}
	}
}
