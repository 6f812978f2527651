package e2e

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// orbJob is a job of acme/app on CircleCI. Each step gets a new shell, which starts as on CircleCI: with
// -eo pipefail and with BASH_ENV, which only bash reads.
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
	r, _ := realRelease()
	home := t.TempDir()
	ca := filepath.Join(home, "ca.pem")
	if err := os.WriteFile(ca, w.CAPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	j := &orbJob{
		t:      t,
		server: w,
		shell:  append(slices.Clone(shell), "-e"),
		env:    w.Circle(emulator.CircleJob{}),
		home:   home,
	}
	// Debian's dash does not support pipefail.
	pipefail := slices.Concat(shell[1:], []string{"-o", "pipefail", "-c", ":"})
	if exec.Command(shell[0], pipefail...).Run() == nil {
		j.shell = append(j.shell, "-o", "pipefail")
	}
	maps.Copy(j.env, map[string]string{
		"PATH":                 path,
		"HOME":                 home,
		"TMPDIR":               t.TempDir(),
		"BASH_ENV":             filepath.Join(home, ".bash_env-42"),
		"AWS_CA_BUNDLE":        ca,
		"AWS_ENDPOINT_URL_STS": w.URL("sts"),
		"AWS_ENDPOINT_URL_ECR": w.URL("ecr"),
		"ECR_ROLE_TO_ASSUME":   emulator.CircleRole,
		"ECR_OIDC_MIRROR":      newMirror(t, r).URL,
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

// command runs a command of the orb, which must succeed.
func (j *orbJob) command(name string, params map[string]any) (stdout, stderr string) {
	j.t.Helper()
	for _, s := range orbSteps(j.t, "commands", name, params) {
		out, errs, err := j.step(s.env, s.script)
		if err != nil {
			j.t.Fatalf("%s: %v\n%s%s", s.name, err, out, errs)
		}
		stdout, stderr = stdout+out, stderr+errs
	}
	return stdout, stderr
}

// refused runs a command of the orb, which must fail with one line of error.
func (j *orbJob) refused(name string, params map[string]any, want string) {
	j.t.Helper()
	for _, s := range orbSteps(j.t, "commands", name, params) {
		out, errs, err := j.step(s.env, s.script)
		if err == nil || !regexp.MustCompile("^(?:install.sh|ecr-oidc/configure): "+want+"\n$").MatchString(errs) {
			j.t.Errorf("%s: %v\n%s%swant %s", s.name, err, out, errs, want)
		}
	}
}

// get runs a later step, in which a client requests a password for a registry. It returns the role of the
// login.
func (j *orbJob) get(host string) (role string) {
	j.t.Helper()
	j.server.ResetCalls()
	env := map[string]string{"ECR_OIDC_CACHE": "off", "REGISTRY": host}
	out, errs, err := j.step(env, `printf %s "$REGISTRY" | docker-credential-ecr-oidc get`)
	if err != nil || !strings.Contains(out, `"Username":"AWS"`) {
		j.t.Fatalf("a later step, getting a password for %s: %v\n%s%s", host, err, out, errs)
	}
	for _, call := range j.server.Calls() {
		if call.Op == "AssumeRoleWithWebIdentity" {
			role = call.Detail
		}
	}
	return role
}

const otherHost = emulator.SpokeAccount + ".dkr.ecr." + emulator.Region + ".amazonaws.com"

// prependPath adds a directory at the beginning of PATH, as a job's image does.
func (j *orbJob) prependPath(dir string) {
	j.env["PATH"] = dir + string(os.PathListSeparator) + j.env["PATH"]
}
