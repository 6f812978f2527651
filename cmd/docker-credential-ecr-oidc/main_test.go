package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/docker-credential-helpers/credentials"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/cli"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/testenv"
)

const host = "123456789012.dkr.ecr.eu-west-2.amazonaws.com"

// result is the output of a run of the program.
type result struct {
	code           int
	stdout, stderr string
}

// runCommand runs the program with these environment variables, each "NAME=value", and no others.
func runCommand(stdin string, command string, pairs ...string) result {
	var stdout, stderr bytes.Buffer
	p := cli.Program{Stdin: strings.NewReader(stdin), Stdout: &stdout, Stderr: &stderr,
		Env: environ(pairs...)}
	code := run(p, []string{command})
	return result{code, stdout.String(), stderr.String()}
}

func environ(pairs ...string) func(string) (string, bool) { return testenv.Lookup(pairs...) }

// Clients compare the messages that the protocol defines with the whole of stdout. stderr is empty.
func TestProtocolMessages(t *testing.T) {
	const notFound = "credentials not found in native keychain\n"
	for _, tt := range []struct{ command, stdin, want string }{
		{"get", "docker.io", notFound},
		{"get", "https://index.docker.io/v1/\n", notFound},
		{"get", "https://not.a.real.registry/url", notFound},
		{"get", host + ".evil.com", notFound},
		{"get", "public.ecr.aws", notFound},
		{"get", "", "no credentials server URL\n"},
		{"get", " \n", "no credentials server URL\n"},
		{"erase", "", "no credentials server URL\n"},
		{"store", `{"ServerURL":"","Username":"u","Secret":"s"}`, "no credentials server URL\n"},
		{"store", `{"ServerURL":"` + host + `","Secret":"s"}`, "no credentials username\n"},
	} {
		if got := runCommand(tt.stdin, tt.command,
			"ECR_OIDC_CACHE=off"); got != (result{exitFailure, tt.want, ""}) {
			t.Errorf("%s of %q: %+v, want only %q on stdout", tt.command, tt.stdin, got, tt.want)
		}
	}
}

// All other failures write the same line to stdout and stderr.
func TestFailure(t *testing.T) {
	const secret = "request-token-of-this-job"
	github := []string{"GITHUB_ACTIONS=true", "ECR_OIDC_CACHE=off"}
	for _, tt := range []struct {
		name, command, stdin string
		env                  []string
		want                 string
	}{
		{"no token", "get", host, append(github, "ECR_OIDC_ROLE=ci"),
			"ecr-oidc: finding the GitHub job's OIDC token: ACTIONS_ID_TOKEN_REQUEST_URL is not " +
				"set; give the job `permissions: {id-token: write}`"},
		{"no role", "get", host,
			append(github, "ACTIONS_ID_TOKEN_REQUEST_URL=https://x",
				"ACTIONS_ID_TOKEN_REQUEST_TOKEN="+secret),
			"ecr-oidc: finding an identity: no role is configured; set ECR_OIDC_ROLE to the role " +
				"to assume\n"},
		{"wrong setting", "get", host,
			append(github, "ECR_OIDC_SOURCE="+secret, "ACTIONS_ID_TOKEN_REQUEST_TOKEN="+secret),
			`ecr-oidc: ECR_OIDC_SOURCE is "***"; allowed values are auto, `},
		{"multi-line setting", "get", host,
			append(github, "ECR_OIDC_ROLE=ci\n::add-mask::x\x1b[31m"),
			`ecr-oidc: ECR_OIDC_ROLE has "ci ::add-mask::x [31m", which is not a role`},
		{"wrong boolean", "get", host, append(github, "ECR_OIDC_DEBUG=maybe"),
			`ecr-oidc: ECR_OIDC_DEBUG is "maybe"; allowed values are 1, 0, true, false, on, off`},
		{"store without cache", "store",
			`{"ServerURL":"` + host + `","Username":"AWS","Secret":"` + secret + `"}`,
			[]string{"ECR_OIDC_CACHE=off"},
			"ecr-oidc: storing the login for " + host +
				": opening the cache: ECR_OIDC_CACHE is off\n"},
		{"store for another host", "store",
			`{"ServerURL":"docker.io","Username":"u","Secret":"` + secret + `"}`, nil,
			`ecr-oidc: storing a login: "docker.io" is not an ECR registry`},
		{"store of invalid input", "store", `"` + secret, nil, "ecr-oidc: "},
		{"get with large input", "get", strings.Repeat("x", 1<<20), nil, "ecr-oidc: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := runCommand(tt.stdin, tt.command, tt.env...)
			if got.code != exitFailure || got.stdout != got.stderr ||
				!strings.HasPrefix(got.stdout, tt.want) {
				t.Errorf("%+v, want %q on stdout and stderr", got, tt.want)
			}
			if strings.Count(got.stdout, "\n") != 1 || !strings.HasSuffix(got.stdout, "\n") ||
				strings.Contains(got.stdout, "\x1b") || strings.Contains(got.stdout, secret) {
				t.Errorf("not one sanitized line: %q", got.stdout)
			}
		})
	}
}

