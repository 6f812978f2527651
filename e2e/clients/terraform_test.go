//go:build clients

package clients

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// TestTerraform applies the Terraform examples to moto with the AWS provider. The created policies
// are the documents in the examples, which e2e/setups_test.go uses. A second plan has no changes,
// and destroy removes all resources.
//
// The provider must be in a filesystem mirror in the directory ECR_OIDC_TERRAFORM_MIRROR or
// /opt/tf-plugins.
func TestTerraform(t *testing.T) {
	terraform := need(t, "terraform")
	moto := need(t, "moto_server")
	mirror := os.Getenv("ECR_OIDC_TERRAFORM_MIRROR")
	if mirror == "" {
		mirror = "/opt/tf-plugins"
	}
	if _, err := os.Stat(filepath.Join(mirror, "registry.terraform.io", "hashicorp", "aws")); err != nil {
		skip(t, "terraform-provider-aws", "not in "+mirror)
	}
	const address = "127.0.0.1:5001"
	startServer(t, address, moto, []string{"-H", "127.0.0.1", "-p", "5001"})

	for _, tt := range []struct {
		directory string            // in examples/
		config    string            // main.tf, if the directory does not exist
		documents map[string]string // files in examples/ by the resources that have their content
		providers []string
	}{
		{
			directory: "github-terraform",
			documents: map[string]string{
				"module.app.aws_iam_role.this":       "github-terraform/trust-policy.json",
				"module.app.aws_iam_role_policy.ecr": "github-terraform/push-policy.json",
			},
			providers: []string{"token.actions.githubusercontent.com"},
		},
		{
			directory: "bootstrap-multi-platform",
			documents: map[string]string{
				"module.app.aws_iam_role.this":       "bootstrap-multi-platform/trust-policy.json",
				"module.app.aws_iam_role_policy.ecr": "bootstrap-multi-platform/push-policy.json",
			},
			providers: []string{"token.actions.githubusercontent.com"},
		},
		{
			directory: "several-roles",
			config:    severalRoles,
			documents: map[string]string{
				"module.staging.aws_iam_role.this":          "github-actions/trust-policy.json",
				"module.staging.aws_iam_role_policy.ecr":    "github-actions/push-policy.staging.json",
				"module.production.aws_iam_role.this":       "github-actions/trust-policy.json",
				"module.production.aws_iam_role_policy.ecr": "github-actions/push-policy.production.json",
				"module.circle.aws_iam_role.this":           "circleci/trust-policy.json",
				"module.circle.aws_iam_role_policy.ecr":     "circleci/push-policy.json",
			},
			providers: []string{"oidc.circleci.com/org/" + emulator.CircleOrg,
				"token.actions.githubusercontent.com"},
		},
	} {
		t.Run(tt.directory, func(t *testing.T) {
			dir := t.TempDir()
			check(t, os.CopyFS(dir, os.DirFS("examples")))
			if tt.config != "" {
				check(t, os.Mkdir(filepath.Join(dir, tt.directory), 0o755))
				check(t, os.WriteFile(filepath.Join(dir, tt.directory, "main.tf"), []byte(tt.config), 0o600))
			}
			rc := filepath.Join(dir, "terraformrc")
			content := fmt.Appendf(nil, `provider_installation {
  filesystem_mirror {
    path = %q
  }
}
`, mirror)
			check(t, os.WriteFile(rc, content, 0o600))
			run := func(args ...string) (string, int) {
				t.Helper()
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
				defer cancel()
				cmd := exec.CommandContext(ctx, terraform,
					append([]string{"-chdir=" + filepath.Join(dir, tt.directory)}, args...)...)
				cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TF_CLI_CONFIG_FILE=" + rc,
					"CHECKPOINT_DISABLE=1",
					"AWS_ENDPOINT_URL=http://" + address, "AWS_ACCESS_KEY_ID=testing",
					"AWS_SECRET_ACCESS_KEY=testing", "AWS_EC2_METADATA_DISABLED=true"}
				out, err := cmd.CombinedOutput()
				t.Logf("$ terraform %s [%v]", strings.Join(args, " "), err)
				if cmd.ProcessState == nil {
					t.Fatal(err)
				}
				return string(out), cmd.ProcessState.ExitCode()
			}
			must := func(args ...string) string {
				t.Helper()
				out, code := run(args...)
				if code != 0 {
					t.Fatalf("terraform %s: exit %d\n%s", strings.Join(args, " "), code, out)
				}
				return out
			}
			must("init", "-input=false", "-no-color")
			must("apply", "-auto-approve", "-input=false", "-no-color")
			if out, code := run("plan", "-detailed-exitcode", "-input=false", "-no-color"); code != 0 {
				t.Errorf("a second plan has changes, exit %d:\n%s", code, out)
			}
			created := resources(t, must("show", "-json"))
			for address, file := range tt.documents {
				document := created[address]["assume_role_policy"]
				if document == nil {
					document = created[address]["policy"]
				}
				sameDocument(t, filepath.Join(dir, file), address, document)
			}
			var providers []string
			for address, values := range created {
				switch {
				case strings.Contains(address, ".aws_iam_openid_connect_provider."):
					providers = append(providers, strings.TrimPrefix(values["url"].(string), "https://"))
				case strings.Contains(address, ".aws_ecr_repository."):
					scan, _ := json.Marshal(values["image_scanning_configuration"])
					if values["image_tag_mutability"] != "IMMUTABLE" ||
						string(scan) != `[{"scan_on_push":true}]` ||
						values["repository_url"] != host+"/"+values["name"].(string) {
						t.Errorf("%s is %v", address, values)
					}
				}
			}
			slices.Sort(providers)
			if !slices.Equal(providers, tt.providers) {
				t.Errorf("created the providers %q, want %q", providers, tt.providers)
			}
			must("destroy", "-auto-approve", "-input=false", "-no-color")
			if left := must("state", "list"); left != "" {
				t.Errorf("remaining resources:\n%s", left)
			}
		})
	}
}

