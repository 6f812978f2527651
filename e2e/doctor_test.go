package e2e

import (
	"flag"
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

var update = flag.Bool("update", false, "rewrite the golden files of doctor in testdata/doctor")

// golden compares text with a golden file, byte for byte. With -update it rewrites the file.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll(string(b), "\r\n", "\n")
	if got == want {
		return
	}
	g, w := strings.SplitAfter(got, "\n"), strings.SplitAfter(want, "\n")
	for len(g) > 1 && len(w) > 1 && g[0] == w[0] {
		g, w = g[1:], w[1:]
	}
	for len(g) > 1 && len(w) > 1 && g[len(g)-1] == w[len(w)-1] {
		g, w = g[:len(g)-1], w[:len(w)-1]
	}
	t.Errorf("%s differs (to rewrite it: go test ./e2e -run Doctor -update)\ngot:\n%swant:\n%s",
		path, strings.Join(g, ""), strings.Join(w, ""))
}

// newDoctorJob returns a GitHub job in which a get succeeds, and whose Docker 29.1.3 uses this helper
// for defaultHost.
func newDoctorJob(t *testing.T, o emulator.Options) *job {
	t.Helper()
	j := newJobIn(t, o)
	maps.Copy(j.env, map[string]string{ // Windows
		"USERPROFILE": j.env["HOME"], "LocalAppData": filepath.Join(j.env["HOME"], "cache"),
		"TMP": j.env["TMPDIR"],
	})
	j.setCredHelpers(t, defaultHost)
	j.installDocker(t, "29.1.3")
	return j
}

