package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// TestSetupBootstrapMultiPlatform runs examples/bootstrap-multi-platform: a role for main only, and
// an image for two platforms.
func TestSetupBootstrapMultiPlatform(t *testing.T) {
	t.Parallel()
	e := newExample(t, "bootstrap-multi-platform")
	e.terraform("sts.amazonaws.com")
	for _, name := range []string{"AWS_REGION", "GHA_DEFAULT_ROLE_ARN", "ECR_REPO_URL"} {
		if !strings.Contains(e.read("main.tf"), `output "`+name+`"`) {
			t.Errorf("main.tf has no output %s", name)
		}
	}
	r, err := e.github("build.yml", emulator.GitHubJob{ImmutableSubject: true})
	if err != nil {
		t.Fatal(err)
	}
	r.pullBack(nil, registry+"/app:sha-"+commit)
	for _, platform := range []string{"linux/amd64", "linux/arm64"} {
		if len(r.printed("platform")[platform]) == 0 {
			t.Errorf("the index has no %s:\n%s", platform, r.out.String())
		}
	}
	r.onlyHelpers(registry)
	r.keyless()
	e.rerun("build.yml", emulator.GitHubJob{ImmutableSubject: true}, "sha-"+commit)
	for subject, job := range map[string]emulator.GitHubJob{
		"repo:acme@123456/app@456789:ref:refs/heads/feature": {Ref: "refs/heads/feature", ImmutableSubject: true},
		"repo:acme@123456/app@456789:pull_request":           {Event: "pull_request", ImmutableSubject: true},
		"repo:acme/app:ref:refs/heads/main":                  {}, // somebody else's, of the same name: that has no ids, or others
		"repo:acme@123456/app@999:ref:refs/heads/main":       {ImmutableSubject: true, Claims: map[string]any{"repository_id": "999"}},
	} {
		_, err := e.github("build.yml", job)
		e.refusedFor(err, "AWS refused role gha-app in 123456789012", `for "`+subject+`"`, "AccessDenied")
	}
}

// TestSetupReusableWorkflow runs examples/reusable-workflow: any repository of acme may push,
// through one workflow on its main branch.
func TestSetupReusableWorkflow(t *testing.T) {
	t.Parallel()
	e := newExample(t, "reusable-workflow")
	e.aws("What to set")
	var subject struct {
		UseDefault bool     `yaml:"use_default"`
		Keys       []string `yaml:"include_claim_keys"`
	}
	loadYAML(t, filepath.Join(e.dir, "subject.json"), &subject)
	if subject.UseDefault || len(subject.Keys) == 0 {
		t.Fatalf("subject.json customises nothing: %+v", subject)
	}
	const main = "acme/gh-actions/.github/workflows/build-and-push.yaml@refs/heads/main"
	const feature = "acme/gh-actions/.github/workflows/build-and-push.yaml@refs/heads/feature"
	try := func(keys []string) {
		t.Helper()
		for _, job := range []emulator.GitHubJob{
			{}, {Ref: "refs/heads/any"}, {Repository: "acme/web"}, {ImmutableSubject: true}, {Environment: "production"},
		} {
			job.SubjectClaims = keys
			r, err := e.github("caller.yml", job)
			if err != nil {
				t.Error(err)
				continue
			}
			r.pullBack(nil, registry+"/"+r.env["GITHUB_REPOSITORY"]+":"+commit)
			r.onlyHelpers(registry)
			r.keyless()
		}
		for _, tt := range []struct {
			job  emulator.GitHubJob
			want string // in the subject
		}{
			{emulator.GitHubJob{ReusableWorkflow: feature}, "repo:acme/app:ref:refs/heads/main"},
			{emulator.GitHubJob{ReusableWorkflow: feature, ImmutableSubject: true}, "repo:acme@123456/app@456789:ref:refs/heads/main"},
			{emulator.GitHubJob{ReusableWorkflow: "acme/app/.github/workflows/own.yml@refs/heads/main"}, "repo:acme/app:ref:refs/heads/main"},
			{emulator.GitHubJob{Repository: "acme-evil/app"}, "repo:acme-evil/app:ref:refs/heads/main"},
			{emulator.GitHubJob{ImmutableSubject: true, Claims: map[string]any{"repository_owner_id": "999"}}, "repo:acme@999/app@456789:ref:refs/heads/main"},
		} {
			tt.job.SubjectClaims = keys
			want := `for "` + tt.want
			if keys != nil {
				called := tt.job.ReusableWorkflow
				if called == "" {
					called = main
				}
				want += ":job_workflow_ref:" + called
			}
			_, err := e.github("caller.yml", tt.job)
			e.refusedFor(err, "AWS refused role gha-build-and-push in 123456789012", want+`"`, "AccessDenied")
		}
	}
	try(subject.Keys)
	// A repository whose subject nobody customised.
	_, err := e.github("caller.yml", emulator.GitHubJob{})
	e.refusedFor(err, `for "repo:acme/app:ref:refs/heads/main"`, "AccessDenied")

	// The claim in place of the customised subject: with and without that.
	e.aws("Without customised subjects")
	try(nil)
	try(subject.Keys)
}
