package e2e

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
					given[parameter] = filled(t, value, values)
				}
				compiled = append(compiled, allOrbSteps(t, "commands", name, given)...)
			case "when":
				if holds(t, given["condition"], values) {
					walk(given["steps"].([]any))
				}
			case "run":
				s := orbStep{name: given["name"].(string), script: given["command"].(string), env: map[string]string{}}
				s.onFail = given["when"] == "on_fail"
				for variable, value := range given["environment"].(map[string]any) {
					s.env[variable] = fmt.Sprint(filled(t, value, values))
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

// An orbJob is a job of acme/app on CircleCI, whose steps each get a new shell, as CircleCI starts it: with -eo pipefail,
// and BASH_ENV, which bash alone reads.
type orbJob struct {
	t      *testing.T
	server *emulator.Server
	shell  []string
	env    map[string]string
	home   string
}

func newOrbJob(t *testing.T, shell []string, path string) *orbJob {
	t.Helper()
	w, err := emulator.Start(emulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	w.AddDefaults()
	r, _ := realRelease(t)
	home := t.TempDir()
	ca := filepath.Join(home, "ca.pem")
	if err := os.WriteFile(ca, w.CAPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	j := &orbJob{t: t, server: w, shell: append(slices.Clone(shell), "-e"), env: w.Circle(emulator.CircleJob{}), home: home}
	if exec.Command(shell[0], slices.Concat(shell[1:], []string{"-o", "pipefail", "-c", ":"})...).Run() == nil { // Debian's dash has none
		j.shell = append(j.shell, "-o", "pipefail")
	}
	maps.Copy(j.env, map[string]string{
		"PATH": path, "HOME": home, "TMPDIR": t.TempDir(), "BASH_ENV": filepath.Join(home, ".bash_env-42"),
		"AWS_CA_BUNDLE": ca, "AWS_ENDPOINT_URL_STS": w.URL("sts"), "AWS_ENDPOINT_URL_ECR": w.URL("ecr"),
		"ECR_ROLE_TO_ASSUME": emulator.CircleRole, "ECR_OIDC_MIRROR": newShelf(t, r).URL,
	})
	if dir := os.Getenv("GOCOVERDIR"); dir != "" {
		j.env["GOCOVERDIR"] = dir
	}
	return j
}

// step runs one step.
func (j *orbJob) step(env map[string]string, script string) (stdout, stderr string, err error) {
	j.t.Helper()
	file := filepath.Join(j.env["TMPDIR"], "step")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		j.t.Fatal(err)
	}
	var out, errs bytes.Buffer
	cmd := exec.Command(j.shell[0], slices.Concat(j.shell[1:], []string{file})...)
	all := maps.Clone(j.env)
	maps.Copy(all, env)
	cmd.Env, cmd.Dir = environ(all), j.home
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// command runs a command of the orb, which goes well.
func (j *orbJob) command(name string, given map[string]any) (stdout, stderr string) {
	j.t.Helper()
	for _, s := range orbSteps(j.t, "commands", name, given) {
		out, errs, err := j.step(s.env, s.script)
		if err != nil {
			j.t.Fatalf("%s: %v\n%s%s", s.name, err, out, errs)
		}
		stdout, stderr = stdout+out, stderr+errs
	}
	return stdout, stderr
}

// refused runs a command of the orb, which ends with one line of complaint.
func (j *orbJob) refused(name string, given map[string]any, want string) {
	j.t.Helper()
	for _, s := range orbSteps(j.t, "commands", name, given) {
		out, errs, err := j.step(s.env, s.script)
		if err == nil || !regexp.MustCompile("^(?:install.sh|ecr-oidc/configure): "+want+"\n$").MatchString(errs) {
			j.t.Errorf("%s: %v\n%s%swant %s", s.name, err, out, errs, want)
		}
	}
}

// get is a later step, in which a client asks for a registry, and as whom it was let in.
func (j *orbJob) get(host string) (role string) {
	j.t.Helper()
	j.server.ResetCalls()
	out, errs, err := j.step(map[string]string{"ECR_OIDC_CACHE": "off", "ASKED": host}, `printf %s "$ASKED" | docker-credential-ecr-oidc get`)
	if err != nil || !strings.Contains(out, `"Username":"AWS"`) {
		j.t.Fatalf("a later step asked for %s: %v\n%s%s", host, err, out, errs)
	}
	for _, call := range j.server.Calls() {
		if call.Op == "AssumeRoleWithWebIdentity" {
			role = call.Detail
		}
	}
	return role
}

const otherHost = emulator.SpokeAccount + ".dkr.ecr." + emulator.Region + ".amazonaws.com"

// pathHas puts a directory before those of PATH, as a job's image does.
func (j *orbJob) pathHas(dir string) {
	j.env["PATH"] = dir + string(os.PathListSeparator) + j.env["PATH"]
}

// Two commands, and every later step of the job is let in: in each shell, whether PATH reaches later steps by BASH_ENV, or
// the binary lies where PATH leads anyway.
func TestOrb(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		j := newOrbJob(t, shell, toolbox(t, "curl", sums))
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
		stdout, stderr = j.command("configure", map[string]any{"registries": usual})
		contains(t, "configure", stdout, ".docker/config.json: Docker uses ecr-oidc for "+usual+"\n")
		if stderr != "" || strings.Contains(stdout, "has role") {
			t.Errorf("configure says\n%s%s", stdout, stderr)
		}
		if role := j.get(usual); role != emulator.CircleRole {
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
		for host, want := range map[string]string{usual: emulator.CircleRole, otherHost: other} {
			if role := j.get(host); role != want {
				t.Errorf("for %s a later step was %s, want %s", host, role, want)
			}
		}
		config, err := os.ReadFile(filepath.Join(j.home, ".docker", "config.json"))
		if err != nil {
			t.Fatal(err)
		}
		contains(t, "config.json", string(config), usual, otherHost)
	})
}

// An image like docker:* has BusyBox and nothing else: no bash, curl or jq.
func TestOrbBusyBox(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		j := newOrbJob(t, shell, busybox(t))
		j.pathHas(filepath.Join(j.home, "bin"))
		j.command("install", map[string]any{"version": released})
		j.command("configure", map[string]any{"registries": usual})
		if role := j.get(usual); role != emulator.CircleRole {
			t.Errorf("a later step was %s", role)
		}
	})
}