// writeFile writes a file below the job's directory and returns its path.
func (j *job) writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(j.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// writeDockerConfig writes Docker's config.json.
func (j *job) writeDockerConfig(t *testing.T, text string) {
	t.Helper()
	j.writeFile(t, "home/.docker/config.json", text)
}

// setCredHelpers writes a config.json that assigns these registries to this helper.
func (j *job) setCredHelpers(t *testing.T, hosts ...string) {
	t.Helper()
	var entries []string
	for _, host := range hosts {
		entries = append(entries, fmt.Sprintf("%q: %q", host, "ecr-oidc"))
	}
	j.writeDockerConfig(t, `{"credHelpers": {`+strings.Join(entries, ", ")+`}}`)
}

// installDocker puts a docker command on PATH that only prints its version. If version is "", there
// is no docker on PATH.
func (j *job) installDocker(t *testing.T, version string) {
	t.Helper()
	j.env["PATH"] = binDir()
	if version == "" || runtime.GOOS == "windows" {
		return
	}
	path := j.writeFile(t, "bin/docker",
		"#!/bin/sh\necho 'Docker version "+version+", build 0123456'\n")
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	j.env["PATH"] += string(os.PathListSeparator) + filepath.Dir(path)
}

// leaveCI removes the CI's variables. The variable container makes doctor report a container also
// where the test does not run in one.
func (j *job) leaveCI() {
	ci := regexp.MustCompile(`^(ACTIONS_|GITHUB_|RUNNER_|CIRCLE|CI$|ECR_OIDC_ROLE$)`)
	for name := range j.env {
		if ci.MatchString(name) {
			delete(j.env, name)
		}
	}
	j.env["ECR_OIDC_CACHE_DIR"], j.env["container"] = filepath.Join(j.dir, "cache"), "podman"
}

// onCircle makes the job a job of CircleCI.
func (j *job) onCircle(c emulator.CircleJob) {
	j.leaveCI()
	delete(j.env, "container")
	maps.Copy(j.env, j.server.Circle(c))
	j.env["ECR_OIDC_ROLE"] = emulator.CircleRole
}

// onGitHub makes the job another job of GitHub.
func (j *job) onGitHub(g emulator.GitHubJob) {
	delete(j.env, "ACTIONS_ID_TOKEN_REQUEST_URL")
	delete(j.env, "ACTIONS_ID_TOKEN_REQUEST_TOKEN")
	maps.Copy(j.env, j.server.GitHub(g))
}

// pullRequest is a job that role ci does not trust.
var pullRequest = emulator.GitHubJob{Event: "pull_request", Ref: "refs/pull/7/merge"}

// setKeys sets an IAM user's long-lived keys.
func (j *job) setKeys() {
	j.env["AWS_ACCESS_KEY_ID"] = emulator.AccessKeyID
	j.env["AWS_SECRET_ACCESS_KEY"] = emulator.SecretAccessKey
}

// writeAWSConfig writes the configuration file of the AWS SDK.
func (j *job) writeAWSConfig(t *testing.T, text string) {
	t.Helper()
	j.env["AWS_CONFIG_FILE"] = j.writeFile(t, "aws-config", text)
}

// output is the output and the exit code of a command.
type output struct {
	stdout, stderr string
	code           int
}

// doctor runs doctor in the job's environment.
func (j *job) doctor(t *testing.T, args ...string) output {
	t.Helper()
	cmd, stdout, stderr := j.command("doctor", "")
	cmd.Args = append(cmd.Args, args...)
	err := cmd.Run()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatal(err)
	}
	return output{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// variableText lists the text that differs between runs, and what replaces it in a golden file.
var variableText = []struct {
	pattern     *regexp.Regexp
	replacement string
}{
	{regexp.MustCompile(`127\.0\.0\.1:\d+(->127\.0\.0\.1:\d+)?`), "127.0.0.1:PORT"},
	{regexp.MustCompile(`\b\d+ ms\b`), "N ms"},
	// internal/token tests the list.
	{regexp.MustCompile(`allowed values are auto, github, [^\n]*, aws\b`), "allowed values are SOURCES"},
	{regexp.MustCompile(`/ecr-oidc-\d+\b`), "/ecr-oidc-UID"},
	{regexp.MustCompile(`date/time \d+`), "date/time T"},
	{regexp.MustCompile(`valid for 15m\d+s`), "valid for 15mNs"},
	// On macOS the rest is the text of the system.
	{regexp.MustCompile(`(tls: failed to verify certificate: x509: )[^;\n]*`), "${1}..."},
	{regexp.MustCompile(`\b(\d+[hms])+ left`), "LEFT left"},
	{regexp.MustCompile(`\b(for another|for up to) (\d+[hms])+`), "$1 LEFT"},
	{regexp.MustCompile(`\b\d+s ago`), "Ns ago"},
	{regexp.MustCompile(`((?:job|workflow|pipeline)-id = )[0-9a-f-]{36}`), "${1}UUID"},
	{regexp.MustCompile(`docker-credential-ecr-oidc [^"]*, commit [^"]*`), "VERSION"},
}

// normalize replaces the text that differs between runs and machines.
func (j *job) normalize(text string) string {
	if dir, err := filepath.EvalSymlinks(j.dir); err == nil { // /var on macOS
		text = strings.ReplaceAll(text, dir, "$JOB")
	}
	text = strings.ReplaceAll(strings.ReplaceAll(text, j.dir, "$JOB"), binDir(), "$BUILT")
	for _, v := range variableText {
		text = v.pattern.ReplaceAllString(text, v.replacement)
	}
	if runtime.GOOS == "darwin" { // doctor also reports the PATH of applications
		applications := regexp.MustCompile(`(?m)^. PATH +applications .*\n( +→ .*\n)?`)
		text = applications.ReplaceAllString(text, "")
	}
	return text
}

// formatRun returns a command line and its whole output as the text of a golden file.
func (j *job) formatRun(args []string, out output) string {
	text := strings.TrimSpace("$ doctor "+strings.Join(args, " ")) + "\n" + out.stdout
	if out.stderr != "" {
		text += "-- stderr --\n" + out.stderr
	}
	return j.normalize(fmt.Sprintf("%s-- exit %d --\n", text, out.code))
}

// formatChecks returns a part of the output: the verdict and what is below it, the other checks that
// are not ok, the checks with these names, the title of the policy, and the line that get would return.
func (j *job) formatChecks(out output, names ...string) string {
	var b strings.Builder
	verdict, checks, _ := strings.Cut(out.stdout, "\n\n")
	b.WriteString(verdict + "\n")
	checks, rest, _ := strings.Cut(checks, "\n\n")
	selected := false
	for line := range strings.Lines(checks + "\n") {
		if !strings.HasPrefix(line, " ") {
			_, name, _ := strings.Cut(line, " ")
			name, _, _ = strings.Cut(name, "  ")
			selected = !strings.HasSuffix(line, "  (see above)\n") &&
				(!strings.HasPrefix(line, "✓") || slices.Contains(names, name))
		}
		if selected {
			b.WriteString(line)
		}
	}
	title := regexp.MustCompile(`(?m)^.*trust policy.* token.*$`).FindString(rest)
	if title != "" {
		b.WriteString("policy: " + title + "\n")
	}
	if _, get, ok := strings.Cut("\n"+rest, "\nget would return:\n"); ok {
		b.WriteString("get: " + get)
	}
	return j.normalize(fmt.Sprintf("%s%sexit: %d\n", b.String(), out.stderr, out.code))
}

// skipOnWindows skips a test whose golden file contains Unix paths, or that needs installDocker.
func skipOnWindows(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skipf("the golden files contain Unix paths, and docker is a shell script")
	}
}