// get returns a stored login as JSON on stdout, with an empty stderr, until erase deletes it.
func TestStoreGetErase(t *testing.T) {
	dir := "ECR_OIDC_CACHE_DIR=" + filepath.Join(t.TempDir(), "c")
	for _, name := range []string{"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"} {
		t.Setenv(name, filepath.Join(t.TempDir(), "none"))
	}
	if got := runCommand(`{"ServerURL":"https://`+host+`","Username":"AWS","Secret":"<the&password>"}`,
		"store", dir); got != (result{}) {
		t.Fatalf("store: %+v", got)
	}
	got := runCommand("https://"+host+"/v2/\n", "get", dir)
	var login credentials.Credentials
	if err := json.Unmarshal([]byte(got.stdout), &login); err != nil || got.code != 0 ||
		got.stderr != "" || login != (credentials.Credentials{ServerURL: "https://" + host +
		"/v2/", Username: "AWS", Secret: "<the&password>"}) {
		t.Errorf("get: %+v, %v", got, err)
	}
	if got := runCommand("", "list", dir, "DOCKER_CONFIG="+t.TempDir()); got != (result{0, "{}\n", ""}) {
		t.Errorf("list: %+v", got)
	}
	for range 2 {
		if got := runCommand(host, "erase", dir); got != (result{}) {
			t.Errorf("erase: %+v", got)
		}
	}
}

// With ECR_OIDC_DEBUG=1, each step is a line on stderr without a secret. stdout does not change.
func TestDebug(t *testing.T) {
	const secret = "request-token-of-this-job"
	env := []string{"ECR_OIDC_CACHE_DIR=" + filepath.Join(t.TempDir(), "c"),
		"ACTIONS_ID_TOKEN_REQUEST_URL=https://x", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=" + secret,
		"ECR_OIDC_ROLE=ci"}
	if got := runCommand(`{"ServerURL":"`+host+`","Username":"AWS","Secret":"the-password"}`, "store",
		env...); got.code != 0 {
		t.Fatal(got)
	}
	quiet := runCommand(host, "get", env...)
	for _, tt := range []struct {
		env       string
		wantDebug bool
	}{{"ECR_OIDC_DEBUG=1", true}, {"RUNNER_DEBUG=1", false}, {"ECR_OIDC_DEBUG=0", false},
		{"RUNNER_DEBUG=0", false}, {"ECR_OIDC_DEBUG=", false}} {
		got := runCommand(host, "get", append(env, tt.env)...)
		if got.code != 0 || got.stdout != quiet.stdout || (got.stderr != "") != tt.wantDebug ||
			strings.Contains(got.stderr, secret) || strings.Contains(got.stderr, "the-password") {
			t.Errorf("%s: %+v", tt.env, got)
		}
		for line := range strings.Lines(got.stderr) {
			if !strings.HasPrefix(line, "ecr-oidc: debug: ") {
				t.Errorf("%s: not a debug line: %q", tt.env, line)
			}
		}
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// If the response cannot be written, the exit code reports a failure.
func TestBrokenStdout(t *testing.T) {
	var stderr bytes.Buffer
	p := cli.Program{Stdin: strings.NewReader(""), Stdout: brokenWriter{}, Stderr: &stderr,
		Env: environ()}
	code := run(p, []string{"list"})
	if want := "ecr-oidc: writing the response: broken pipe\n"; code != exitFailure ||
		stderr.String() != want {
		t.Errorf("exit %d, %q, want %q", code, stderr.String(), want)
	}
}
