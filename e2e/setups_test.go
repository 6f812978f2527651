package e2e

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// The tests of setups run the directories of examples/ without changes. A job pushes and pulls an image
// with the roles that the README creates. AWS refuses other jobs, and the error contains their subject.
const (
	registry = "123456789012.dkr.ecr.eu-west-2.amazonaws.com"
	second   = "210987654321.dkr.ecr.eu-west-2.amazonaws.com"
	commit   = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
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
			strings.Join(lines(e.server), "\n"),
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

// TestSetupCircleCI runs examples/circleci with a role from the variables of the project and the
// token of the job.
func TestSetupCircleCI(t *testing.T) {
	t.Parallel()
	e := newExample(t, "circleci")
	e.runAWSCommands("What to set")
	job := circleIDs(t, e.read("trust-policy.json"))
	const tag = registry + "/app:" + commit
	command := func(r *exampleJob) { r.addCircleciCommand(job) }
	push := func(
		what string, env map[string]string, before ...func(*exampleJob),
	) (r *exampleJob, calls string) {
		t.Helper()
		e.server.ResetCalls()
		r, err := e.circleci("config.yml", env, before...)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		got := e.assumedRoles()
		want := []string{"AssumeRoleWithWebIdentity arn:aws:iam::123456789012:role/app-push"}
		if !slices.Equal(got, want) {
			t.Errorf("%s: assumed %q, want %q", what, got, want)
		}
		calls = r.circleciCalls()
		r.pullPushed(nil, tag)
		r.requireCredHelpers(registry)
		return r, calls
	}
	with := func(env map[string]string, name, value string) map[string]string {
		env[name] = value
		return env
	}

	r, calls := push("the job's token", e.server.Circle(job), command)
	r.requireNoAWSKeys()
	if calls != "" {
		t.Errorf("a valid token was renewed: %s", calls)
	}
	// The keys that the last step of the migration deletes are not used.
	push(
		"leftover keys",
		with(
			with(e.server.Circle(job), "AWS_ACCESS_KEY_ID", emulator.AccessKeyID),
			"AWS_SECRET_ACCESS_KEY",
			emulator.SecretAccessKey,
		),
	)

	old := job
	old.Expired = true
	for what, env := range map[string]map[string]string{
		"expired": e.server.Circle(old),
		"empty":   with(e.server.Circle(job), "CIRCLE_OIDC_TOKEN_V2", ""),
	} {
		if _, got := push(what, env, command); got != `run oidc get --claims {"aud":"`+job.Org+`"}` {
			t.Errorf("%s: circleci ran with %q", what, got)
		}
	}
	_, err := e.circleci("config.yml", e.server.Circle(old))
	e.requireRefusal(err, "AWS refused role app-push", "ExpiredTokenException", "`circleci run oidc get`")
	_, err = e.circleci("config.yml", with(e.server.Circle(job), "CIRCLE_OIDC_TOKEN_V2", ""))
	e.requireRefusal(err, "finding the CircleCI job's OIDC token: CIRCLE_OIDC_TOKEN_V2 is set but empty")
	_, err = e.circleci("config.yml", with(e.server.Circle(job), "ECR_ROLE_TO_ASSUME", ""))
	e.requireRefusal(err, "no role is configured; set ECR_OIDC_ROLE")

	sub := "org/" + job.Org + "/project/" + job.Project + "/user/"
	for end, other := range map[string]emulator.CircleJob{
		"/vcs-origin/github.com/acme/app/vcs-ref/refs/heads/feature": {
			Org:     job.Org,
			Project: job.Project,
			Ref:     "refs/heads/feature",
		},
		"/vcs-origin/github.com/acme/web/vcs-ref/refs/heads/main": {
			Org:     job.Org,
			Project: job.Project,
			Repo:    "acme/web",
		},
		// A branch whose name ends with the subject of main.
		"/vcs-ref/refs/heads/x/vcs-origin/github.com/acme/app/vcs-ref/refs/heads/main": {
			Org:     job.Org,
			Project: job.Project,
			Ref:     "refs/heads/x/vcs-origin/github.com/acme/app/vcs-ref/refs/heads/main",
		},
	} {
		_, err := e.circleci("config.yml", e.server.Circle(other))
		e.requireRefusal(
			err,
			"AWS refused role app-push in 123456789012 (from ECR_ROLE_TO_ASSUME)",
			`for "`+sub,
			end+`"`,
			"AccessDenied",
		)
	}
	_, err = e.circleci(
		"config.yml",
		e.server.Circle(emulator.CircleJob{Org: job.Org, Project: "11111111-2222-4333-8444-555555555555"}),
	)
	e.requireRefusal(err, "/project/11111111-2222-4333-8444-555555555555/", "AccessDenied")
}

// TestSetupOrbExample runs orb/src/examples/push_job.yml for one commit after the other, also with
// immutable tags.
func TestSetupOrbExample(t *testing.T) {
	t.Parallel()
	e := newExample(t, "circleci")
	e.runAWSCommands("What to set")
	job := circleIDs(t, e.read("trust-policy.json"))
	var published struct{ Usage map[string]any }
	loadYAML(t, "../orb/src/examples/push_job.yml", &published)
	b, err := yaml.Marshal(published.Usage)
	if err != nil {
		t.Fatal(err)
	}
	e.dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(e.dir, "config.yml"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	e.server.SetImmutableTags(emulator.Account, emulator.Region, "app", true)
	for _, sha := range []string{commit, strings.Repeat("1", 40)} {
		r, err := e.circleci("config.yml", e.server.Circle(job), func(r *exampleJob) {
			r.env["CIRCLE_SHA1"] = sha
		})
		if err != nil {
			t.Fatal(err)
		}
		r.pullPushed(nil, registry+"/app:"+sha)
	}
}

// circleIDs returns the organization and the project that a trust policy admits.
func circleIDs(t *testing.T, trust string) emulator.CircleJob {
	t.Helper()
	m := regexp.MustCompile(`"org/([0-9a-f-]{36})/project/([0-9a-f-]{36})/`).FindStringSubmatch(trust)
	if m == nil {
		t.Fatalf("no CircleCI subject in\n%s", trust)
	}
	return emulator.CircleJob{Org: m[1], Project: m[2]}
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
		e.requireRefusal(err, "AWS refused role app-push in 123456789012", `for "`+subject+`"`, "AccessDenied")
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

// TestSetupCircleCIAccessKeys runs examples/circleci-access-keys: the keys of a user assume the
// role first, then a token does.
func TestSetupCircleCIAccessKeys(t *testing.T) {
	t.Parallel()
	e := newExample(t, "circleci-access-keys")
	e.runAWSCommands("With the keys")
	job := circleIDs(t, e.read("trust-policy.oidc.json"))
	keys := func(id, secret string) map[string]string {
		env := e.server.Circle(job)
		env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"] = id, secret
		return env
	}
	const tag, role = registry + "/app:" + commit, " arn:aws:iam::123456789012:role/app-push"
	push := func(file string, env map[string]string, assumed string) {
		t.Helper()
		e.server.ResetCalls()
		r, err := e.circleci(file, env)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := e.assumedRoles(), []string{assumed + role}; !slices.Equal(got, want) {
			t.Errorf("assumed %q, want %q", got, want)
		}
		if got := e.callers()["123456789012/app"]; got != "123456789012/app-push" {
			t.Errorf("pushed as %s", got)
		}
		r.pullPushed(nil, tag)
		r.requireCredHelpers(registry)
	}
	withKeys := keys(emulator.AccessKeyID, emulator.SecretAccessKey)
	push("config.yml", withKeys, "AssumeRole")

	// The user has no permission for ECR: without the role, it cannot log in.
	_, err := e.circleci("config.yml", withKeys, func(r *exampleJob) { r.env["ECR_ROLE_TO_ASSUME"] = "" })
	e.requireRefusal(
		err,
		"arn:aws:iam::123456789012:user/circleci is not authorized to perform: ecr:GetAuthorizationToken",
	)
	e.server.AddUser(emulator.User{
		ARN:             "arn:aws:iam::123456789012:user/other",
		AccessKeyID:     "AKIAI44QH8DHBEXAMPLE",
		SecretAccessKey: "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY",
	})
	_, err = e.circleci(
		"config.yml",
		keys("AKIAI44QH8DHBEXAMPLE", "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY"),
	)
	e.requireRefusal(
		err,
		"AWS refused role app-push in 123456789012",
		"User: arn:aws:iam::123456789012:user/other is not authorized to perform: sts:AssumeRole",
	)
	// Before the migration, the trust policy does not admit the token.
	_, err = e.circleci("config.oidc.yml", e.server.Circle(job))
	e.requireRefusal(
		err,
		"AWS refused role app-push",
		"vcs-ref/refs/heads/main",
		"No OpenIDConnect provider found",
	)

	steps := e.commands("The way out")
	if len(steps) != 4 {
		t.Fatalf("%d commands in the migration: %q", len(steps), steps)
	}
	e.awsCommand(steps[0])
	e.awsCommand(steps[1]) // both
	push("config.yml", withKeys, "AssumeRole")
	// The keys are still in the project, but are not used.
	push("config.oidc.yml", withKeys, "AssumeRoleWithWebIdentity")
	push("config.oidc.yml", e.server.Circle(job), "AssumeRoleWithWebIdentity")
	e.awsCommand(steps[2]) // OIDC alone
	e.awsCommand(steps[3])
	push("config.oidc.yml", e.server.Circle(job), "AssumeRoleWithWebIdentity")
	_, err = e.circleci("config.yml", withKeys)
	e.requireRefusal(
		err,
		"User: arn:aws:iam::123456789012:user/circleci is not authorized to perform: sts:AssumeRole",
	)
	other := job
	other.Ref = "refs/heads/feature"
	_, err = e.circleci("config.oidc.yml", e.server.Circle(other))
	e.requireRefusal(err, "vcs-ref/refs/heads/feature", "AccessDenied")
}

// TestPushPolicyMinimal checks that each action of the push policy is required: without it, a request of
// the push or the pull is refused.
func TestPushPolicyMinimal(t *testing.T) {
	t.Parallel()
	actions := regexp.MustCompile(`"(ecr:\w+)"`).FindAllStringSubmatch(
		newExample(t, "github-actions").read("push-policy.json"),
		-1,
	)
	if len(actions) != 8 {
		t.Fatalf("%d actions in push-policy.json", len(actions))
	}
	for _, m := range actions {
		e := newExample(t, "github-actions")
		e.runAWSCommands("What to set")
		role := e.role("app-push")
		role.Policy = strings.Replace(role.Policy, m[1], "ecr:DescribeImages", 1)
		e.setRole(role)
		r, err := e.github("push.yml", emulator.GitHubJob{})
		if err == nil {
			err = r.exec(nil, "docker", "pull", registry+"/app:"+commit)
		}
		want := "not authorized to perform: " + m[1]
		if m[1] == "ecr:BatchCheckLayerAvailability" { // the response to a HEAD has no body
			want = "403 Forbidden (HEAD"
		}
		e.requireRefusal(err, want)
	}
}

// TestExamplesReadmes checks that every directory is in the table of examples/README.md and has a
// README, that the links of a README work, and that a README names every file.
func TestExamplesReadmes(t *testing.T) {
	t.Parallel()
	read := func(path ...string) string {
		b, err := os.ReadFile(filepath.Join(path...))
		if err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(string(b), "\r\n", "\n")
	}
	link := regexp.MustCompile(`\]\(([^)#:]+)[^)]*\)`)
	index := read(examples, "README.md")
	directories, err := os.ReadDir(examples)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range directories {
		if !f.IsDir() {
			continue
		}
		if !strings.Contains(index, "["+f.Name()+"]("+f.Name()+")") {
			t.Errorf("examples/README.md does not list %s", f.Name())
		}
		text := read(examples, f.Name(), "README.md")
		if n := strings.Count(text, "\n"); n > 75 {
			t.Errorf("%s/README.md has %d lines; a page is enough", f.Name(), n)
		}
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(examples, f.Name(), m[1])); err != nil {
				t.Errorf("%s/README.md: %v", f.Name(), err)
			}
		}
		files, err := os.ReadDir(filepath.Join(examples, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			name := file.Name()
			if f.Name() != "terraform" && name != "README.md" && !strings.HasPrefix(name, ".terraform") &&
				!strings.Contains(text, name) {
				t.Errorf("%s/README.md does not name %s", f.Name(), name)
			}
		}
	}
	// The modules are pinned to one release: Terraform does not accept a tag that moves, such as v0.
	refs := 0
	err = filepath.WalkDir(examples, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		for _, m := range regexp.MustCompile(`[?]ref=([^"]*)"`).FindAllStringSubmatch(read(path), -1) {
			if refs++; m[1] != "v"+released {
				t.Errorf("%s has the module at %s, want v%s", path, m[1], released)
			}
		}
		return nil
	})
	if err != nil || refs == 0 {
		t.Errorf("%d sources of the module: %v", refs, err)
	}
	if !strings.Contains(index, "@COMMIT # v"+released) || !strings.Contains(index, "'v"+released+"^{}'") {
		t.Error("examples/README.md does not describe how to pin the action")
	}
	// The README of the module explains all variables and outputs.
	module := read(examples, "terraform", "README.md")
	for _, file := range []string{"variables.tf", "outputs.tf"} {
		names := regexp.MustCompile(`(?m)^(?:variable|output) "(\w+)"`)
		for _, m := range names.FindAllStringSubmatch(read(examples, "terraform", file), -1) {
			if !strings.Contains(module, "`"+m[1]+"`") {
				t.Errorf("terraform/README.md does not explain %s", m[1])
			}
		}
	}
}
