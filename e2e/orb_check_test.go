package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// newOrbCheckJob returns a job whose PATH has the helper.
func newOrbCheckJob(t *testing.T, shell []string) *orbJob {
	t.Helper()
	tools := newToolDir(t)
	if len(shell) > 1 {
		tools = busybox(t)
	}
	if err := os.Symlink(filepath.Join(binDir(), program), filepath.Join(tools, program)); err != nil {
		t.Fatal(err)
	}
	return newOrbJob(t, shell, tools)
}

// runCommand runs a command of the orb, whether it fails or not.
func (j *orbJob) runCommand(name string, params map[string]any) (stdout, stderr string, err error) {
	j.t.Helper()
	for _, s := range allOrbSteps(j.t, "commands", name, params) {
		stdout, stderr, err = j.step(s.env, s.script)
	}
	return stdout, stderr, err
}

const (
	orbSubject = "org/" + emulator.CircleOrg + `/project/[0-9a-f-]+/user/[0-9a-f-]+` +
		`/vcs-origin/github.com/acme/app/vcs-ref/refs/heads/main`
	orbNoRole = defaultHost + `: finding an identity: no role is configured; role_arn is ` +
		`\$ECR_ROLE_TO_ASSUME, which is not set or is empty in this job: set it in the project or in a context`
	orbNoToken = defaultHost + `: finding the CircleCI job's OIDC token: CIRCLE_OIDC_TOKEN_V2 is not set; ` +
		`check that the job receives an OIDC token \(builds of forked pull requests receive none .*\)`
)

// refusedOrbRole is the error for a role that does not exist.
func refusedOrbRole(from string) string {
	return defaultHost + `: AWS refused role no-such-role in 123456789012 \(from ` + from + `\) for "` +
		orbSubject + `".*: AccessDenied; .*; to see why: docker-credential-ecr-oidc doctor ` + defaultHost
}

var orbChecks = []struct {
	name   string
	env    map[string]string // "" removes a variable
	params map[string]any    // without check and registries
	fails  string            // the values of check with which the step fails
	stdout string
	stderr string // without "ecr-oidc/configure: " and "warning: "
}{
	{name: "login",
		stdout: defaultHost + `: role ` + emulator.CircleRole + ` \(from ECR_ROLE_TO_ASSUME\), source circleci, ` +
			`subject ` + orbSubject + `, valid until 20[0-9T:-]+Z`},
	{name: "role of the parameter", env: map[string]string{"ECR_ROLE_TO_ASSUME": ""},
		params: map[string]any{"role_arn": emulator.CircleRole},
		stdout: `role ` + emulator.CircleRole + ` \(from role_arn\), `},
	{name: "refused role", params: map[string]any{"role_arn": "no-such-role"}, fails: "auto true",
		stderr: refusedOrbRole("role_arn")},
	{name: "refused role of a registry", params: map[string]any{"registries": defaultHost + "=no-such-role"},
		fails: "auto true", stderr: refusedOrbRole("registries")},
	{name: "refused role of the environment", env: map[string]string{"ECR_OIDC_ROLE": "no-such-role"},
		fails: "auto true", stderr: refusedOrbRole("ECR_OIDC_ROLE")},
	{name: "one of two refused",
		params: map[string]any{"registries": defaultHost + " " + otherHost, "role_arn": "circle"},
		fails:  "auto true", stdout: defaultHost + `: role ` + emulator.CircleRole + ` \(from role_arn\), `,
		stderr: otherHost + `: AWS refused role circle in 210987654321 \(from role_arn\) .*`},
	{name: "no role", env: map[string]string{"ECR_ROLE_TO_ASSUME": ""}, fails: "true", stderr: orbNoRole},
	{name: "empty role", env: map[string]string{"ECR_ROLE_TO_ASSUME": ""},
		params: map[string]any{"role_arn": ""}, fails: "true",
		stderr: defaultHost + `: finding an identity: no role is configured; set role_arn to the role to assume`},
	{name: "no role for the public registry", params: map[string]any{"registries": "public.ecr.aws"},
		fails: "true",
		stderr: `(?:warning: )?access to public.ecr.aws is anonymous because no role is set for it: ` +
			`list it in registries as HOST=ROLE` + `(?:\npublic.ecr.aws: finding a password for ` +
			`public.ecr.aws: access is anonymous because no role is set; ` +
			`list it in registries as public.ecr.aws=ROLE)?`},
	{name: "no token", env: map[string]string{"CIRCLE_OIDC_TOKEN": "", "CIRCLE_OIDC_TOKEN_V2": ""},
		fails: "auto true", stderr: orbNoToken},
	{name: "no token in a forked pull request", env: map[string]string{"CIRCLE_OIDC_TOKEN": "",
		"CIRCLE_OIDC_TOKEN_V2": "", "CIRCLE_PR_USERNAME": "octocat"}, fails: "true", stderr: orbNoToken},
	{name: "neither role nor token in a forked pull request", env: map[string]string{"CIRCLE_OIDC_TOKEN": "",
		"CIRCLE_OIDC_TOKEN_V2": "", "ECR_ROLE_TO_ASSUME": "", "CIRCLE_PR_REPONAME": "app"}, fails: "true",
		stderr: defaultHost + `: finding an identity: no role is configured, and there is no token \(.*\); ` +
			`role_arn is \$ECR_ROLE_TO_ASSUME, which is not set or is empty in this job: .*`},
	{name: "account that is not allowed", params: map[string]any{"allowed_account_ids": emulator.SpokeAccount},
		fails: "auto true", stderr: `(?s).*finding a password for ` + defaultHost + `: .*`},
}

