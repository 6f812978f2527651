//go:build clients

// Package clients tests the helper with real clients: Docker, Podman, Skopeo and others. They push
// and pull under the real host names of AWS and the CIs. The tests run in the namespaces of
// e2e/clients/enter.sh; e2e/clients/run.sh does everything.
//
// Tests of programs that are not installed are skipped, unless ECR_OIDC_CLIENTS_REQUIRE contains
// the program's name.
package clients

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

const (
	host = emulator.Account + ".dkr.ecr." + emulator.Region + ".amazonaws.com"
	role = emulator.CIRole
)

// aws is the emulator. The namespace's /etc/hosts maps all services to it.
var aws *emulator.Server

// skipped are the skipped tests with their reasons.
var skipped []string

func TestMain(m *testing.M) {
	bundle := os.Getenv("CLIENTS_CA")
	if bundle == "" {
		fmt.Fprintln(os.Stderr, "these tests need the namespaces of e2e/clients/enter.sh; run e2e/clients/run.sh")
		os.Exit(2)
	}
	code, err := run(m, bundle)
	if err != nil {
		fmt.Fprintln(os.Stderr, "clients:", err)
		os.Exit(2)
	}
	os.Exit(code)
}

func run(m *testing.M, bundle string) (int, error) {
	var err error
	if aws, err = emulator.Start(emulator.Options{Addr: net.JoinHostPort(os.Getenv("CLIENTS_IP"),
		"443")}); err != nil {
		return 0, err
	}
	defer aws.Close()
	aws.AddDefaults()
	// Append to the file: it is bind-mounted and cannot be replaced.
	f, err := os.OpenFile(bundle, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return 0, err
	}
	if _, err := f.Write(aws.CAPEM()); err != nil {
		return 0, err
	}
	if err := f.Close(); err != nil {
		return 0, err
	}
	code := m.Run()
	stopEngine()
	for _, s := range skipped {
		fmt.Println("SKIPPED:", s)
	}
	return code, nil
}

// need returns the path of a program, or skips the test if it is not installed.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		skip(t, program, "not installed")
	}
	return path
}

// skip skips a test because of a missing program, or fails it if ECR_OIDC_CLIENTS_REQUIRE contains
// the program.
func skip(t *testing.T, what, reason string) {
	t.Helper()
	if slices.Contains(strings.Split(os.Getenv("ECR_OIDC_CLIENTS_REQUIRE"), ","), what) {
		t.Fatalf("%s is required by ECR_OIDC_CLIENTS_REQUIRE: %s", what, reason)
	}
	skipped = append(skipped, fmt.Sprintf("%s: %s: %s", t.Name(), what, reason))
	t.Skipf("%s: %s", what, reason)
}

// job is a CI job with its variables and its home. The helper is registered with Docker as in README.
type job struct {
	dir string // contains the home and the temporary directories
	env map[string]string
}

func newJob(t *testing.T, ci map[string]string, registries ...string) *job {
	t.Helper()
	j := &job{dir: t.TempDir()}
	j.env = map[string]string{
		"PATH":               os.Getenv("PATH"),
		"HOME":               j.home(),
		"LANG":               "C",
		"TMPDIR":             filepath.Join(j.dir, "scratch"),
		"RUNNER_TEMP":        filepath.Join(j.dir, "runner"),
		"ECR_ROLE_TO_ASSUME": role,
	}
	maps.Copy(j.env, ci)
	for _, d := range []string{j.env["HOME"], j.env["TMPDIR"], j.env["RUNNER_TEMP"]} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	j.run(t, "docker-credential-ecr-oidc", append([]string{"configure"}, registries...)...)
	return j
}

// trustedJob returns the environment of a GitHub job that the role trusts.
func trustedJob() map[string]string {
	return aws.GitHubRealHost(emulator.GitHubJob{Repository: "acme/app", Ref: "refs/heads/main"})
}

// untrustedJob returns the environment of a job of a pull request, which the role does not trust.
func untrustedJob() map[string]string {
	return aws.GitHubRealHost(emulator.GitHubJob{Repository: "acme/app", Ref: "refs/pull/7/merge",
		Event: "pull_request"})
}

