package e2e

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// TestSetupOtherCIs runs examples/gitlab and examples/buildkite.
func TestSetupOtherCIs(t *testing.T) {
	t.Parallel()
	const tag = registry + "/app:" + commit
	t.Run("gitlab", func(t *testing.T) {
		t.Parallel()
		e := newExample(t, "gitlab")
		e.runAWSCommands("What to set")
		var pipeline map[string]struct {
			IDTokens  map[string]struct{ Aud string } `yaml:"id_tokens"`
			Variables map[string]string
			Before    []string `yaml:"before_script"`
			Script    []string
		}
		loadYAML(t, filepath.Join(e.dir, ".gitlab-ci.yml"), &pipeline)
		job := pipeline["image"]
		if len(job.IDTokens) != 1 {
			t.Fatalf("id_tokens: %v", job.IDTokens)
		}
		push := func(j emulator.GitLabJob) (*exampleJob, error) {
			for name, token := range job.IDTokens {
				j.Variable, j.Audience = name, token.Aud
			}
			r := e.job(e.server.GitLab(j))
			maps.Copy(r.env, job.Variables)
			if err := r.checkout(); err != nil {
				t.Fatal(err)
			}
			bin := filepath.Join(r.home, "bin")
			installed := r.install(job.Variables["ECR_OIDC_INSTALL_DIR"], bin)
			if err := r.shell(installed, strings.Join(job.Before, "\n")); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(filepath.Join(bin, program)); err != nil {
				t.Fatalf("before_script did not install the helper: %v\n%s", err, r.out.String())
			}
			return r, r.shell(nil, strings.Join(job.Script, "\n"))
		}
		r, err := push(emulator.GitLabJob{})
		if err != nil {
			t.Fatal(err)
		}
		r.pullPushed(nil, tag)
		r.requireCredHelpers(registry)
		_, err = push(emulator.GitLabJob{Ref: "refs/heads/feature"})
		e.requireRefusal(err, `for "project_path:acme/app:ref_type:branch:ref:feature"`, "AccessDenied")
		_, err = push(emulator.GitLabJob{Project: "acme-evil/app"})
		e.requireRefusal(err, `for "project_path:acme-evil/app:ref_type:branch:ref:main"`, "AccessDenied")
	})
	t.Run("buildkite", func(t *testing.T) {
		t.Parallel()
		e := newExample(t, "buildkite")
		e.runAWSCommands("What to set")
		var pipeline struct {
			Steps []struct {
				Env     map[string]string
				Command string
			}
		}
		loadYAML(t, filepath.Join(e.dir, "pipeline.yml"), &pipeline)
		push := func(j emulator.BuildkiteJob) (*exampleJob, error) {
			r := e.job(e.server.BuildkiteRealHost(j))
			maps.Copy(r.env, pipeline.Steps[0].Env)
			if err := r.checkout(); err != nil {
				t.Fatal(err)
			}
			// "pipeline upload" replaces "$$" with "$".
			return r, r.shell(nil, strings.ReplaceAll(pipeline.Steps[0].Command, "$$", "$"))
		}
		r, err := push(emulator.BuildkiteJob{Step: "image"})
		if err != nil {
			t.Fatal(err)
		}
		r.pullPushed(nil, tag)
		r.requireCredHelpers(registry)
		_, err = push(emulator.BuildkiteJob{Ref: "refs/heads/feature"})
		e.requireRefusal(
			err,
			`for "organization:acme:pipeline:app:ref:refs/heads/feature:commit:`,
			"AccessDenied",
		)
		_, err = push(emulator.BuildkiteJob{Organization: "acme-evil"})
		e.requireRefusal(err, `for "organization:acme-evil:pipeline:app:`, "AccessDenied")
	})
}

// install prepares the installation by a before_script: it puts a wget on PATH that returns install.sh
// at the tag of the released version, and starts a mirror with the binary under test. The helper is
// installed into bin, which replaces the directory that the example names. The helper of the other
// examples is not on PATH.
func (r *exampleJob) install(named, bin string) map[string]string {
	r.t.Helper()
	if named != "/usr/local/bin" {
		r.t.Fatalf("the example installs into %q, which may not be on the PATH of docker:29", named)
	}
	script := installScript(r.t)
	tools, stubs := newToolDir(r.t, "bash", "cat", "curl", "docker", checksumTool), r.t.TempDir()
	stub(r.t, stubs, "wget", `case "$*" in
"-qO- https://raw.githubusercontent.com/ecr-oidc/`+program+`/v`+released+`/install.sh")
	exec cat '`+script+`' ;;
esac
echo "wget: $*: 404" >&2
exit 8`)
	files, _ := realRelease()
	r.env["PATH"] = strings.Join([]string{bin, stubs, tools}, string(os.PathListSeparator))
	return map[string]string{
		"ECR_OIDC_INSTALL_DIR": bin,
		"ECR_OIDC_MIRROR":      newMirror(r.t, files).URL,
		"NO_PROXY":             "127.0.0.1",
		"no_proxy":             "127.0.0.1",
	}
}
