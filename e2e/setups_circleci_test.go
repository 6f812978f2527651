package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

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
		if what == "empty" { // the cache is off without a token to encrypt it with, so the push logs in again
			want = slices.Repeat(want, 2)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: assumed %q, want %q", what, got, want)
		}
		calls, _, _ = strings.Cut(r.circleciCalls(), "\n")
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
	e.requireRefusal(err, "no role is configured; role_arn is $ECR_ROLE_TO_ASSUME, "+
		"which is not set or is empty")

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