// What configure is given reaches the program, and what the job's variables hold reaches it as it is.
func TestOrbConfigure(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		box := toolbox(t)
		// The stub notes its arguments, one in each line, and a line for each call's end.
		stub(t, box, program, `[ "$1" = configure ] || exit 1 # as a release without check
shift; for a; do printf '%s\n' "$a"; done >>"$HOME/asked"; echo . >>"$HOME/asked"`)
		j := newOrbJob(t, shell, box)
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
				"-- " + usual + " a.example ."},
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
		os.Remove(filepath.Join(box, program))
		j.refused("configure", map[string]any{"registries": "a.example"}, program+" is not on PATH; run this orb's command install first; without bash, set install_dir to a directory of PATH")
	})
}

// Another audience is asked for with the job's own command.
func TestOrbAudience(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		box := toolbox(t, "curl", sums)
		j := newOrbJob(t, shell, box)
		stub(t, box, "circleci", fmt.Sprintf("echo '%s'", j.server.CircleToken(emulator.CircleJob{Audience: "sts.amazonaws.com"})))
		j.pathHas(filepath.Join(j.home, "bin"))
		j.command("install", map[string]any{"version": released})
		j.command("configure", map[string]any{"registries": usual, "audience": "sts.amazonaws.com", "session_name": "from-the-orb", "session_duration": "15m", "allowed_account_ids": emulator.Account})
		j.get(usual)
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

// A directory of Docker's configuration for one job reaches later steps where there is bash, and is refused where it
// would not. One that the job's environment names reaches them everywhere.
func TestOrbDockerConfig(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		j := newOrbJob(t, shell, toolbox(t, "curl", sums))
		j.pathHas(filepath.Join(j.home, "bin"))
		j.command("install", map[string]any{"version": released})
		j.env["CIRCLE_WORKFLOW_JOB_ID"] = "0c0ffee0"
		dir := filepath.Join(j.home, "docker-0c0ffee0")
		given := map[string]any{"registries": usual, "role_arn": emulator.CircleRole, "docker_config": j.home + "/docker-$CIRCLE_WORKFLOW_JOB_ID"}
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
		if role := j.get(usual); role != emulator.CircleRole {
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
		box := toolbox(t)
		if err := os.Remove(filepath.Join(box, "sh")); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(bash, filepath.Join(box, "sh")); err != nil {
			t.Fatal(err)
		}
		stub(t, box, program, "exit 1")
		j := newOrbJob(t, []string{filepath.Join(box, "sh")}, box)
		j.refused("configure", map[string]any{"registries": usual, "docker_config": "/tmp/x"}, "docker_config cannot reach later steps without bash; .*")
	})
}

