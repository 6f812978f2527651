package e2e

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// orbStep is a run step of our orb, as CircleCI's compiler leaves it.
type orbStep struct {
	name, script string
	env          map[string]string
	onFail       bool // "when: on_fail": the step runs only if an earlier step fails
}

// orbSteps compiles a command or a job of our orb, without the steps that run only if another fails. Of the steps that
// are CircleCI's own the name is all that is left.
func orbSteps(t *testing.T, kind, name string, given map[string]any) []orbStep {
	t.Helper()
	return slices.DeleteFunc(allOrbSteps(t, kind, name, given), func(s orbStep) bool { return s.onFail })
}

// allOrbSteps is orbSteps with the steps that run only if another fails.
func allOrbSteps(t *testing.T, kind, name string, given map[string]any) (compiled []orbStep) {
	t.Helper()
	part := orbPart(t, kind, name)
	values := part.with(t, name, given)
	var walk func(steps []any)
	walk = func(steps []any) {
		for _, step := range steps {
			name, given := oneStep(t, step)
			switch name {
			case "install", "configure", "doctor":
				for parameter, value := range given {
					given[parameter] = substitute(t, value, values)
				}
				compiled = append(compiled, allOrbSteps(t, "commands", name, given)...)
			case "when":
				if evalCondition(t, given["condition"], values) {
					walk(given["steps"].([]any))
				}
			case "run":
				s := orbStep{name: given["name"].(string), script: given["command"].(string), env: map[string]string{}}
				s.onFail = given["when"] == "on_fail"
				for variable, value := range given["environment"].(map[string]any) {
					s.env[variable] = fmt.Sprint(substitute(t, value, values))
				}
				compiled = append(compiled, s)
			default:
				compiled = append(compiled, orbStep{name: strings.TrimSpace(fmt.Sprint(name, " ", shown(given)))})
			}
		}
	}
	walk(part.Steps)
	return compiled
}

// shown shows what a step of CircleCI's own is given.
func shown(given map[string]any) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(given)) {
		all = append(all, fmt.Sprint(name, "=", given[name]))
	}
	return strings.Join(all, " ")
}

// TestOrb checks that two commands of the orb give every later step of the job a login, in each
// shell, whether BASH_ENV changes PATH for later steps or the binary is in a directory of PATH.
func TestOrb(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		j := newOrbJob(t, shell, newToolDir(t, "curl", checksumTool))
		bin := filepath.Join(j.home, ".local", "bin")
		readsBashEnv := filepath.Base(shell[0]) == "bash"
		if !readsBashEnv {
			j.pathHas(bin)
		}
		stdout, stderr := j.command("install", map[string]any{"version": released})
		contains(t, "install", stdout, "installed "+bin+"/"+program)
		if readsBashEnv {
			contains(t, "install", stdout, bin+" is on PATH in later steps of this job")
		} else if strings.Contains(stdout+stderr, "PATH in") {
			t.Errorf("install says\n%s%s", stdout, stderr)
		}
		stdout, stderr = j.command("configure", map[string]any{"registries": defaultHost})
		contains(t, "configure", stdout, ".docker/config.json: Docker uses ecr-oidc for "+defaultHost+"\n")
		if stderr != "" || strings.Contains(stdout, "has role") {
			t.Errorf("configure says\n%s%s", stdout, stderr)
		}
		if role := j.get(defaultHost); role != emulator.CircleRole {
			t.Errorf("a later step was %s", role)
		}

		// Called again, both add. A role of its own goes with its registry, and the first keeps its own.
		before, _ := os.ReadFile(j.env["BASH_ENV"])
		j.command("install", map[string]any{"version": "v" + released})
		if after, _ := os.ReadFile(j.env["BASH_ENV"]); !bytes.Equal(before, after) {
			t.Errorf("BASH_ENV has it twice: %s", after)
		}
		other := "arn:aws:iam::" + emulator.SpokeAccount + ":role/circle-pull"
		j.server.AddFederatedRole(other, "https://oidc.circleci.com/org/"+emulator.CircleOrg, emulator.CircleOrg, "org/"+emulator.CircleOrg+"/*")
		j.env["PULL_ROLE"] = other
		stdout, _ = j.command("configure", map[string]any{"registries": otherHost + "/base/image", "role_arn": "$PULL_ROLE"})
		contains(t, "configure", stdout, "Docker uses ecr-oidc for "+otherHost, "account "+emulator.SpokeAccount+" has role "+other)
		for host, want := range map[string]string{defaultHost: emulator.CircleRole, otherHost: other} {
			if role := j.get(host); role != want {
				t.Errorf("for %s a later step was %s, want %s", host, role, want)
			}
		}
		config, err := os.ReadFile(filepath.Join(j.home, ".docker", "config.json"))
		if err != nil {
			t.Fatal(err)
		}
		contains(t, "config.json", string(config), defaultHost, otherHost)
	})
}

