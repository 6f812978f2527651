package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// TestOrb checks that two commands of the orb give every later step of the job a login, in each
// shell, whether BASH_ENV changes PATH for later steps or the binary is in a directory of PATH.
func TestOrb(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		j := newOrbJob(t, shell, newToolDir(t, "curl", checksumTool))
		bin := filepath.Join(j.home, ".local", "bin")
		readsBashEnv := filepath.Base(shell[0]) == "bash"
		if !readsBashEnv {
			j.prependPath(bin)
		}
		stdout, stderr := j.command("install", map[string]any{"version": released})
		contains(t, "install", stdout, "installed "+bin+"/"+program)
		if readsBashEnv {
			contains(t, "install", stdout, bin+" is on PATH in later steps of this job")
		} else if strings.Contains(stdout+stderr, "PATH in") {
			t.Errorf("install printed\n%s%s", stdout, stderr)
		}
		stdout, stderr = j.command("configure", map[string]any{"registries": defaultHost})
		contains(t, "configure", stdout, ".docker/config.json: Docker uses ecr-oidc for "+defaultHost+"\n")
		if stderr != "" || strings.Contains(stdout, "has role") {
			t.Errorf("configure printed\n%s%s", stdout, stderr)
		}
		if role := j.get(defaultHost); role != emulator.CircleRole {
			t.Errorf("a later step used %s", role)
		}

		// A second call of both commands keeps the settings of the first. Each registry keeps its role.
		before, _ := os.ReadFile(j.env["BASH_ENV"])
		j.command("install", map[string]any{"version": "v" + released})
		if after, _ := os.ReadFile(j.env["BASH_ENV"]); !bytes.Equal(before, after) {
			t.Errorf("BASH_ENV has a setting twice: %s", after)
		}
		other := "arn:aws:iam::" + emulator.SpokeAccount + ":role/circle-pull"
		issuer := "https://oidc.circleci.com/org/" + emulator.CircleOrg
		j.server.AddFederatedRole(other, issuer, emulator.CircleOrg, "org/"+emulator.CircleOrg+"/*")
		j.env["PULL_ROLE"] = other
		stdout, _ = j.command("configure", map[string]any{
			"registries": otherHost + "/base/image",
			"role_arn":   "$PULL_ROLE",
		})
		contains(t, "configure", stdout,
			"Docker uses ecr-oidc for "+otherHost,
			"set for account "+emulator.SpokeAccount+": role "+other)
		for host, want := range map[string]string{defaultHost: emulator.CircleRole, otherHost: other} {
			if role := j.get(host); role != want {
				t.Errorf("for %s a later step used %s, want %s", host, role, want)
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
		j.prependPath(filepath.Join(j.home, "bin"))
		j.command("install", map[string]any{"version": released})
		j.command("configure", map[string]any{"registries": defaultHost})
		if role := j.get(defaultHost); role != emulator.CircleRole {
			t.Errorf("a later step used %s", role)
		}
	})
}