// Where install puts the binary, and what it says of places that later steps do not look into.
func TestOrbInstallDir(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		j := newOrbJob(t, shell, toolbox(t, "curl", sums))
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

// The job builds with the arguments that were meant, pushes every tag, and asks as the role.
func TestOrbPush(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		box := toolbox(t, "curl", sums, "xargs", "printf")
		if len(shell) > 1 {
			box = busybox(t)
		}
		// The stub notes its arguments as the client would get them; for a push it asks the helper, as the client would.
		stub(t, box, "docker", `{ printf '%s' "$1"; shift; for a; do printf '|%s' "$a"; done; echo; } >>"$HOME/docker"
case $a in */*:*) printf %s "${a%%/*}" | docker-credential-ecr-oidc get ;; esac`)
		j := newOrbJob(t, shell, box)
		j.pathHas(filepath.Join(j.home, "bin"))
		j.env["CIRCLE_TAG"], j.env["TITLE"], j.env["REGION"] = "v1.2", "two words", "eu-west-2"
		const image = emulator.Account + ".dkr.ecr.${REGION}.amazonaws.com/app"
		j.server.AddFederatedRole("arn:aws:iam::"+emulator.SpokeAccount+":role/circle", "https://oidc.circleci.com/org/"+emulator.CircleOrg, emulator.CircleOrg, "org/"+emulator.CircleOrg+"/*")
		run := func(given map[string]any) (names []string, docker string) {
			t.Helper()
			os.Remove(filepath.Join(j.home, "docker"))
			for _, s := range orbSteps(t, "jobs", "push", given) {
				names = append(names, s.name)
				if s.script == "" {
					continue
				}
				if out, errs, err := j.step(s.env, s.script); err != nil {
					t.Fatalf("%s: %v\n%s%s", s.name, err, out, errs)
				} else if s.name == "Build and push" && strings.Count(out, `"Username":"AWS"`) == 0 {
					t.Errorf("the push was not let in:\n%s%s", out, errs)
				}
			}
			b, err := os.ReadFile(filepath.Join(j.home, "docker"))
			if err != nil {
				t.Fatal(err)
			}
			return names, string(b)
		}
		ours := []string{"Install " + program, "Configure " + program, "Build and push"}
		names, docker := run(map[string]any{"image": image, "version": released})
		sha := j.env["CIRCLE_SHA1"]
		if want := "build|--tag|" + usual + "/app:" + sha + "|--|.\npush|--|" + usual + "/app:" + sha + "\n"; docker != want {
			t.Errorf("docker was run\n%swant\n%s", docker, want)
		}
		if want := slices.Concat([]string{"checkout", "setup_remote_docker"}, ours); !slices.Equal(names, want) {
			t.Errorf("steps %q, want %q", names, want)
		}
		names, docker = run(map[string]any{
			"image": image, "version": released, "tag": "$CIRCLE_TAG, latest", "path": "./image", "dockerfile": "image/Dockerfile.${CIRCLE_TAG}",
			"extra_build_args": `--build-arg "TITLE=$TITLE" --label 'a b'` + "\n  " + `--label=$(id) --build-arg C="x"\ y *`, "docker_layer_caching": true, "checkout": false,
			"registries": otherHost + "=circle", "role_arn": emulator.CircleRole,
		})
		if want := "build|--file|image/Dockerfile.v1.2|--build-arg|TITLE=two words|--label|a b|--label=$(id)|--build-arg|C=x y|*|--tag|" + usual + "/app:v1.2|--tag|" + usual + "/app:latest|--|./image\n" +
			"push|--|" + usual + "/app:v1.2\npush|--|" + usual + "/app:latest\n"; docker != want {
			t.Errorf("docker was run\n%swant\n%s", docker, want)
		}
		if want := slices.Concat([]string{"setup_remote_docker docker_layer_caching=true"}, ours); !slices.Equal(names, want) {
			t.Errorf("steps %q, want %q", names, want)
		}
		for _, given := range []map[string]any{{"remote_docker": false}, {"remote_docker": false, "docker_layer_caching": true}} {
			maps.Copy(given, map[string]any{"image": image, "version": released})
			if names, _ := run(given); !slices.Equal(names, slices.Concat([]string{"checkout"}, ours)) {
				t.Errorf("steps %q", names)
			}
		}
		for want, given := range map[string]map[string]any{
			"ecr-oidc/push: extra_build_args is --label 'x, which has an unclosed quote\n":                        {"extra_build_args": "--label 'x"},
			"ecr-oidc/push: extra_build_args needs the variable NOPE, which is not set or is empty in this job\n": {"extra_build_args": "--build-arg X=$NOPE"},
			"ecr-oidc/push: tag is empty; use a tag such as 1.0, or several separated by commas\n":                {"tag": " , "},
			"ecr-oidc/push: tag needs the variable CIRCLE_BRANCH2, which is not set or is empty in this job\n":    {"tag": "$CIRCLE_BRANCH2"},
		} {
			given["image"] = image
			steps := orbSteps(t, "jobs", "push", given)
			last := steps[len(steps)-1]
			if _, errs, err := j.step(last.env, last.script); err == nil || errs != want {
				t.Errorf("%v: %v\n%swant %s", given, err, errs, want)
			}
		}
	})
}