// TestOrbBusyBox checks an image like docker:*, which has BusyBox and no bash, curl or jq.
func TestOrbBusyBox(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		j := newOrbJob(t, shell, busybox(t))
		j.pathHas(filepath.Join(j.home, "bin"))
		j.command("install", map[string]any{"version": released})
		j.command("configure", map[string]any{"registries": defaultHost})
		if role := j.get(defaultHost); role != emulator.CircleRole {
			t.Errorf("a later step was %s", role)
		}
	})
}

// TestOrbConfigure checks that the program receives the parameters of configure and the variables
// of the job unchanged.
func TestOrbConfigure(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		tools := newToolDir(t)
		// The stub notes its arguments, one in each line, and a line for each call's end.
		stub(t, tools, program, `[ "$1" = configure ] || exit 1 # as a release without check
shift; for a; do printf '%s\n' "$a"; done >>"$HOME/asked"; echo . >>"$HOME/asked"`)
		j := newOrbJob(t, shell, tools)
		maps.Copy(j.env, map[string]string{
			"AWS_ECR_REGISTRY_ID": emulator.Account, "ECR_REGION": "eu-west-2",
			"EVIL": "$(touch${IFS}$HOME/evil)`touch${IFS}$HOME/evil`;touch${IFS}$HOME/evil",
			"name": "shadow", "entry": "a.example", "host": "repo", "HOSTS": "a.example b.example",
		})
		tests := []struct {
			name  string
			given map[string]any
			want  string
		}{
			{"a registry", map[string]any{"registries": "a.example"}, "-- a.example ."},
			{"several, in any white space, of images and URLs", map[string]any{"registries": "a.example/repo\n  https://b.example \t c.example/x/y\n"}, "-- a.example b.example c.example ."},
			{"of variables",
				map[string]any{"registries": "${AWS_ECR_REGISTRY_ID}.dkr.ecr.$ECR_REGION.amazonaws.com $entry/$host"},
				"-- " + defaultHost + " a.example ."},
			{"a role of variables",
				map[string]any{"registries": "$entry=$name,${name}2 b.example", "role_arn": "$name,x"},
				"--role shadow,shadow2 -- a.example . --role shadow,x -- b.example ."},
			{"the default role, also in braces", map[string]any{"registries": "a.example", "role_arn": "${ECR_ROLE_TO_ASSUME}"}, "-- a.example ."},
			{"a role", map[string]any{"registries": "a.example", "role_arn": "arn:aws:iam::${AWS_ECR_REGISTRY_ID}:role/x"}, "--role arn:aws:iam::123456789012:role/x -- a.example ."},
			{"roles of their own", map[string]any{"registries": "a.example=hub,spoke b.example c.example/repo=arn:aws:iam::123456789012:role/path/x", "role_arn": "ci"},
				"--role hub,spoke -- a.example . --role arn:aws:iam::123456789012:role/path/x -- c.example . --role ci -- b.example ."},
			{"roles of their own alone", map[string]any{"registries": "a.example=x", "role_arn": "ci"}, "--role x -- a.example ."},
			{"all the settings", map[string]any{"registries": "a.example", "audience": "sts.amazonaws.com", "session_name": "job-$name", "session_duration": "15m", "allowed_account_ids": "$AWS_ECR_REGISTRY_ID,210987654321"},
				"--audience sts.amazonaws.com --session-name job-shadow --session-duration 15m --allowed-account-ids 123456789012,210987654321 -- a.example ."},
			{"a pattern", map[string]any{"registries": "*"}, "-- * ."},
			{"a flag for a registry", map[string]any{"registries": "--remove"}, "-- --remove ."},
		}
		for _, tt := range tests {
			j.command("configure", tt.given)
			asked, err := os.ReadFile(filepath.Join(j.home, "asked"))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(strings.Fields(string(asked)), " "); got != tt.want {
				t.Errorf("%s: configure %s\nwant %s", tt.name, got, tt.want)
			}
			os.Remove(filepath.Join(j.home, "asked"))
		}
		for _, tt := range []struct {
			given map[string]any
			want  string
		}{
			{map[string]any{"registries": ""}, "registries is empty; use a registry such as .*, or set account_id and region"},
			{map[string]any{"registries": "\n"}, "registries is empty; use a registry such as .*"},
			{map[string]any{"registries": "$HOSTS"},
				`registries has \$HOSTS, and the value of a variable in it contains a separator; .*`},
			{map[string]any{"registries": "a.example="}, "registries has a.example=, which has no role after ="},
			{map[string]any{"registries": "$NOPE.dkr.ecr.$ECR_REGION.amazonaws.com"}, "registries needs the variable NOPE, which is not set or is empty in this job"},
			{map[string]any{"registries": "a.example", "role_arn": "$DEPLOY_ROLE"}, "role_arn needs the variable DEPLOY_ROLE, which is not set or is empty in this job"},
			{map[string]any{"registries": "a.example", "role_arn": "${ROLE:-x}"}, `role_arn has \$\{ROLE:-x\}; only a variable name is allowed between the braces`},
			{map[string]any{"registries": "a.example", "docker_config": "relative"}, "docker_config is relative; it must begin with /"},
		} {
			j.refused("configure", tt.given, tt.want)
		}
		// Nothing in a parameter or in a variable is run.
		j.command("configure", map[string]any{"registries": "$EVIL a.example", "session_name": `$(touch "$HOME/evil")` + "`touch $HOME/evil`;touch $HOME/evil"})
		if _, err := os.Stat(filepath.Join(j.home, "evil")); err == nil {
			t.Error("a parameter was run")
		}
		if _, err := os.Stat(filepath.Join(j.home, "asked")); err != nil {
			t.Error(err)
		}
		os.Remove(filepath.Join(tools, program))
		j.refused("configure", map[string]any{"registries": "a.example"}, program+" is not on PATH; run this orb's command install first; without bash, set install_dir to a directory of PATH")
	})
}

