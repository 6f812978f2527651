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
	for _, dir := range []string{"github-terraform", "bootstrap-multi-platform"} {
		b, err := os.ReadFile(filepath.Join(examples, dir, "main.tf"))
		if err != nil {
			t.Fatal(err)
		}
		github := regexp.MustCompile(`(?ms)^  github += \[\{.*?^  \}\]$`).Find(b)
		if github == nil {
			t.Fatalf("%s/main.tf has no github", dir)
		}
		fmt.Fprintf(
			&own,
			"module %q {\n  source = %q\n  github_provider_arn = %q\n  repository_arns = [%q]\n%s\n}\n"+
				"output %[1]q {\n  value = { trust = module.%[1]s.trust_policy }\n}\n",
			dir,
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
	for _, dir := range []string{"github-terraform", "bootstrap-multi-platform"} {
		sameJSON(t, dir+"/trust-policy.json", all[dir].Trust)
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