// The value of a variable is one tag, one registry or one role. Whoever names a branch cannot
// push another tag, choose another role or add an option to docker build.
func TestOrbValuesAreNotSplit(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		box := toolbox(t, "xargs", "printf")
		if len(shell) > 1 {
			box = busybox(t)
		}
		record := `{ printf '%s' "${0##*/}"; for a; do printf '|%s' "$a"; done; echo; } >>"$HOME/calls"`
		stub(t, box, "docker", record)
		stub(t, box, program, `[ "$1" = configure ] || exit 1 # as a release without check
`+record)
		j := newOrbJob(t, shell, box)
		// calls compiles a job or command, runs its steps but install, and returns the calls and
		// the complaint.
		calls := func(kind, name string, given map[string]any) (made, complaint string) {
			t.Helper()
			os.Remove(filepath.Join(j.home, "calls"))
			for _, s := range orbSteps(t, kind, name, given) {
				if s.script == "" || strings.HasPrefix(s.name, "Install") {
					continue
				}
				if _, errs, err := j.step(s.env, s.script); err != nil {
					complaint += errs
				}
			}
			b, _ := os.ReadFile(filepath.Join(j.home, "calls"))
			return string(b), complaint
		}
		const host = usual
		push := func(given map[string]any) (string, string) {
			t.Helper()
			maps.Copy(given, map[string]any{"image": host + "/app", "remote_docker": false, "checkout": false})
			return calls("jobs", "push", given)
		}
		for branch, want := range map[string]string{
			"feature,latest": "", "feature latest": "", "feature\tlatest": "", "feature\nlatest": "",
			"feature/latest": "", ".latest": "", "-latest": "",
			"latest": "build|--tag|" + host + "/app:1.0|--tag|" + host + "/app:latest|--|.\n" +
				"docker|push|--|" + host + "/app:1.0\ndocker|push|--|" + host + "/app:latest\n",
		} {
			j.env["CIRCLE_BRANCH"] = branch
			made, complaint := push(map[string]any{"tag": "1.0,$CIRCLE_BRANCH"})
			_, docker, _ := strings.Cut(made, "\ndocker|")
			if docker != want {
				t.Errorf("for the branch %q docker was run\n%swant\n%s", branch, docker, want)
			}
			const refused = "ecr-oidc/push: tag has $CIRCLE_BRANCH, which is not a valid tag in this job; allowed are " +
				"letters, digits, _ . - (not . or - first)\n"
			if want == "" && complaint != refused {
				t.Errorf("for the branch %q it says %q, want %q", branch, complaint, refused)
			}
		}

		j.env["CONTEXT"] = "--file=/etc/passwd"
		made, complaint := push(map[string]any{"path": "$CONTEXT", "tag": "1.0"})
		if !strings.Contains(made, "|--|--file=/etc/passwd\n") || complaint != "" {
			t.Errorf("docker was run\n%s%s", made, complaint)
		}

		// A branch in the name of the image chooses no role, and adds no registry.
		for _, tt := range []struct{ branch, want string }{
			{"x=arn:aws:iam::210987654321:role/admin", ""},
			{"x " + otherHost, ""},
			{"x\n" + otherHost, ""},
			{"x", "--role|ci|--|" + host},
		} {
			j.env["CIRCLE_BRANCH"] = tt.branch
			given := map[string]any{"registries": host + "/app-$CIRCLE_BRANCH", "role_arn": "ci"}
			made, complaint := calls("commands", "configure", given)
			if tt.want != "" {
				tt.want = program + "|configure|" + tt.want + "\n"
			}
			const refused = "ecr-oidc/configure: registries has " + host + "/app-$CIRCLE_BRANCH, and the " +
				"value of a variable in it contains a separator; list each registry and role\n"
			if made != tt.want || tt.want == "" && complaint != refused {
				t.Errorf("for the branch %q it ran %q and says %q, want %q", tt.branch, made, complaint, tt.want)
			}
		}
		for _, given := range []map[string]any{
			{"registries": host, "role_arn": "ci-$CIRCLE_BRANCH"},
			{"registries": host + "=ci-$CIRCLE_BRANCH"},
		} {
			j.env["CIRCLE_BRANCH"] = "x,admin"
			made, complaint := calls("commands", "configure", given)
			if made != "" || !strings.Contains(complaint, "ci-$CIRCLE_BRANCH") {
				t.Errorf("%v: it ran %q and says %q", given, made, complaint)
			}
			j.env["CIRCLE_BRANCH"] = "x"
			made, complaint = calls("commands", "configure", given)
			if made != program+"|configure|--role|ci-x|--|"+host+"\n" {
				t.Errorf("%v: it ran %q and says %q", given, made, complaint)
			}
		}
	})
}