// TestOrbCheck checks that configure logs in, that its errors fail the step or are warnings, and that they
// name the parameters of the orb.
func TestOrbCheck(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		j := newOrbCheckJob(t, shell)
		env := j.env
		for _, tt := range orbChecks {
			t.Run(tt.name, func(t *testing.T) {
				for _, check := range []string{"auto", "true", "false"} {
					j.env = maps.Clone(env)
					j.env["DOCKER_CONFIG"], j.env["ECR_OIDC_CACHE"] = t.TempDir(), "off"
					for name, value := range tt.env {
						if j.env[name] = value; value == "" {
							delete(j.env, name)
						}
					}
					params := map[string]any{"registries": defaultHost, "check": check}
					maps.Copy(params, tt.params)
					j.server.ResetCalls()
					stdout, stderr, err := j.runCommand("configure", params)
					if fails := strings.Contains(tt.fails, check); (err != nil) != fails {
						t.Errorf("check %s: %v, want failure %v\n%s%s", check, err, fails, stdout, stderr)
					}
					if check == "false" {
						if n := len(j.server.Calls()); n > 0 || strings.Contains(stdout, "valid until") {
							t.Errorf("check false made %d calls\n%s", n, stdout)
						}
						continue
					}
					if !regexp.MustCompile(tt.stdout).MatchString(stdout) {
						t.Errorf("check %s: stdout\n%swant %s", check, stdout, tt.stdout)
					}
					checkOrbErrors(t, stderr, tt.stderr, err == nil && tt.fails != "")
				}
			})
		}
	})
}

// checkOrbErrors compares the errors of configure with a pattern. The last line is a warning or an error.
func checkOrbErrors(t *testing.T, stderr, want string, warning bool) {
	t.Helper()
	var lines []string
	for line := range strings.Lines(stderr) {
		text, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "ecr-oidc/configure: ")
		if !ok {
			t.Errorf("a line without a prefix: %q", line)
		}
		lines = append(lines, text)
	}
	if n := len(lines); n > 0 {
		var ok bool
		if lines[n-1], ok = strings.CutPrefix(lines[n-1], "warning: "); ok != warning {
			t.Errorf("warning %v, want %v:\n%s", ok, warning, stderr)
		}
	}
	if got := strings.Join(lines, "\n"); !regexp.MustCompile("^(?:" + want + ")$").MatchString(got) {
		t.Errorf("stderr\n%s\nwant %s", got, want)
	}
}

// TestOrbCheckFillsCache checks that a login after configure makes no network call.
func TestOrbCheckFillsCache(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		j := newOrbCheckJob(t, shell)
		j.command("configure", map[string]any{"registries": defaultHost})
		j.server.ResetCalls()
		out, errs, err := j.step(nil, "printf %s "+defaultHost+" | docker-credential-ecr-oidc get")
		if err != nil || !strings.Contains(out, `"Username":"AWS"`) || len(j.server.Calls()) > 0 {
			t.Errorf("%d calls, %v\n%s%s", len(j.server.Calls()), err, out, errs)
		}
		// A login that another tool has stored is not an error.
		stored := fmt.Sprintf(`{"ServerURL": %q, "Username": "AWS", "Secret": "another"}`, defaultHost)
		if _, errs, err := j.step(nil, "printf %s '"+stored+"' | docker-credential-ecr-oidc store"); err != nil {
			t.Fatalf("store: %v\n%s", err, errs)
		}
		stdout, _ := j.command("configure", map[string]any{"registries": defaultHost})
		contains(t, "configure", stdout, defaultHost+": login stored by another tool, valid until 20")
	})
}

// TestOrbCheckOlderRelease checks that configure works with a release that has no command check.
func TestOrbCheckOlderRelease(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		j := newOrbCheckJob(t, shell)
		stub(t, j.env["PATH"], program, `case $1:${2:-} in check:* | help:check)
	printf 'ecr-oidc: unknown command "check"\n\nUsage:\n  docker-credential-ecr-oidc [command]\n' >&2
	exit 2
	;;
esac
exec '`+filepath.Join(binDir(), program)+`' "$@"`)
		for _, check := range []string{"auto", "true", "false"} {
			stdout, stderr := j.command("configure", map[string]any{"registries": defaultHost, "check": check})
			const note = "ecr-oidc/configure: this version of docker-credential-ecr-oidc has no command " +
				"check, so the logins are not checked; to check them, set version to a later version\n"
			if strings.Contains(stdout, note) != (check != "false") || stderr != "" {
				t.Errorf("check %s: %s%s", check, stdout, stderr)
			}
		}
		if role := j.get(defaultHost); role != emulator.CircleRole {
			t.Errorf("a later step used %s", role)
		}
	})
}

// TestOrbParameterNames checks that an error about a parameter is one line that names the parameter.
func TestOrbParameterNames(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		j := newOrbCheckJob(t, shell)
		for _, tt := range []struct {
			params map[string]any
			want   string
		}{
			{map[string]any{"registries": "foo.example"},
				`registries has "foo.example", which is not an ECR registry; a registry looks like .*`},
			{map[string]any{"role_arn": "a!b"}, `role_arn has "a!b", which is not a role; .*`},
			{map[string]any{"registries": defaultHost + "=a!b"}, `registries has "a!b", which is not a role; .*`},
			{map[string]any{"session_name": "a b"}, `session_name is "a b"; it must have .*`},
			{map[string]any{"session_duration": "5m"},
				`session_duration is "5m"; it must be 900 to 43200 seconds, or 15m to 12h`},
			{map[string]any{"allowed_account_ids": "12"},
				`allowed_account_ids has "12", which is not an account number; .*`},
		} {
			if _, ok := tt.params["registries"]; !ok {
				tt.params["registries"] = defaultHost
			}
			j.refused("configure", tt.params, tt.want)
		}
	})
}