// TestOrbAudience checks that another audience is requested with the circleci command of the job.
func TestOrbAudience(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		tools := newToolDir(t, "curl", checksumTool)
		j := newOrbJob(t, shell, tools)
		stub(t, tools, "circleci", fmt.Sprintf("echo '%s'", j.server.CircleToken(emulator.CircleJob{Audience: "sts.amazonaws.com"})))
		j.pathHas(filepath.Join(j.home, "bin"))
		j.command("install", map[string]any{"version": released})
		j.command("configure", map[string]any{"registries": defaultHost, "audience": "sts.amazonaws.com", "session_name": "from-the-orb", "session_duration": "15m", "allowed_account_ids": emulator.Account})
		j.get(defaultHost)
		for _, call := range j.server.Calls() {
			if call.Op == "AssumeRoleWithWebIdentity" && (call.Form.Get("RoleSessionName") != "from-the-orb" || call.Form.Get("DurationSeconds") != "900") {
				t.Errorf("STS was asked %s", call.Form.Encode())
			}
		}
		out, _, err := j.step(map[string]string{"ASKED": otherHost}, `printf %s "$ASKED" | docker-credential-ecr-oidc get`)
		if err == nil || strings.TrimSpace(out) != "credentials not found in native keychain" {
			t.Errorf("an account that is not allowed: %v %s", err, out)
		}
	})
}

