package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// runOrbJob runs the steps of the orb's job push as CircleCI does: after a failure, only those with "when:
// on_fail". The helper is on PATH, so it leaves out install. It returns the names of the steps that ran,
// each followed by "!" if it failed, and the output of the last.
func (j *orbJob) runOrbJob(params map[string]any) (ran, output string) {
	j.t.Helper()
	failed := false
	for _, s := range allOrbSteps(j.t, "jobs", "push", params) {
		if s.script == "" || strings.HasPrefix(s.name, "Install") || s.onFail != failed {
			continue
		}
		stdout, stderr, err := j.step(s.env, s.script)
		if ran, output = ran+s.name+"\n", stdout+stderr; err != nil {
			ran, failed = strings.TrimSuffix(ran, "\n")+"!\n", true
		}
	}
	return ran, output
}

// TestOrbPushDoctor checks that the job push diagnoses a failure, and that a refused login fails the job
// before it builds.
func TestOrbPushDoctor(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		const configure, build, diagnose = "Configure " + program, "Build and push", "Diagnose " + program
		j := newOrbCheckJob(t, shell)
		if len(shell) == 1 {
			os.RemoveAll(j.env["PATH"])
			tools := newToolDir(t, "xargs", "printf")
			if err := os.Symlink(filepath.Join(binDir(), program), filepath.Join(tools, program)); err != nil {
				t.Fatal(err)
			}
			j.env["PATH"] = tools
		}
		stub(t, j.env["PATH"], "docker", `echo "$1" >>"$HOME/docker"; [ -z "$BROKEN" ]`)
		params := map[string]any{"image": defaultHost + "/app"}
		if ran, output := j.runOrbJob(params); ran != configure+"\n"+build+"\n" {
			t.Errorf("a job that succeeds ran\n%s%s", ran, output)
		}

		// A failure that is not a login's: the report is there, and the step succeeds.
		j.env["BROKEN"] = "1"
		ran, output := j.runOrbJob(params)
		if ran != configure+"\n"+build+"!\n"+diagnose+"\n" {
			t.Errorf("a job with a broken build ran\n%s%s", ran, output)
		}
		contains(t, "doctor", output, defaultHost)

		os.Remove(filepath.Join(j.home, "docker"))
		for _, role := range []string{"no-such-role", ""} {
			ran, output = j.runOrbJob(map[string]any{"image": defaultHost + "/app", "role_arn": role})
			if role == "" {
				j.env["ECR_ROLE_TO_ASSUME"] = ""
				os.RemoveAll(filepath.Join(j.home, ".docker"))
				ran, output = j.runOrbJob(params)
			}
			if ran != configure+"!\n"+diagnose+"!\n" {
				t.Errorf("a job with the role %q ran\n%s%s", role, ran, output)
			}
			want := map[string]string{"no-such-role": "AccessDenied", "": "no role is configured"}[role]
			contains(t, "doctor", output, defaultHost, want)
		}
		if b, err := os.ReadFile(filepath.Join(j.home, "docker")); err == nil {
			if strings.Contains(string(b), "build") || strings.Contains(string(b), "push") {
				t.Errorf("docker ran: %s", b)
			}
		}
	})
}

// TestOrbDoctor checks the command doctor without a configuration, with registries and with a mistake.
func TestOrbDoctor(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		j := newOrbCheckJob(t, shell)
		j.env["REGION"], j.env["ECR_OIDC_ROLE"] = emulator.Region, "no-such-role"
		stdout, stderr, err := j.runCommand("doctor", map[string]any{
			"registries": "https://" + emulator.Account + ".dkr.ecr.$REGION.amazonaws.com/app\n" +
				otherHost + "=circle"})
		if err == nil || stderr != "" {
			t.Errorf("doctor: %v %s", err, stderr)
		}
		contains(t, "doctor", stdout, defaultHost, otherHost, "AccessDenied")

		for registries, want := range map[string]string{
			"":            `finding the registries to diagnose: `,
			"foo.example": `registries has "foo.example", which is not an ECR registry; a registry looks like `,
			"$NOPE":       `registries needs the variable NOPE, which is not set or is empty in this job`,
		} {
			stdout, stderr, err = j.runCommand("doctor", map[string]any{"registries": registries})
			if err == nil || stdout != "" || !strings.HasPrefix(stderr, "ecr-oidc/doctor: "+want) ||
				strings.Count(stderr, "\n") != 1 {
				t.Errorf("registries %q: %v\n%s%swant %s", registries, err, stdout, stderr, want)
			}
			const next = "; see the step that configures it, or set registries\n"
			if registries == "" && !strings.HasSuffix(stderr, next) {
				t.Errorf("without a configuration: %s", stderr)
			}
		}

		if err := os.Remove(filepath.Join(j.env["PATH"], program)); err != nil {
			t.Fatal(err)
		}
		stdout, stderr, err = j.runCommand("doctor", nil)
		const next = "is not on PATH; see the step that installs it\n"
		if err != nil || stderr != "" || !strings.HasSuffix(stdout, next) {
			t.Errorf("without the helper: %v\n%s%s", err, stdout, stderr)
		}
	})
}
