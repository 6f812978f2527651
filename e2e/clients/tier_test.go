//go:build clients

// Package clients is the second tier of tests: Docker, Podman, Skopeo and the like
// push and pull through our binary, under the real host names of AWS and of the
// CIs. It runs inside e2e/clients/enter.sh; e2e/clients/run.sh does all of it.
//
// A program that is not there is skipped by name, unless ECR_OIDC_CLIENTS_REQUIRE
// names it.
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

// aws is the emulator that every name in the namespace's /etc/hosts leads to.
var aws *emulator.Server

var skipped []string

func TestMain(m *testing.M) {
	bundle := os.Getenv("CLIENTS_CA")
	if bundle == "" {
		fmt.Fprintln(os.Stderr, "these tests need the namespace of e2e/clients/enter.sh: use e2e/clients/run.sh")
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
	if aws, err = emulator.Start(emulator.Options{Addr: net.JoinHostPort(os.Getenv("CLIENTS_IP"), "443")}); err != nil {
		return 0, err
	}
	defer aws.Close()
	aws.AddDefaults()
	// The file is bind-mounted: it has to stay the same file.
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

// need skips a test, loudly, when a program is absent.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		skip(t, program, "not installed here")
	}
	return path
}

func skip(t *testing.T, what, reason string) {
	t.Helper()
	if slices.Contains(strings.Split(os.Getenv("ECR_OIDC_CLIENTS_REQUIRE"), ","), what) {
		t.Fatalf("%s is required by ECR_OIDC_CLIENTS_REQUIRE: %s", what, reason)
	}
	skipped = append(skipped, fmt.Sprintf("%s: %s: %s", t.Name(), what, reason))
	t.Skipf("%s: %s", what, reason)
}

// job is one job of a CI: its variables, its home, and our binary configured
// as README says.
type job struct {
	dir string // home, temporary folder and scratch below it
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
	j.ok(t, "docker-credential-ecr-oidc", append([]string{"configure"}, registries...)...)
	return j
}

// trusted is a job of the repository and branch that the role trusts;
// untrusted one of a pull request there.
func trusted() map[string]string {
	return aws.GitHubRealHost(emulator.GitHubJob{Repository: "acme/app", Ref: "refs/heads/main"})
}

func untrusted() map[string]string {
	return aws.GitHubRealHost(emulator.GitHubJob{Repository: "acme/app", Ref: "refs/pull/7/merge", Event: "pull_request"})
}

func circle() map[string]string {
	ci := aws.Circle(emulator.CircleJob{})
	ci["ECR_ROLE_TO_ASSUME"] = emulator.CircleRole
	return ci
}

func (j *job) home() string         { return filepath.Join(j.dir, "home") }
func (j *job) dockerConfig() string { return filepath.Join(j.home(), ".docker", "config.json") }

func (j *job) scratch(name string) string { return filepath.Join(j.env["TMPDIR"], name) }

// with returns the same job with one more variable.
func (j *job) with(key, value string) *job {
	c := *j
	c.env = maps.Clone(j.env)
	c.env[key] = value
	return &c
}

// counted has the same job's calls of our binary noted, each as "get HOST by CLIENT".
func counted(t *testing.T, j *job) (*job, func() []string) {
	t.Helper()
	const name = "docker-credential-ecr-oidc"
	dir, log := t.TempDir(), filepath.Join(t.TempDir(), "log")
	check(t, os.WriteFile(filepath.Join(dir, name), fmt.Appendf(nil, `#!/bin/sh
read -r server
echo "$1 $server by $(cat /proc/$PPID/comm)" >>%s
printf %%s "$server" | exec %s "$@"
`, log, need(t, name)), 0o755))
	return j.with("PATH", dir+":"+j.env["PATH"]), func() []string {
		b, err := os.ReadFile(log)
		if os.IsNotExist(err) {
			return nil
		}
		check(t, err)
		return strings.Split(strings.TrimSpace(string(b)), "\n")
	}
}

// ok runs a command that has to succeed, and returns what it printed.
func (j *job) ok(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := j.try("", name, args...)
	t.Logf("$ %s %s\n%s", filepath.Base(name), strings.Join(args, " "), out)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// refused runs a command that has to fail, and returns what a person sees.
func (j *job) refused(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := j.try("", name, args...)
	t.Logf("$ %s %s\n%s[%v]", filepath.Base(name), strings.Join(args, " "), out, err)
	if err == nil {
		t.Fatal("succeeded, though the role does not trust this job")
	}
	return out
}

func (j *job) try(stdin, name string, args ...string) (string, error) {
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

type answer struct{ ServerURL, Username, Secret string }

// get asks our binary as Docker would.
func (j *job) get(server string) (answer, error) {
	out, err := j.try(server, "docker-credential-ecr-oidc", "get")
	if err != nil {
		return answer{}, fmt.Errorf("%w: %s", err, out)
	}
	var a answer
	if err := json.Unmarshal([]byte(out), &a); err != nil {
		return answer{}, fmt.Errorf("%w: %q", err, out)
	}
	return a, nil
}

// leftNothing fails the test if the job's home, its Docker configuration or its
// temporary folders hold the password, the token's bearer or a JWT.
func (j *job) leftNothing(t *testing.T, password string) {
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
				t.Errorf("%s holds the %s", path, what)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	t.Logf("no secret in %d files", files)
}

// asked fails the test unless exactly so many calls were made.
func asked(t *testing.T, tokens, sts, ecr int) {
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
