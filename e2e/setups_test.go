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

// The setups of examples/, each run as it stands there, by its own name. A job's image is pushed and pulled back with the
// roles that its README makes; somebody else's job is refused, in words that have its own subject.

const (
	registry = "123456789012.dkr.ecr.eu-west-2.amazonaws.com"
	second   = "210987654321.dkr.ecr.eu-west-2.amazonaws.com"
	commit   = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
)

// TestSetupGitHubActions runs examples/github-actions with a role from a secret.
func TestSetupGitHubActions(t *testing.T) {
	t.Parallel()
	e := newExample(t, "github-actions")
	e.aws("What to set")
	r, err := e.github("push.yml", emulator.GitHubJob{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(e.server.Calls(), func(c emulator.Call) bool { return c.Service == "oidc" && c.Detail == "sts.amazonaws.com" }) {
		t.Errorf("no token was asked for with the audience sts.amazonaws.com:\n%s", strings.Join(formatCalls(e.server), "\n"))
	}
	r.pullBack(nil, registry+"/app:"+commit)
	r.onlyHelpers(registry)
	r.keyless()
	for subject, job := range map[string]emulator.GitHubJob{
		"repo:acme/app:ref:refs/heads/feature":            {Ref: "refs/heads/feature"},
		"repo:acme/app:pull_request":                      {Event: "pull_request", Ref: "refs/pull/7/merge"},
		"repo:acme/app:environment:production":            {Environment: "production"},
		"repo:acme@123456/app@456789:ref:refs/heads/main": {ImmutableSubject: true},
		"repo:acme-evil/app:ref:refs/heads/main":          {Repository: "acme-evil/app"},
	} {
		_, err := e.github("push.yml", job)
		e.refusedFor(err, "AWS refused role app-push in 123456789012", `for "`+subject+`"`, `aud "sts.amazonaws.com"`, "AccessDenied")
	}
}

// TestSetupGitHubActionsSeveralRepositories runs examples/github-actions with two repositories of
// one registry, each with a role that may push only there.
func TestSetupGitHubActionsSeveralRepositories(t *testing.T) {
	t.Parallel()
	e := newExample(t, "github-actions")
	e.aws("What to set")
	const file, staging, production = "several-repositories.yml", registry + "/app-staging:" + commit, registry + "/app-production:" + commit
	r, err := e.github(file, emulator.GitHubJob{})
	if err != nil {
		t.Fatal(err)
	}
	web := "AssumeRoleWithWebIdentity arn:aws:iam::123456789012:role/"
	if got, want := e.assumed(), []string{web + "app-staging-push", web + "app-production-push"}; !slices.Equal(got, want) {
		t.Errorf("assumed %q, want %q", got, want)
	}
	want := map[string]string{"123456789012/app-staging": "123456789012/app-staging-push", "123456789012/app-production": "123456789012/app-production-push"}
	if got := e.callers(); !maps.Equal(got, want) {
		t.Errorf("pushed to as %q, want %q", got, want)
	}
	asStaging, asProduction := r.stepEnv(file, "app-staging-push"), r.stepEnv(file, "app-production-push")
	r.onlyHelpers(registry)
	r.keyless()

	// Back and forth, from the cache: each is answered with its own password, and the registry would refuse the other's.
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
	if pushed, pulled := r.printed("pushed"), r.printed("pulled"); !maps.Equal(pushed, pulled) || len(pulled) != 2 {
		t.Errorf("pushed %q, pulled %q", pushed, pulled)
	}
	if got := e.callers(); !maps.Equal(got, want) || len(e.assumed()) != 0 {
		t.Errorf("pushed to as %q, want %q; assumed %q again", got, want, e.assumed())
	}
	for _, tt := range []struct {
		env        map[string]string
		role, name string
	}{{asStaging, "app-staging-push", "app-production"}, {asProduction, "app-production-push", "app-staging"}} {
		tag := registry + "/" + tt.name + ":" + commit
		e.refusedFor(r.exec(tt.env, "docker", "push", tag), "403 Forbidden")
		e.refusedFor(r.exec(tt.env, "docker", "pull", tag), "assumed-role/"+tt.role+"/", "is not authorized to perform: ecr:BatchGetImage", "repository/"+tt.name)
	}
	err = r.exec(nil, "docker", "push", staging)
	e.refusedFor(err, "no role is configured", "ECR_OIDC_ROLE")
}

// TestSetupGitHubActionsSeveralAccounts runs examples/github-actions with registries in two
// accounts, from one build.
func TestSetupGitHubActionsSeveralAccounts(t *testing.T) {
	t.Parallel()
	e := newExample(t, "github-actions")
	e.aws("What to set")
	r, err := e.github("several-accounts.yml", emulator.GitHubJob{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"123456789012/app": "123456789012/app-push", "210987654321/app": "210987654321/app-release"}
	if got := e.callers(); !maps.Equal(got, want) {
		t.Errorf("pushed to as %q, want %q", got, want)
	}
	r.pullBack(nil, registry+"/app:"+commit, second+"/app:"+commit)
	if got := len(e.assumed()); got != 2 {
		t.Errorf("assumed %q, want each role once", e.assumed())
	}
	r.onlyHelpers(registry, second)
	r.keyless()
	_, err = e.github("several-accounts.yml", emulator.GitHubJob{Ref: "refs/heads/feature"})
	e.refusedFor(err, "AWS refused role app-push in 123456789012", `for "repo:acme/app:ref:refs/heads/feature"`)
}

// TestSetupCircleCI runs examples/circleci with a role from the variables of the project and the
// token of the job.
func TestSetupCircleCI(t *testing.T) {
	t.Parallel()
	e := newExample(t, "circleci")
	e.aws("What to set")
	job := circleIDs(t, e.read("trust-policy.json"))
	const tag = registry + "/app:" + commit
	command := func(r *exampleJob) { r.command(job) }
	good := func(what string, env map[string]string, before ...func(*exampleJob)) (r *exampleJob, asked string) {
		t.Helper()
		e.server.ResetCalls()
		r, err := e.circleci("config.yml", env, before...)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		// Without a token in the environment there is no secret to encrypt the cache with, so that the push logs in again.
		logins := map[string]int{"empty": 2}[what]
		if got, want := e.assumed(), slices.Repeat([]string{"AssumeRoleWithWebIdentity arn:aws:iam::123456789012:role/app-push"}, max(logins, 1)); !slices.Equal(got, want) {
			t.Errorf("%s: assumed %q, want %q", what, got, want)
		}
		asked, _, _ = strings.Cut(r.asked(), "\n")
		r.pullBack(nil, tag)
		r.onlyHelpers(registry)
		return r, asked
	}
	with := func(env map[string]string, name, value string) map[string]string {
		env[name] = value
		return env
	}

	r, asked := good("the job's token", e.server.Circle(job), command)
	r.keyless()
	if asked != "" {
		t.Errorf("a good token was renewed: %s", asked)
	}
	// The keys that the migration ends by deleting are not used while they are there.
	good("leftover keys", with(with(e.server.Circle(job), "AWS_ACCESS_KEY_ID", emulator.AccessKeyID), "AWS_SECRET_ACCESS_KEY", emulator.SecretAccessKey))

	old := job
	old.Expired = true
	for what, env := range map[string]map[string]string{"expired": e.server.Circle(old), "empty": with(e.server.Circle(job), "CIRCLE_OIDC_TOKEN_V2", "")} {
		if _, got := good(what, env, command); got != `run oidc get --claims {"aud":"`+job.Org+`"}` {
			t.Errorf("%s: the circleci command was asked %q", what, got)
		}
	}
	_, err := e.circleci("config.yml", e.server.Circle(old))
	e.refusedFor(err, "AWS refused role app-push", "ExpiredTokenException", "`circleci run oidc get`")
	_, err = e.circleci("config.yml", with(e.server.Circle(job), "CIRCLE_OIDC_TOKEN_V2", ""))
	e.refusedFor(err, "finding the CircleCI job's OIDC token: CIRCLE_OIDC_TOKEN_V2 is set but empty")
	_, err = e.circleci("config.yml", with(e.server.Circle(job), "ECR_ROLE_TO_ASSUME", ""))
	e.refusedFor(err, "no role is configured; role_arn is $ECR_ROLE_TO_ASSUME, which is not set or is empty")

	sub := "org/" + job.Org + "/project/" + job.Project + "/user/"
	for end, other := range map[string]emulator.CircleJob{
		"/vcs-origin/github.com/acme/app/vcs-ref/refs/heads/feature": {Org: job.Org, Project: job.Project, Ref: "refs/heads/feature"},
		"/vcs-origin/github.com/acme/web/vcs-ref/refs/heads/main":    {Org: job.Org, Project: job.Project, Repo: "acme/web"},
		// A branch whose name ends in the subject of main.
		"/vcs-ref/refs/heads/x/vcs-origin/github.com/acme/app/vcs-ref/refs/heads/main": {Org: job.Org, Project: job.Project,
			Ref: "refs/heads/x/vcs-origin/github.com/acme/app/vcs-ref/refs/heads/main"},
	} {
		_, err := e.circleci("config.yml", e.server.Circle(other))
		e.refusedFor(err, "AWS refused role app-push in 123456789012 (from ECR_ROLE_TO_ASSUME)", `for "`+sub, end+`"`, "AccessDenied")
	}
	_, err = e.circleci("config.yml", e.server.Circle(emulator.CircleJob{Org: job.Org, Project: "11111111-2222-4333-8444-555555555555"}))
	e.refusedFor(err, "/project/11111111-2222-4333-8444-555555555555/", "AccessDenied")
}

// TestSetupOrbExample runs orb/src/examples/push_job.yml for one commit after the other, also with
// immutable tags.
func TestSetupOrbExample(t *testing.T) {
	t.Parallel()
	e := newExample(t, "circleci")
	e.aws("What to set")
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
		r, err := e.circleci("config.yml", e.server.Circle(job), func(r *exampleJob) { r.env["CIRCLE_SHA1"] = sha })
		if err != nil {
			t.Fatal(err)
		}
		r.pullBack(nil, registry+"/app:"+sha)
	}
}

// circleIDs are the organisation and the project that a trust policy lets in.
func circleIDs(t *testing.T, trust string) emulator.CircleJob {
	t.Helper()
	m := regexp.MustCompile(`"org/([0-9a-f-]{36})/project/([0-9a-f-]{36})/`).FindStringSubmatch(trust)
	if m == nil {
		t.Fatalf("no subject of CircleCI in\n%s", trust)
	}
	return emulator.CircleJob{Org: m[1], Project: m[2]}
}

// TestSetupGitHubTerraform runs examples/github-terraform: the result of the Terraform module, and
// the workflow of its README.
func TestSetupGitHubTerraform(t *testing.T) {
	t.Parallel()
	e := newExample(t, "github-terraform")
	e.terraform("sts.amazonaws.com")
	// A commit is pushed from main, and released afterwards: the tags are immutable, so it needs two.
	for _, tt := range []struct{ ref, tag string }{{"refs/heads/main", commit}, {"refs/tags/v1.2.3", "v1.2.3"}} {
		r, err := e.github("push.yml", emulator.GitHubJob{Ref: tt.ref})
		if err != nil {
			t.Fatal(err)
		}
		r.pullBack(nil, registry+"/app:"+tt.tag)
		r.onlyHelpers(registry)
		r.keyless()
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
		e.refusedFor(err, "AWS refused role app-push in 123456789012", `for "`+subject+`"`, "AccessDenied")
	}
}

// rerun is "Re-run jobs" of one that has pushed: refused, in the words of terraform/README.md, unless the tags are mutable.
func (e *example) rerun(file string, job emulator.GitHubJob, tag string) {
	e.t.Helper()
	said := regexp.MustCompile("`tag invalid: ([^`]*)…([^`]*)`").FindStringSubmatch(strings.ReplaceAll(e.read("../terraform/README.md"), "\n", " "))
	if said == nil {
		e.t.Fatal("terraform/README.md does not say what a re-run does")
	}
	_, err := e.github(file, job)
	e.refusedFor(err, "TAG_INVALID", said[1]+tag+said[2])
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
	e.aws("With the keys")
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
		if got, want := e.assumed(), []string{assumed + role}; !slices.Equal(got, want) {
			t.Errorf("assumed %q, want %q", got, want)
		}
		if got := e.callers()["123456789012/app"]; got != "123456789012/app-push" {
			t.Errorf("pushed as %s", got)
		}
		r.pullBack(nil, tag)
		r.onlyHelpers(registry)
	}
	withKeys := keys(emulator.AccessKeyID, emulator.SecretAccessKey)
	push("config.yml", withKeys, "AssumeRole")

	// The user by itself may do nothing; without the role it would not even log in.
	_, err := e.circleci("config.yml", withKeys, func(r *exampleJob) { r.env["ECR_ROLE_TO_ASSUME"] = "" })
	e.refusedFor(err, "arn:aws:iam::123456789012:user/circleci is not authorized to perform: ecr:GetAuthorizationToken")
	e.server.AddUser(emulator.User{ARN: "arn:aws:iam::123456789012:user/other", AccessKeyID: "AKIAI44QH8DHBEXAMPLE", SecretAccessKey: "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY"})
	_, err = e.circleci("config.yml", keys("AKIAI44QH8DHBEXAMPLE", "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY"))
	e.refusedFor(err, "AWS refused role app-push in 123456789012", "User: arn:aws:iam::123456789012:user/other is not authorized to perform: sts:AssumeRole")
	// Before the way out is taken, the token alone is not let in.
	_, err = e.circleci("config.oidc.yml", e.server.Circle(job))
	e.refusedFor(err, "AWS refused role app-push", "vcs-ref/refs/heads/main", "No OpenIDConnect provider found")

	steps := e.commands("The way out")
	if len(steps) != 4 {
		t.Fatalf("%d commands in the way out: %q", len(steps), steps)
	}
	e.awsCommand(steps[0])
	e.awsCommand(steps[1]) // both
	push("config.yml", withKeys, "AssumeRole")
	push("config.oidc.yml", withKeys, "AssumeRoleWithWebIdentity") // the keys are still in the project, and not used
	push("config.oidc.yml", e.server.Circle(job), "AssumeRoleWithWebIdentity")
	e.awsCommand(steps[2]) // OIDC alone
	e.awsCommand(steps[3])
	push("config.oidc.yml", e.server.Circle(job), "AssumeRoleWithWebIdentity")
	_, err = e.circleci("config.yml", withKeys)
	e.refusedFor(err, "User: arn:aws:iam::123456789012:user/circleci is not authorized to perform: sts:AssumeRole")
	other := job
	other.Ref = "refs/heads/feature"
	_, err = e.circleci("config.oidc.yml", e.server.Circle(other))
	e.refusedFor(err, "vcs-ref/refs/heads/feature", "AccessDenied")
}

// TestPushPolicyIsTheLeast checks that each action of the push policy is needed: without it, a step
// between the push and the pull is refused.
func TestPushPolicyIsTheLeast(t *testing.T) {
	t.Parallel()
	actions := regexp.MustCompile(`"(ecr:\w+)"`).FindAllStringSubmatch(newExample(t, "github-actions").read("push-policy.json"), -1)
	if len(actions) != 8 {
		t.Fatalf("%d actions in push-policy.json", len(actions))
	}
	for _, m := range actions {
		e := newExample(t, "github-actions")
		e.aws("What to set")
		role := e.role("app-push")
		role.Policy = strings.Replace(role.Policy, m[1], "ecr:DescribeImages", 1)
		e.setRole(role)
		r, err := e.github("push.yml", emulator.GitHubJob{})
		if err == nil {
			err = r.exec(nil, "docker", "pull", registry+"/app:"+commit)
		}
		want := "not authorized to perform: " + m[1]
		if m[1] == "ecr:BatchCheckLayerAvailability" { // the answer to a HEAD has no text
			want = "403 Forbidden (HEAD"
		}
		e.refusedFor(err, want)
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
	folders, err := os.ReadDir(examples)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
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
			if name := file.Name(); f.Name() != "terraform" && name != "README.md" && !strings.HasPrefix(name, ".terraform") && !strings.Contains(text, name) {
				t.Errorf("%s/README.md does not name %s", f.Name(), name)
			}
		}
	}
	// What Terraform downloads by is one release: it takes no tag that moves, and there is no "v0" for modules.
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
		t.Error("examples/README.md does not say how to pin the action")
	}
	// The module's README explains all that goes in and comes out.
	module := read(examples, "terraform", "README.md")
	for _, file := range []string{"variables.tf", "outputs.tf"} {
		for _, m := range regexp.MustCompile(`(?m)^(?:variable|output) "(\w+)"`).FindAllStringSubmatch(read(examples, "terraform", file), -1) {
			if !strings.Contains(module, "`"+m[1]+"`") {
				t.Errorf("terraform/README.md does not explain %s", m[1])
			}
		}
	}
}
