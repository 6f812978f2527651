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
		e.aws("What to set")
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
				t.Fatalf("before_script installed nothing: %v\n%s", err, r.out.String())
			}
			return r, r.shell(nil, strings.Join(job.Script, "\n"))
		}
		r, err := push(emulator.GitLabJob{})
		if err != nil {
			t.Fatal(err)
		}
		r.pullBack(nil, tag)
		r.onlyHelpers(registry)
		_, err = push(emulator.GitLabJob{Ref: "refs/heads/feature"})
		e.refusedFor(err, `for "project_path:acme/app:ref_type:branch:ref:feature"`, "AccessDenied")
		_, err = push(emulator.GitLabJob{Project: "acme-evil/app"})
		e.refusedFor(err, `for "project_path:acme-evil/app:ref_type:branch:ref:main"`, "AccessDenied")
	})
	t.Run("buildkite", func(t *testing.T) {
		t.Parallel()
		e := newExample(t, "buildkite")
		e.aws("What to set")
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
			return r, r.shell(nil, strings.ReplaceAll(pipeline.Steps[0].Command, "$$", "$")) // "pipeline upload" makes one of two
		}
		r, err := push(emulator.BuildkiteJob{Step: "image"})
		if err != nil {
			t.Fatal(err)
		}
		r.pullBack(nil, tag)
		r.onlyHelpers(registry)
		_, err = push(emulator.BuildkiteJob{Ref: "refs/heads/feature"})
		e.refusedFor(err, `for "organization:acme:pipeline:app:ref:refs/heads/feature:commit:`, "AccessDenied")
		_, err = push(emulator.BuildkiteJob{Organization: "acme-evil"})
		e.refusedFor(err, `for "organization:acme-evil:pipeline:app:`, "AccessDenied")
	})
}

// install makes what a before_script needs to install the helper into a folder of the job's, which is on its PATH in place
// of the one that the example names: wget, which has the script of the released version's tag, and a release with the binary
// under test. The program of the same name that the other examples use is not on that PATH.
func (r *exampleJob) install(named, bin string) map[string]string {
	r.t.Helper()
	if named != "/usr/local/bin" {
		r.t.Fatalf("it is installed into %q, which may not be on the PATH of docker:29", named)
	}
	script := installScript(r.t)
	tools, stubs := toolbox(r.t, "bash", "cat", "curl", "docker", sums), r.t.TempDir()
	stub(r.t, stubs, "wget", `case "$*" in
"-qO- https://raw.githubusercontent.com/ecr-oidc/`+program+`/v`+released+`/install.sh") exec cat '`+script+`' ;;
esac
echo "wget: $*: 404" >&2
exit 8`)
	files, _ := realRelease()
	r.env["PATH"] = strings.Join([]string{bin, stubs, tools}, string(os.PathListSeparator))
	return map[string]string{"ECR_OIDC_INSTALL_DIR": bin, "ECR_OIDC_MIRROR": newShelf(r.t, files).URL, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
}