// circleCIJob returns the environment of a CircleCI job with a role that trusts it.
func circleCIJob() map[string]string {
	ci := aws.Circle(emulator.CircleJob{})
	ci["ECR_ROLE_TO_ASSUME"] = emulator.CircleRole
	return ci
}

func (j *job) home() string         { return filepath.Join(j.dir, "home") }
func (j *job) dockerConfig() string { return filepath.Join(j.home(), ".docker", "config.json") }

func (j *job) scratch(name string) string { return filepath.Join(j.env["TMPDIR"], name) }

// withEnv returns a copy of the job with another variable.
func (j *job) withEnv(key, value string) *job {
	c := *j
	c.env = maps.Clone(j.env)
	c.env[key] = value
	return &c
}

// withCallLog returns a copy of the job that logs the calls of the helper, and a function that
// returns them as "get HOST by CLIENT".
func withCallLog(t *testing.T, j *job) (*job, func() []string) {
	t.Helper()
	const name = "docker-credential-ecr-oidc"
	dir, log := t.TempDir(), filepath.Join(t.TempDir(), "log")
	check(t, os.WriteFile(filepath.Join(dir, name), fmt.Appendf(nil, `#!/bin/sh
read -r server
echo "$1 $server by $(cat /proc/$PPID/comm)" >>%s
printf %%s "$server" | exec %s "$@"
`, log, need(t, name)), 0o755))
	return j.withEnv("PATH", dir+":"+j.env["PATH"]), func() []string {
		b, err := os.ReadFile(log)
		if os.IsNotExist(err) {
			return nil
		}
		check(t, err)
		return strings.Split(strings.TrimSpace(string(b)), "\n")
	}
}

// run runs a command that has to succeed, and returns its output.
func (j *job) run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := j.exec("", name, args...)
	t.Logf("$ %s %s\n%s", filepath.Base(name), strings.Join(args, " "), out)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// runFails runs a command that has to fail because the role does not trust the job, and returns its
// output.
func (j *job) runFails(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := j.exec("", name, args...)
	t.Logf("$ %s %s\n%s[%v]", filepath.Base(name), strings.Join(args, " "), out, err)
	if err == nil {
		t.Fatal("succeeded, although the role does not trust the job")
	}
	return out
}

// exec runs a command in the environment of the job. It returns stdout and stderr together.
func (j *job) exec(stdin, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = time.Second
	for k, v := range j.env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	cmd.Dir = j.dir
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s %s: %w", filepath.Base(name), strings.Join(args, " "), err)
	}
	return string(out), err
}

// credentials is the output of get.
type credentials struct{ ServerURL, Username, Secret string }

// get runs the helper's get, as Docker does.
func (j *job) get(server string) (credentials, error) {
	out, err := j.exec(server, "docker-credential-ecr-oidc", "get")
	if err != nil {
		return credentials{}, fmt.Errorf("%w: %s", err, out)
	}
	var a credentials
	if err := json.Unmarshal([]byte(out), &a); err != nil {
		return credentials{}, fmt.Errorf("%w: %q", err, out)
	}
	return a, nil
}

// checkNoSecrets checks that no file in the job's directories contains the password, the request
// token or a JWT.
func (j *job) checkNoSecrets(t *testing.T, password string) {
	t.Helper()
	secrets := map[string][]byte{
		"password":         []byte(password),
		"encoded password": []byte(base64.StdEncoding.EncodeToString([]byte("AWS:" + password))),
		"JWT":              []byte(`eyJhbGciOi`),
	}
	if bearer := j.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]; bearer != "" {
		secrets["request token"] = []byte(bearer)
	}
	files := 0
	err := filepath.WalkDir(j.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		for what, s := range secrets {
			if bytes.Contains(b, s) {
				t.Errorf("%s contains the %s", path, what)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	t.Logf("no secret in %d files", files)
}

// wantCalls checks the numbers of calls for tokens, to STS and to ECR.
func wantCalls(t *testing.T, tokens, sts, ecr int) {
	t.Helper()
	for _, c := range []struct {
		service string
		want    int
	}{{"oidc.token", tokens}, {"sts", sts}, {"ecr", ecr}} {
		if got := aws.Count(c.service); got != c.want {
			t.Errorf("%d calls of %s, want %d", got, c.service, c.want)
		}
	}
}
