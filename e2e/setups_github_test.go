package e2e

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// TestSetupGitHubActions runs examples/github-actions with a role from a secret.
func TestSetupGitHubActions(t *testing.T) {
	t.Parallel()
	e := newExample(t, "github-actions")
	e.runAWSCommands("What to set")
	r, err := e.github("push.yml", emulator.GitHubJob{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(e.server.Calls(), func(c emulator.Call) bool {
		return c.Service == "oidc" && c.Detail == "sts.amazonaws.com"
	}) {
		t.Errorf(
			"no request for a token with the audience sts.amazonaws.com:\n%s",
			strings.Join(formatCalls(e.server), "\n"),
		)
	}
	r.pullPushed(nil, registry+"/app:"+commit)
	r.requireCredHelpers(registry)
	r.requireNoAWSKeys()
	for subject, job := range map[string]emulator.GitHubJob{
		"repo:acme/app:ref:refs/heads/feature":            {Ref: "refs/heads/feature"},
		"repo:acme/app:pull_request":                      {Event: "pull_request", Ref: "refs/pull/7/merge"},
		"repo:acme/app:environment:production":            {Environment: "production"},
		"repo:acme@123456/app@456789:ref:refs/heads/main": {ImmutableSubject: true},
		"repo:acme-evil/app:ref:refs/heads/main":          {Repository: "acme-evil/app"},
	} {
		_, err := e.github("push.yml", job)
		e.requireRefusal(
			err,
			"AWS refused role app-push in 123456789012",
			`for "`+subject+`"`,
			`aud "sts.amazonaws.com"`,
			"AccessDenied",
		)
	}
}

// TestSetupGitHubActionsSeveralRepositories runs examples/github-actions with two repositories of
// one registry, each with a role that may push only there.
func TestSetupGitHubActionsSeveralRepositories(t *testing.T) {
	t.Parallel()
	e := newExample(t, "github-actions")
	e.runAWSCommands("What to set")
	const (
		file       = "several-repositories.yml"
		staging    = registry + "/app-staging:" + commit
		production = registry + "/app-production:" + commit
	)
	r, err := e.github(file, emulator.GitHubJob{})
	if err != nil {
		t.Fatal(err)
	}
	web := "AssumeRoleWithWebIdentity arn:aws:iam::123456789012:role/"
	wantRoles := []string{web + "app-staging-push", web + "app-production-push"}
	if got := e.assumedRoles(); !slices.Equal(got, wantRoles) {
		t.Errorf("assumed %q, want %q", got, wantRoles)
	}
	want := map[string]string{
		"123456789012/app-staging":    "123456789012/app-staging-push",
		"123456789012/app-production": "123456789012/app-production-push",
	}
	if got := e.callers(); !maps.Equal(got, want) {
		t.Errorf("pushed to as %q, want %q", got, want)
	}
	asStaging, asProduction := r.stepEnv(file, "app-staging-push"), r.stepEnv(file, "app-production-push")
	r.requireCredHelpers(registry)
	r.requireNoAWSKeys()

	// Alternating, from the cache: each repository needs the password of its own role, because the registry
	// refuses that of the other role.
	e.server.ResetCalls()
	for range 2 {
		for tag, env := range map[string]map[string]string{staging: asStaging, production: asProduction} {
			if err := r.exec(env, "docker", "push", tag); err != nil {
				t.Error(err)
			}
			if err := r.exec(env, "docker", "pull", tag); err != nil {
				t.Error(err)
			}
		}
	}
	pushed, pulled := r.digests("pushed"), r.digests("pulled")
	if !maps.Equal(pushed, pulled) || len(pulled) != 2 {
		t.Errorf("pushed %q, pulled %q", pushed, pulled)
	}
	if got := e.callers(); !maps.Equal(got, want) || len(e.assumedRoles()) != 0 {
		t.Errorf("pushed to as %q, want %q; assumed %q again", got, want, e.assumedRoles())
	}
	for _, tt := range []struct {
		env        map[string]string
		role, name string
	}{
		{asStaging, "app-staging-push", "app-production"},
		{asProduction, "app-production-push", "app-staging"},
	} {
		tag := registry + "/" + tt.name + ":" + commit
		e.requireRefusal(r.exec(tt.env, "docker", "push", tag), "403 Forbidden")
		e.requireRefusal(
			r.exec(tt.env, "docker", "pull", tag),
			"assumed-role/"+tt.role+"/",
			"is not authorized to perform: ecr:BatchGetImage",
			"repository/"+tt.name,
		)
	}
	err = r.exec(nil, "docker", "push", staging)
	e.requireRefusal(err, "no role is configured", "ECR_OIDC_ROLE")
}

// TestSetupGitHubActionsSeveralAccounts runs examples/github-actions with registries in two
// accounts, from one build.
func TestSetupGitHubActionsSeveralAccounts(t *testing.T) {
	t.Parallel()
	e := newExample(t, "github-actions")
	e.runAWSCommands("What to set")
	r, err := e.github("several-accounts.yml", emulator.GitHubJob{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"123456789012/app": "123456789012/app-push",
		"210987654321/app": "210987654321/app-release",
	}
	if got := e.callers(); !maps.Equal(got, want) {
		t.Errorf("pushed to as %q, want %q", got, want)
	}
	r.pullPushed(nil, registry+"/app:"+commit, second+"/app:"+commit)
	if got := len(e.assumedRoles()); got != 2 {
		t.Errorf("assumed %q, want each role once", e.assumedRoles())
	}
	r.requireCredHelpers(registry, second)
	r.requireNoAWSKeys()
	_, err = e.github("several-accounts.yml", emulator.GitHubJob{Ref: "refs/heads/feature"})
	e.requireRefusal(
		err,
		"AWS refused role app-push in 123456789012",
		`for "repo:acme/app:ref:refs/heads/feature"`,
	)
}

// TestSetupGitHubTerraform runs examples/github-terraform: the result of the Terraform module, and
// the workflow of its README.
func TestSetupGitHubTerraform(t *testing.T) {
	t.Parallel()
	e := newExample(t, "github-terraform")
	e.applyTerraform("sts.amazonaws.com")
	// main pushes a commit, and a tag releases it. The image tags are immutable, so that they differ.
	for _, tt := range []struct{ ref, tag string }{
		{"refs/heads/main", commit},
		{"refs/tags/v1.2.3", "v1.2.3"},
	} {
		r, err := e.github("push.yml", emulator.GitHubJob{Ref: tt.ref})
		if err != nil {
			t.Fatal(err)
		}
		r.pullPushed(nil, registry+"/app:"+tt.tag)
		r.requireCredHelpers(registry)
		r.requireNoAWSKeys()
		e.rerun("push.yml", emulator.GitHubJob{Ref: tt.ref}, tt.tag)
	}
	for subject, job := range map[string]emulator.GitHubJob{
		"repo:acme/app:ref:refs/heads/v1":               {Ref: "refs/heads/v1"},
		"repo:acme/app:ref:refs/tags/nightly":           {Ref: "refs/tags/nightly"},
		"repo:acme/app:pull_request":                    {Event: "pull_request"},
		"repo:acme@123456/app@456789:ref:refs/tags/v1":  {Ref: "refs/tags/v1", ImmutableSubject: true},
		"repo:acme/app-evil:ref:refs/heads/main":        {Repository: "acme/app-evil"},
		"repo:acme/app:environment:refs/heads/main":     {Environment: "refs/heads/main"},
		"repo:acme/app:ref:refs/heads/main-but-another": {Ref: "refs/heads/main-but-another"},
	} {
		_, err := e.github("push.yml", job)
		e.requireRefusal(
			err,
			"AWS refused role app-push in 123456789012",
			`for "`+subject+`"`,
			"AccessDenied",
		)
	}
}

// rerun runs a job again that has pushed. Its push is refused with the error that terraform/README.md
// quotes, unless the tags are mutable.
func (e *example) rerun(file string, job emulator.GitHubJob, tag string) {
	e.t.Helper()
	quoted := regexp.MustCompile("`tag invalid: ([^`]*)…([^`]*)`").FindStringSubmatch(
		strings.ReplaceAll(e.read("../terraform/README.md"), "\n", " "),
	)
	if quoted == nil {
		e.t.Fatal("terraform/README.md does not quote the error of a re-run")
	}
	_, err := e.github(file, job)
	e.requireRefusal(err, "TAG_INVALID", quoted[1]+tag+quoted[2])
	e.server.SetImmutableTags(emulator.Account, emulator.Region, "app", false)
	if _, err := e.github(file, job); err != nil {
		e.t.Errorf("with mutable tags: %v", err)
	}
	e.server.SetImmutableTags(emulator.Account, emulator.Region, "app", true)
}
