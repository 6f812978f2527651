package e2e

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// job is a CI job in its own directory, for tests that a script cannot express.
type job struct {
	server *emulator.Server
	dir    string
	env    map[string]string
}

// newJob starts an emulator with its default content and returns a GitHub job of acme/app on main.
func newJob(t *testing.T) *job {
	t.Helper()
	return newJobIn(t, emulator.Options{})
}

// newJobIn is newJob with options for the emulator.
func newJobIn(t *testing.T, o emulator.Options) *job {
	t.Helper()
	w, err := emulator.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	w.AddDefaults()
	dir := t.TempDir()
	j := &job{server: w, dir: dir, env: w.GitHub(emulator.GitHubJob{})}
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, w.CAPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	maps.Copy(j.env, map[string]string{
		"PATH": binDir() + string(os.PathListSeparator) + os.Getenv("PATH"), "HOME": filepath.Join(dir, "home"), "SystemRoot": os.Getenv("SystemRoot"),
		"RUNNER_TEMP": filepath.Join(dir, "runner"), "ECR_OIDC_ROLE": emulator.CIRole, "GOCOVERDIR": os.Getenv("GOCOVERDIR"), "TMPDIR": filepath.Join(dir, "tmp"),
		"AWS_CA_BUNDLE": ca, "AWS_ENDPOINT_URL_STS": w.URL("sts"), "AWS_ENDPOINT_URL_ECR": w.URL("ecr"), "AWS_ENDPOINT_URL_ECR_PUBLIC": w.URL("ecr-public"),
	})
	for _, d := range []string{"home", "runner", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return j
}

// command returns the program with a command. Its environment contains only the variables of the job.
func (j *job) command(name, stdin string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	cmd = exec.Command(helperPath(), name)
	for _, variable := range slices.Sorted(maps.Keys(j.env)) {
		if value := j.env[variable]; value != "" || !strings.HasPrefix(variable, "GOCOVER") {
			cmd.Env = append(cmd.Env, variable+"="+value)
		}
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), stdout, stderr
	return cmd, stdout, stderr
}

// get runs get for a host and returns the output.
func (j *job) get(host string) (stdout, stderr string, err error) { return j.run("get", host) }

// run runs a command and returns the output.
func (j *job) run(name, stdin string) (stdout, stderr string, err error) {
	cmd, out, errs := j.command(name, stdin)
	err = cmd.Run()
	return out.String(), errs.String(), err
}
