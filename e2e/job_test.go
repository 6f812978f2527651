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

// job is one CI job on a machine of its own, for tests that a script cannot express.
type job struct {
	server *emulator.Server
	dir    string
	env    map[string]string
}

// newJob starts an emulator with its usual company and a GitHub job of acme/app on main in it.
func newJob(t *testing.T) *job {
	t.Helper()
	return newJobIn(t, emulator.Options{})
}

// newJobIn is newJob in an emulator of one's own making.
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
		"PATH": built + string(os.PathListSeparator) + os.Getenv("PATH"), "HOME": filepath.Join(dir, "home"), "SystemRoot": os.Getenv("SystemRoot"),
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

// command is the built binary with a verb, in the job's environment and nothing else.
func (j *job) command(verb, stdin string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	cmd = exec.Command(filepath.Join(built, exe(program)), verb)
	for _, name := range slices.Sorted(maps.Keys(j.env)) {
		if value := j.env[name]; value != "" || !strings.HasPrefix(name, "GOCOVER") {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), stdout, stderr
	return cmd, stdout, stderr
}

// get asks for a host and returns what came out.
func (j *job) get(host string) (stdout, stderr string, err error) { return j.run("get", host) }

// run calls a verb and returns what came out.
func (j *job) run(verb, stdin string) (stdout, stderr string, err error) {
	cmd, out, errs := j.command(verb, stdin)
	err = cmd.Run()
	return out.String(), errs.String(), err
}
