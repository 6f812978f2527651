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

var update = flag.Bool("update", false, "write testdata/doctor anew")

// golden compares what came out with a file, byte for byte; with -update it writes the file.
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
	is, was := strings.SplitAfter(got, "\n"), strings.SplitAfter(want, "\n")
	for len(is) > 1 && len(was) > 1 && is[0] == was[0] {
		is, was = is[1:], was[1:]
	}
	for len(is) > 1 && len(was) > 1 && is[len(is)-1] == was[len(was)-1] {
		is, was = is[:len(is)-1], was[:len(was)-1]
	}
	t.Errorf("%s (go test ./e2e -run Doctor -update writes it) has\n%swhere this came out:\n%s", path, strings.Join(was, ""), strings.Join(is, ""))
}

// patient is a job for doctor: it works, and Docker asks this helper for the usual registry.
func patient(t *testing.T, o emulator.Options) *job {
	t.Helper()
	j := newJobIn(t, o)
	j.env["USERPROFILE"], j.env["LocalAppData"], j.env["TMP"] = j.env["HOME"], filepath.Join(j.env["HOME"], "cache"), j.env["TMPDIR"] // Windows
	j.helpers(t, usual)
	j.docker(t, "29.1.3")
	return j
}

// write writes a file below the job's folder and returns its path.
func (j *job) write(t *testing.T, name, text string) string {
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

// config writes Docker's file.
func (j *job) config(t *testing.T, text string) { j.write(t, "home/.docker/config.json", text) }

// helpers writes one in which Docker asks this helper for these hosts.
func (j *job) helpers(t *testing.T, hosts ...string) {
	var entries []string
	for _, host := range hosts {
		entries = append(entries, fmt.Sprintf("%q: %q", host, "ecr-oidc"))
	}
	j.config(t, `{"credHelpers": {`+strings.Join(entries, ", ")+`}}`)
}

// docker puts a Docker on PATH that knows its version and no more; "" takes it away.
func (j *job) docker(t *testing.T, version string) {
	t.Helper()
	j.env["PATH"] = built
	if version == "" || runtime.GOOS == "windows" {
		return
	}
	path := j.write(t, "bin/docker", "#!/bin/sh\necho 'Docker version "+version+", build 0123456'\n")
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	j.env["PATH"] += string(os.PathListSeparator) + filepath.Dir(path)
}

// machine takes the CI's variables away. What is then said of a container is the same wherever the test runs.
func (j *job) machine() {
	for name := range j.env {
		if regexp.MustCompile(`^(ACTIONS_|GITHUB_|RUNNER_|CIRCLE|CI$|ECR_OIDC_ROLE$)`).MatchString(name) {
			delete(j.env, name)
		}
	}
	j.env["ECR_OIDC_CACHE_DIR"], j.env["container"] = filepath.Join(j.dir, "cache"), "podman"
}

// onCircle makes the job one of CircleCI.
func (j *job) onCircle(c emulator.CircleJob) {
	j.machine()
	delete(j.env, "container")
	maps.Copy(j.env, j.server.Circle(c))
	j.env["ECR_OIDC_ROLE"] = emulator.CircleRole
}

// onGitHub makes the job another one of GitHub.
func (j *job) onGitHub(g emulator.GitHubJob) {
	delete(j.env, "ACTIONS_ID_TOKEN_REQUEST_URL")
	delete(j.env, "ACTIONS_ID_TOKEN_REQUEST_TOKEN")
	maps.Copy(j.env, j.server.GitHub(g))
}

// pullRequest is a job that role ci does not trust.
var pullRequest = emulator.GitHubJob{Event: "pull_request", Ref: "refs/pull/7/merge"}

// keys puts the user's long-lived keys into the environment.
func (j *job) keys() {
	j.env["AWS_ACCESS_KEY_ID"], j.env["AWS_SECRET_ACCESS_KEY"] = emulator.AccessKeyID, emulator.SecretAccessKey
}

// profiles writes the AWS SDK's configuration file.
func (j *job) profiles(t *testing.T, text string) {
	j.env["AWS_CONFIG_FILE"] = j.write(t, "aws-config", text)
}

// outcome is what a run of the program left behind.
type outcome struct {
	stdout, stderr string
	code           int
}

// doctor runs the verb with its arguments.
func (j *job) doctor(t *testing.T, args ...string) outcome {
	t.Helper()
	cmd, stdout, stderr := j.command("doctor", "")
	cmd.Args = append(cmd.Args, args...)
	err := cmd.Run()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatal(err)
	}
	return outcome{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// changing is what is not the same in each run.
var changing = []struct {
	what *regexp.Regexp
	as   string
}{
	{regexp.MustCompile(`127\.0\.0\.1:\d+(->127\.0\.0\.1:\d+)?`), "127.0.0.1:PORT"},
	{regexp.MustCompile(`\b\d+ ms\b`), "N ms"},
	{regexp.MustCompile(`/ecr-oidc-\d+\b`), "/ecr-oidc-UID"},
	{regexp.MustCompile(`date/time \d+`), "date/time T"},
	{regexp.MustCompile(`valid for 15m\d+s`), "valid for 15mNs"},
	{regexp.MustCompile(`(tls: failed to verify certificate: x509: )[^;\n]*`), "${1}..."}, // in macOS's own words there
	{regexp.MustCompile(`\b(\d+[hms])+ left`), "LEFT left"},
	{regexp.MustCompile(`\b(for another|for up to) (\d+[hms])+`), "$1 LEFT"},
	{regexp.MustCompile(`\b\d+s ago`), "Ns ago"},
	{regexp.MustCompile(`((?:job|workflow|pipeline)-id = )[0-9a-f-]{36}`), "${1}UUID"},
	{regexp.MustCompile(`docker-credential-ecr-oidc [^"]*, commit [^"]*`), "VERSION"},
}

// plain takes it out.
func (j *job) plain(text string) string {
	if real, err := filepath.EvalSymlinks(j.dir); err == nil { // macOS's /var
		text = strings.ReplaceAll(text, real, "$JOB")
	}
	text = strings.ReplaceAll(strings.ReplaceAll(text, j.dir, "$JOB"), built, "$BUILT")
	for _, c := range changing {
		text = c.what.ReplaceAllString(text, c.as)
	}
	if runtime.GOOS == "darwin" { // which has a second PATH
		text = regexp.MustCompile(`(?m)^. PATH +applications .*\n( +→ .*\n)?`).ReplaceAllString(text, "")
	}
	return text
}

// whole shows a run.
func (j *job) whole(args []string, out outcome) string {
	text := strings.TrimSpace("$ doctor "+strings.Join(args, " ")) + "\n" + out.stdout
	if out.stderr != "" {
		text += "-- stderr --\n" + out.stderr
	}
	return j.plain(fmt.Sprintf("%s-- exit %d --\n", text, out.code))
}

// part shows of a run what is not well, the checks of these names, and the last line.
func (j *job) part(out outcome, names ...string) string {
	var b strings.Builder
	checks, rest, _ := strings.Cut(out.stdout[strings.Index(out.stdout, "\n\n")+2:], "\n\n")
	kept := false
	for line := range strings.Lines(checks + "\n") {
		if !strings.HasPrefix(line, " ") {
			_, name, _ := strings.Cut(line, " ")
			name, _, _ = strings.Cut(name, "  ")
			kept = !strings.HasPrefix(line, "✓") || slices.Contains(names, name)
		}
		if kept {
			b.WriteString(line)
		}
	}
	if verdict := regexp.MustCompile(`(?m)^.*trust policy.* token.*$`).FindString(rest); verdict != "" {
		b.WriteString("policy: " + verdict + "\n")
	}
	if _, get, ok := strings.Cut("\n"+rest, "\nget would return:\n"); ok {
		b.WriteString("get: " + get)
	}
	return j.plain(fmt.Sprintf("%s%sexit: %d\n", b.String(), out.stderr, out.code))
}

// onUnix skips what compares paths, and Docker's version, with a golden.
func onUnix(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skipf("the goldens have the paths of Unix, and a Docker that is a shell script")
	}
}