// TestOrbDockerConfig checks a Docker configuration directory for one job. It reaches later steps
// with bash, and is refused where it would not. A directory from the environment of the job reaches
// them everywhere.
func TestOrbDockerConfig(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		j := newOrbJob(t, shell, newToolDir(t, "curl", checksumTool))
		j.pathHas(filepath.Join(j.home, "bin"))
		j.command("install", map[string]any{"version": released})
		j.env["CIRCLE_WORKFLOW_JOB_ID"] = "0c0ffee0"
		dir := filepath.Join(j.home, "docker-0c0ffee0")
		given := map[string]any{"registries": defaultHost, "role_arn": emulator.CircleRole, "docker_config": j.home + "/docker-$CIRCLE_WORKFLOW_JOB_ID"}
		if filepath.Base(shell[0]) != "bash" {
			j.refused("configure", given, "docker_config cannot reach later steps without bash; set DOCKER_CONFIG in the environment of the job or executor")
			j.env["DOCKER_CONFIG"] = dir
		}
		j.command("configure", given)
		j.command("configure", given)
		if b, _ := os.ReadFile(j.env["BASH_ENV"]); strings.Count(string(b), "DOCKER_CONFIG") > 1 {
			t.Errorf("BASH_ENV has it twice:\n%s", b)
		}
		// The role is in that directory alone, so it comes from there.
		j.env["ECR_ROLE_TO_ASSUME"] = ""
		if role := j.get(defaultHost); role != emulator.CircleRole {
			t.Errorf("a later step was %s", role)
		}
		if fi, err := os.Stat(dir); err != nil || fi.Mode().Perm() != 0o700 {
			t.Errorf("%v, %v", fi, err)
		}
		if _, err := os.Stat(filepath.Join(j.home, ".docker")); err == nil {
			t.Error("the user's own configuration was written too")
		}
	})
	t.Run("bash called sh", func(t *testing.T) { // which does not read BASH_ENV
		bash, err := exec.LookPath("bash")
		if err != nil || runtime.GOOS == "windows" {
			t.Skipf("bash is not on PATH, or not a system's own")
		}
		tools := newToolDir(t)
		if err := os.Remove(filepath.Join(tools, "sh")); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(bash, filepath.Join(tools, "sh")); err != nil {
			t.Fatal(err)
		}
		stub(t, tools, program, "exit 1")
		j := newOrbJob(t, []string{filepath.Join(tools, "sh")}, tools)
		j.refused("configure", map[string]any{"registries": defaultHost, "docker_config": "/tmp/x"}, "docker_config cannot reach later steps without bash; .*")
	})
}

// TestOrbInstallDir checks the directory of the binary, and the message when later steps do not
// search it.
func TestOrbInstallDir(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		j := newOrbJob(t, shell, newToolDir(t, "curl", checksumTool))
		// The first of PATH's that can be written.
		j.pathHas(filepath.Join(j.home, "bin"))
		j.pathHas(filepath.Join(j.home, ".local", "bin"))
		stdout, _ := j.command("install", map[string]any{"version": released})
		contains(t, "install", stdout, "installed "+filepath.Join(j.home, ".local", "bin", program))
		// The one named.
		named := filepath.Join(j.home, "it's")
		j.refused("install", map[string]any{"version": released, "install_dir": named}, "the directory is .*; its path must not contain a quote or a colon; specify another with --dir")
		j.refused("install", map[string]any{"version": released, "install_dir": "$HOME/bin"}, `the directory begins with \$ or ~, which is not expanded; use an absolute path`)
		named = filepath.Join(j.home, "with space")
		stdout, _ = j.command("install", map[string]any{"version": released, "install_dir": named})
		contains(t, "install", stdout, "installed "+filepath.Join(named, program))
		if filepath.Base(shell[0]) == "bash" { // and it is the first that later steps find
			out, errs, err := j.step(nil, "command -v "+program)
			if err != nil || out != filepath.Join(named, program)+"\n" {
				t.Errorf("%v %s%s", err, out, errs)
			}
		}
		// The default is the orb's own version, which a mirror has; it has no latest.
		j.command("install", nil)
		j.refused("install", map[string]any{"version": "latest"}, "a mirror has no latest version; specify one with --version or ECR_OIDC_VERSION")
	})
}