// TestOrbAudience checks that another audience is requested with the circleci command of the job.
func TestOrbAudience(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		tools := newToolDir(t, "curl", checksumTool)
		j := newOrbJob(t, shell, tools)
		token := j.server.CircleToken(emulator.CircleJob{Audience: "sts.amazonaws.com"})
		stub(t, tools, "circleci", fmt.Sprintf("echo '%s'", token))
		j.prependPath(filepath.Join(j.home, "bin"))
		j.command("install", map[string]any{"version": released})
		j.command("configure", map[string]any{
			"registries":          defaultHost,
			"audience":            "sts.amazonaws.com",
			"session_name":        "from-the-orb",
			"session_duration":    "15m",
			"allowed_account_ids": emulator.Account,
		})
		j.get(defaultHost)
		for _, call := range j.server.Calls() {
			if call.Op != "AssumeRoleWithWebIdentity" {
				continue
			}
			f := call.Form
			if f.Get("RoleSessionName") != "from-the-orb" || f.Get("DurationSeconds") != "900" {
				t.Errorf("STS received %s", f.Encode())
			}
		}
		env := map[string]string{"REGISTRY": otherHost}
		out, _, err := j.step(env, `printf %s "$REGISTRY" | docker-credential-ecr-oidc get`)
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
		j.prependPath(filepath.Join(j.home, "bin"))
		j.command("install", map[string]any{"version": released})
		j.env["CIRCLE_WORKFLOW_JOB_ID"] = "0c0ffee0"
		dir := filepath.Join(j.home, "docker-0c0ffee0")
		params := map[string]any{
			"registries":    defaultHost,
			"role_arn":      emulator.CircleRole,
			"docker_config": j.home + "/docker-$CIRCLE_WORKFLOW_JOB_ID",
		}
		if filepath.Base(shell[0]) != "bash" {
			j.refused("configure", params, "docker_config cannot reach later steps without bash; "+
				"set DOCKER_CONFIG in the environment of the job or executor")
			j.env["DOCKER_CONFIG"] = dir
		}
		j.command("configure", params)
		j.command("configure", params)
		if b, _ := os.ReadFile(j.env["BASH_ENV"]); strings.Count(string(b), "DOCKER_CONFIG") > 1 {
			t.Errorf("BASH_ENV has a setting twice:\n%s", b)
		}
		// Only that directory contains the role.
		j.env["ECR_ROLE_TO_ASSUME"] = ""
		if role := j.get(defaultHost); role != emulator.CircleRole {
			t.Errorf("a later step used %s", role)
		}
		if fi, err := os.Stat(dir); err != nil || fi.Mode().Perm() != 0o700 {
			t.Errorf("%v, %v", fi, err)
		}
		if _, err := os.Stat(filepath.Join(j.home, ".docker")); err == nil {
			t.Error("the configuration of the user was written")
		}
	})
	t.Run("bash named sh", func(t *testing.T) { // does not read BASH_ENV
		bash, err := exec.LookPath("bash")
		if err != nil || runtime.GOOS == "windows" {
			t.Skipf("bash is not on PATH, or the system is Windows")
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
		j.refused("configure",
			map[string]any{"registries": defaultHost, "docker_config": "/tmp/x"},
			"docker_config cannot reach later steps without bash; .*")
	})
}

// TestOrbInstallDir checks the directory of the binary, and the message when later steps do not
// search it.
func TestOrbInstallDir(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		j := newOrbJob(t, shell, newToolDir(t, "curl", checksumTool))
		// By default, the first writable directory of PATH.
		j.prependPath(filepath.Join(j.home, "bin"))
		j.prependPath(filepath.Join(j.home, ".local", "bin"))
		stdout, _ := j.command("install", map[string]any{"version": released})
		contains(t, "install", stdout, "installed "+filepath.Join(j.home, ".local", "bin", program))
		// The directory of install_dir.
		named := filepath.Join(j.home, "it's")
		j.refused("install",
			map[string]any{"version": released, "install_dir": named},
			"the directory is .*; its path must not contain a quote or a colon; specify another with --dir")
		j.refused("install",
			map[string]any{"version": released, "install_dir": "$HOME/bin"},
			`the directory begins with \$ or ~, which is not expanded; use an absolute path`)
		named = filepath.Join(j.home, "with space")
		stdout, _ = j.command("install", map[string]any{"version": released, "install_dir": named})
		contains(t, "install", stdout, "installed "+filepath.Join(named, program))
		if filepath.Base(shell[0]) == "bash" { // it comes first in PATH of later steps
			out, errs, err := j.step(nil, "command -v "+program)
			if err != nil || out != filepath.Join(named, program)+"\n" {
				t.Errorf("%v %s%s", err, out, errs)
			}
		}
		// The default is the version of the orb. A mirror has that version, but no latest version.
		j.command("install", nil)
		j.refused("install",
			map[string]any{"version": "latest"},
			"a mirror has no latest version; specify one with --version or ECR_OIDC_VERSION")
	})
}