// severalRoles creates three roles in one account. The second one uses the provider of the first
// one. The third one is for CircleCI and uses a repository of the first one.
const severalRoles = `
provider "aws" {
  region = "eu-west-2"
}

module "staging" {
  source       = "../terraform"
  role_name    = "app-staging-push"
  repositories = ["app-staging"]
  github       = [{ repository = "acme/app", branches = ["main"] }]
}

module "production" {
  source                 = "../terraform"
  role_name              = "app-production-push"
  repositories           = ["app-production"]
  github                 = [{ repository = "acme/app", branches = ["main"] }]
  create_github_provider = false
  github_provider_arn    = module.staging.github_provider_arn
}

module "circle" {
  source          = "../terraform"
  role_name       = "app-push"
  repository_arns = ["arn:aws:ecr:eu-west-2:123456789012:repository/app"]
  circleci = [{
    organization_id = "` + emulator.CircleOrg + `"
    project_id      = "` + emulator.CircleProject + `"
    repository      = "github.com/acme/app"
    branches        = ["main"]
  }]
}
`

// resources returns the attributes of the resources in a state, by address.
func resources(t *testing.T, state string) map[string]map[string]any {
	t.Helper()
	type module struct {
		Resources []struct {
			Address string
			Values  map[string]any
		}
		Children []json.RawMessage `json:"child_modules"`
	}
	var s struct {
		Values struct {
			Root json.RawMessage `json:"root_module"`
		}
	}
	check(t, json.Unmarshal([]byte(state), &s))
	all := map[string]map[string]any{}
	todo := []json.RawMessage{s.Values.Root}
	for len(todo) > 0 && todo[0] != nil {
		var m module
		check(t, json.Unmarshal(todo[0], &m))
		todo = append(todo[1:], m.Children...)
		for _, r := range m.Resources {
			all[r.Address] = r.Values
		}
	}
	return all
}

// sameDocument checks that a resource has the document of a file.
func sameDocument(t *testing.T, file, address string, document any) {
	t.Helper()
	b, err := os.ReadFile(file)
	check(t, err)
	var have, want any
	check(t, json.Unmarshal(b, &have))
	text, _ := document.(string)
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		t.Errorf("%s has no document: %v", address, err)
	} else if !reflect.DeepEqual(have, want) {
		t.Errorf("%s is not the document of %s:\n%s", file, address, text)
	}
}
