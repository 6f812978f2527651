package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// TestSetupReusableWorkflowDoctor checks a job that calls the reusable workflow at a branch and is
// refused. doctor names the condition of the example's trust policy that fails, and the reason.
func TestSetupReusableWorkflowDoctor(t *testing.T) {
	t.Parallel()
	for policy, job := range map[string]emulator.GitHubJob{
		"trust-policy.json":       {SubjectClaims: []string{"repo", "context", "job_workflow_ref"}},
		"trust-policy.claim.json": {},
	} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join("..", "examples", "reusable-workflow", policy)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			j := newJob(t)
			j.setCredHelpers(t, defaultHost)
			const role = "arn:aws:iam::123456789012:role/gha-build-and-push"
			j.server.AddRole(emulator.Role{ARN: role, Trust: string(text)})
			const workflow = "acme/gh-actions/.github/workflows/build-and-push.yaml@refs/heads/"
			doctor := func(ref string) (string, error) {
				job.ReusableWorkflow = workflow + ref
				j.env = withJob(j.env, j.server.GitHub(job))
				j.env["ECR_OIDC_ROLE"] = role
				cmd, stdout, _ := j.command("doctor", "")
				cmd.Args = append(cmd.Args, "--trust-policy", path, defaultHost)
				err := cmd.Run()
				return stdout.String(), err
			}
			if out, err := doctor("main"); err != nil ||
				!strings.Contains(out, "The trust policy admits this token.") {
				t.Errorf("from main: %v\n%s", err, out)
			}
			out, err := doctor("feature")
			want := `✗ the policy trusts this workflow at "refs/heads/main", ` +
				`but this job runs it at "refs/heads/feature"`
			if err == nil || !strings.Contains(out, "AccessDenied") || !strings.Contains(out, want) {
				t.Errorf("from a branch: %v\n%s", err, out)
			}
		})
	}
}
