package e2e

import (
	"io/fs"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

const (
	githubProvider    = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
	circleProvider    = "arn:aws:iam::123456789012:oidc-provider/oidc.circleci.com/org/" + emulator.CircleOrg
	gitlabProvider    = "arn:aws:iam::123456789012:oidc-provider/gitlab.com"
	buildkiteProvider = "arn:aws:iam::123456789012:oidc-provider/agent.buildkite.com"
	appRepository     = "arn:aws:ecr:eu-west-2:123456789012:repository/app"
	reusable          = "acme/gh-actions/.github/workflows/build-and-push.yaml@refs/heads/main"
)

// inputs are the variables of the module, in JSON's types.
type inputs map[string]any

func trustsGitHub(repository ...map[string]any) inputs {
	return inputs{"github": repository, "github_provider_arn": githubProvider}
}

func trustsCircle(project map[string]any) inputs {
	all := map[string]any{"organization_id": emulator.CircleOrg, "project_id": emulator.CircleProject, "repository": "github.com/acme/app"}
	maps.Copy(all, project)
	return inputs{"circleci": []any{all}, "circleci_provider_arn": circleProvider}
}

// rendering says what each policy in examples/ was rendered from.
var rendering = []struct {
	trust, push string // files below examples/
	in          inputs
	repository  string // appRepository
}{
	{trust: "github-actions/trust-policy.json", push: "github-actions/push-policy.json",
		in: trustsGitHub(map[string]any{"repository": "acme/app", "branches": []string{"main"}})},
	{push: "github-actions/push-policy.staging.json", repository: appRepository + "-staging"},
	{push: "github-actions/push-policy.production.json", repository: appRepository + "-production"},
	{trust: "github-actions/trust-policy.210987654321.json", push: "github-actions/push-policy.210987654321.json",
		in: inputs{"github": []any{map[string]any{"repository": "acme/app", "branches": []string{"main"}}},
			"github_provider_arn": strings.Replace(githubProvider, "123456789012", "210987654321", 1)},
		repository: "arn:aws:ecr:eu-west-2:210987654321:repository/app"},
	{trust: "circleci/trust-policy.json", push: "circleci/push-policy.json", in: trustsCircle(map[string]any{"branches": []string{"main"}})},
	{trust: "github-terraform/trust-policy.json", push: "github-terraform/push-policy.json",
		in: trustsGitHub(map[string]any{"repository": "acme/app", "branches": []string{"main"}, "tags": []string{"v*"}})},
	{trust: "circleci-access-keys/trust-policy.json", push: "circleci-access-keys/push-policy.json",
		in: inputs{"principals": []string{"arn:aws:iam::123456789012:user/circleci"}}},
	{trust: "circleci-access-keys/trust-policy.both.json",
		in: merged(trustsCircle(map[string]any{"branches": []string{"main"}}), inputs{"principals": []string{"arn:aws:iam::123456789012:user/circleci"}})},
	{trust: "circleci-access-keys/trust-policy.oidc.json", in: trustsCircle(map[string]any{"branches": []string{"main"}})},
	{trust: "bootstrap-multi-platform/trust-policy.json", push: "bootstrap-multi-platform/push-policy.json",
		in: trustsGitHub(map[string]any{"repository": "acme/app", "owner_id": "123456", "repository_id": "456789", "branches": []string{"main"}})},
	{trust: "reusable-workflow/trust-policy.json", push: "reusable-workflow/push-policy.json", repository: "arn:aws:ecr:eu-west-2:123456789012:repository/acme/*",
		in: inputs{"github_provider_arn": githubProvider,
			"github_subjects": []string{"repo:acme/*:*:job_workflow_ref:" + reusable, "repo:acme@123456/*:*:job_workflow_ref:" + reusable}}},
	{trust: "reusable-workflow/trust-policy.claim.json",
		in: trustsGitHub(map[string]any{"repository": "acme/*", "reusable_workflows": []string{reusable}},
			map[string]any{"repository": "acme/*", "owner_id": "123456", "reusable_workflows": []string{reusable}})},
	{trust: "gitlab/trust-policy.json", push: "gitlab/push-policy.json",
		in: inputs{"subjects": []any{map[string]any{"provider_arn": gitlabProvider, "audience": "sts.amazonaws.com",
			"subjects": []string{"project_path:acme/app:ref_type:branch:ref:main"}}}}},
	{trust: "buildkite/trust-policy.json", push: "buildkite/push-policy.json",
		in: inputs{"subjects": []any{map[string]any{"provider_arn": buildkiteProvider, "audience": "sts.amazonaws.com",
			"subjects": []string{"organization:acme:pipeline:app:ref:refs/heads/main:commit:*:step:*"}}}}},
}

func merged(all ...inputs) inputs {
	sum := inputs{}
	for _, in := range all {
		maps.Copy(sum, in)
	}
	return sum
}

// TestEveryPolicyIsRendered checks that the table contains every policy.
func TestEveryPolicyIsRendered(t *testing.T) {
	t.Parallel()
	known := map[string]bool{"reusable-workflow/subject.json": true} // GitHub's
	for _, c := range rendering {
		known[c.trust], known[c.push] = true, true
	}
	err := filepath.WalkDir(examples, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(examples, path)
		if name = filepath.ToSlash(name); err == nil && filepath.Ext(name) == ".json" && !strings.Contains(name, ".terraform/") && !known[name] {
			t.Errorf("nothing renders %s", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
