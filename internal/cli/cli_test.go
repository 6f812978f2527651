package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/explain"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/testenv"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

const host = "123456789012.dkr.ecr.eu-west-2.amazonaws.com"

// A result is the outcome of one run of the program.
type result struct {
	code           int
	stdout, stderr string
}

// run runs the program with only these environment variables, each "NAME=value".
func run(stdin string, args []string, pairs ...string) result {
	var stdout, stderr bytes.Buffer
	code := Program{Stdin: strings.NewReader(stdin), Stdout: &stdout, Stderr: &stderr,
		Env: environ(pairs...)}.Run(args)
	return result{code, stdout.String(), stderr.String()}
}

func environ(pairs ...string) func(string) (string, bool) { return testenv.Lookup(pairs...) }

func args(a ...string) []string { return a }

// Wrong usage exits with 2, writes the error and the usage to stderr, and changes nothing.
func TestWrongUsage(t *testing.T) {
	configure := func(a ...string) []string { return append([]string{"configure"}, a...) }
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, "missing command\n"},
		{args("gett"), "unknown command \"gett\"; did you mean get?\n"},
		{args("login"), "unknown command \"login\"\n"},
		{args("frobnicate"), "unknown command \"frobnicate\"\n"},
		{args("Get"), `unknown command "Get"`},
		{args(""), "missing command\n"},
		{args("--frobnicate"), "unknown flag: --frobnicate\n"},
		{args("help", "frobnicate"), "unknown command \"frobnicate\"\n"},
		{args("get", host), "get takes no arguments; it reads from stdin\n"},
		{args("list", "x"), "list takes no arguments"},
		{args("version", "x"), "version takes no arguments\n"},
		{args("completion"), "completion takes one shell: bash, zsh, fish, powershell\n"},
		{args("completion", "tcsh"), `completion: unknown shell "tcsh"; supported shells are bash, `},
		{args("password"), "password takes one registry, for example " + exampleHost},
		{args("password", host, host), "password takes one registry"},
		{args("password", "docker.io"),
			`"docker.io" is not an ECR registry; a registry looks like ` + exampleHost},
		{configure(), "configure requires at least one registry, for example " + exampleHost},
		{configure("docker.io"), `"docker.io" is not an ECR registry`},
		{configure("--no-such-flag", host), "configure: unknown flag: --no-such-flag\n"},
		{configure("--role"), "configure: flag needs an argument: --role\n"},
		{configure("--rol", "ci", host), "configure: unknown flag: --rol; did you mean --role?\n"},
		{configure("--docker-confg=x", host),
			"configure: unknown flag: --docker-confg; did you mean --docker-config?\n"},
		{args("--versoin"), "unknown flag: --versoin; did you mean --version?\n"},
		{configure("--role", "", host), "configure: the value of --role is empty\n"},
		{configure("--role", "hub,,spoke", host), "configure: the value of --role is empty\n"},
		{configure("--profile", " ", host), "configure: the value of --profile is empty\n"},
		{configure("--account", "", "--region", ""),
			"configure: the value of --account is empty\n"},
		{configure("--creds-store="), "configure: the value of --creds-store is empty\n"},
		{configure("--backup=", host), "configure: the value of --backup is empty\n"},
		{configure("--docker-config", "", host),
			"configure: the value of --docker-config is empty\n"},
		{args("doctor", "--claims", ""), "doctor: the value of --claims is empty\n"},
		{configure("--role", "ci"),
			"configure: --role, --source, --profile and the other settings require at least " +
				"one registry"},
		{configure("--account", "123456789012"),
			"configure: --account and --region must be used together\n"},
		{configure("--region", "eu-west-2", host),
			"configure: --account and --region must be used together\n"},
		{configure("--account", "12345678901", "--region", "eu-west-2"),
			`configure: there is no registry of account "12345678901" in region "eu-west-2"`},
		{configure("--account", "123456789012", "--region", "eu-west-2,London"),
			`configure: there is no registry of account "123456789012" in region "London"; an ` +
				"account has twelve digits, and a region looks like eu-west-2\n"},
		{configure("--account", "123456789012", "--region", "eu-west2"),
			`configure: there is no registry of account "123456789012" in region "eu-west2"; ` +
				"did you mean eu-west-2?\n"},
		{configure("--remove"), "configure requires at least one registry"},
		{configure("--remove", "--role", "ci", host),
			"configure: --remove cannot be used with --role"},
		{configure("--remove", "--creds-store=desktop"),
			"configure: --remove --creds-store restores the previous credsStore; it takes no " +
				"name\n"},
		{configure("--authfile", "f", "--creds-store", host),
			"configure: --creds-store is for Docker; Podman's file has no credsStore\n"},
		{configure("--authfile", "f", "--docker-config", "d", host),
			"configure: --authfile and --docker-config cannot be used together"},
		{configure("--creds-store=../desktop"),
			`configure: --creds-store="../desktop" is not the name of a helper`},
		{configure("--creds-store=ecr-oidc"),
			"configure: --creds-store=ecr-oidc is this program;"},
		{configure("--creds-store", "desktop"),
			`"desktop" is not an ECR registry; a registry looks like ` + exampleHost +
				"; to name the helper for other hosts: --creds-store=desktop\n"},
	} {
		dir := t.TempDir()
		got := run("", tt.args, "DOCKER_CONFIG="+dir)
		if got.code != exitUsage || got.stdout != "" ||
			!strings.HasPrefix(got.stderr, "ecr-oidc: "+tt.want) ||
			!strings.Contains(got.stderr, "\n\nUsage:\n  docker-credential-ecr-oidc") ||
			!strings.Contains(got.stderr, "--help") {
			t.Errorf("%q: %+v, want %s", tt.args, got, tt.want)
		}
		if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
			t.Errorf("%q wrote %v, %v", tt.args, files, err)
		}
	}
}

// checkHelp checks the sections and the width of a help text.
func checkHelp(t *testing.T, name, text string) {
	t.Helper()
	for _, title := range []string{"Usage", "Examples", "Flags", "Environment", "Files", "Exit status"} {
		if strings.Count(text, "\n"+title+":\n  ") != 1 {
			t.Errorf("%s has no section %s:\n%s", name, title, text)
		}
	}
	for line := range strings.Lines(text) {
		if len(line) > helpWidth+len("\n") || strings.HasSuffix(line, " \n") {
			t.Errorf("%s: the line is too long, or ends with a space: %q", name, line)
		}
	}
	if regexp.MustCompile(`\b[Vv]erbs?\b|\[command\]`).MatchString(text) {
		t.Errorf("%s does not use the word command:\n%s", name, text)
	}
}

// The help of the program lists every variable, and points to the state of everything.
func TestRootHelp(t *testing.T) {
	help := run("", args("help")).stdout
	checkHelp(t, "help", help)
	unknown := config.UnknownVariables([]string{"ECR_OIDC_SOMETHING_ELSE=x"})
	variables := regexp.MustCompile(`ECR_OIDC_[A-Z_]*[A-Z]`).FindAllString(unknown[0], -1)[1:]
	if len(variables) < 15 {
		t.Fatal(variables)
	}
	for _, name := range append(variables, "ECR_OIDC_ROLE_<account>", "ECR_OIDC_PROFILE_<account>") {
		if !regexp.MustCompile(`[ ,]` + name + `[\s,]`).MatchString(help) {
			t.Errorf("help does not list %s", name)
		}
	}
	for _, command := range []string{"help", "doctor"} {
		got := run("", args(command, "--help"))
		if command == "help" {
			got = run("", args("--help"))
		}
		if !strings.Contains(got.stdout, "docker-credential-ecr-oidc check --offline\n") {
			t.Errorf("%s does not name check --offline:\n%s", command, got.stdout)
		}
	}
}

// The help lists every command. The help of each command has an example, and is the same for help,
// --help and -h.
func TestHelp(t *testing.T) {
	all := run("", args("help"))
	for _, a := range [][]string{args("help"), args("--help"), args("-h")} {
		if got := run("", a); got != all || got.code != exitSuccess || got.stderr != "" ||
			!strings.Contains(got.stdout, "\nCommands:\n") {
			t.Errorf("%s: %+v", a, got)
		}
	}
	for _, command := range []string{"configure", "check", "doctor", "password", "version", "help",
		"completion", "get", "store", "erase", "list"} {
		if !strings.Contains(all.stdout, "\n  "+command+" ") {
			t.Errorf("help does not list %s", command)
		}
		got := run("", args("help", command))
		if got.code != exitSuccess || got.stderr != "" ||
			!strings.Contains(got.stdout, "\nExamples:\n  ") ||
			!strings.Contains(got.stdout, "\nUsage:\n  docker-credential-ecr-oidc "+command) {
			t.Errorf("help %s: %+v", command, got)
		}
		checkHelp(t, command, got.stdout)
		for _, flag := range []string{"--help", "-h"} {
			if again := run("", args(command, flag)); again != got {
				t.Errorf("%s %s: %+v, want %+v", command, flag, again, got)
			}
		}
	}
}

func TestVersion(t *testing.T) {
	line := regexp.MustCompile(`^docker-credential-ecr-oidc \S+, commit \S+, go1\.\d+\S* \w+/\w+\n$`)
	for _, command := range []string{"version", "--version", "-v"} {
		if got := run("", args(command)); got.code != exitSuccess || !line.MatchString(got.stdout) ||
			got.stderr != "" {
			t.Errorf("%s: %+v", command, got)
		}
	}
}

// Completion offers the commands, flags, configured registries and accounts, regions, profiles, sources
// and shells.
func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := run("", args("completion", shell)); got.code != exitSuccess ||
			len(got.stdout) < 1000 || got.stderr != "" {
			t.Errorf("%s: exit %d, %d bytes, %s", shell, got.code, len(got.stdout), got.stderr)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"),
		[]byte(`{"credHelpers":{"`+host+`":"ecr-oidc","gcr.io":"gcloud"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	profiles := filepath.Join(dir, "profiles")
	if err := os.WriteFile(profiles,
		[]byte("[default]\n[profile dev]\n[profile ::error::x]\n[profile a\ab]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"configure", "check", "doctor"} {
		if got := run("", args("__complete", command, "--")); strings.Contains(got.stdout, "`") ||
			!strings.Contains(got.stdout, "--help\t") {
			t.Errorf("the flags of %s: %+v", command, got)
		}
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{args("conf"), "configure\tRegister this helper with Docker\n:4\n"},
		{args("password", ""), host + "\n:4\n"},
		{args("configure", "--remove", ""), host + "\n:4\n"},
		{args("configure", host, ""), ":4\n"},
		{args("configure", "--source", ""), strings.Join(token.Sources(), "\n") + "\n:4\n"},
		{args("configure", "--profile", ""), "default\ndev\n:4\n"},
		{args("configure", "--account", ""), "123456789012\n:4\n"},
		{args("configure", "--region", "eu-west-"), "eu-west-1\neu-west-2\neu-west-3\n:4\n"},
		{args("configure", "--region", "eu-west-2,us-gov"),
			"eu-west-2,us-gov-east-1\neu-west-2,us-gov-west-1\n:4\n"},
		{args("configure", "--pro"), "--profile\tthe AWS PROFILE to use outside a CI\n:4\n"},
		{args("check", ""), host + "\n:4\n"},
		{args("completion", ""), "bash\nzsh\nfish\npowershell\n:4\n"},
		{args("help", "help", ""), ":4\n"},
		{args("version", ""), ":4\n"},
	} {
		got := run("", append([]string{"__complete"}, tt.args...), "DOCKER_CONFIG="+dir,
			"AWS_CONFIG_FILE="+profiles, "AWS_SHARED_CREDENTIALS_FILE="+filepath.Join(dir, "none"))
		if got.code != exitSuccess || got.stdout != tt.want {
			t.Errorf("%q: %+v, want %q", tt.args, got, tt.want)
		}
	}
}

// A release build prints its version and commit.
func TestReleaseVersion(t *testing.T) {
	got := Program{Version: "v1.2.3", Commit: "0123abc"}.version()
	if !strings.HasPrefix(got, "docker-credential-ecr-oidc v1.2.3, commit 0123abc, go1.") {
		t.Error(got)
	}
}

// The error of password ends with the doctor command for the registry.
func TestPasswordDoctorCommand(t *testing.T) {
	err := &getError{&explain.TimeoutError{Action: "running password", Limit: explain.CommandTimeout},
		host}
	got := Program{Env: environ()}.errorLine(err)
	want := "ecr-oidc: running password: timed out after 28s; to see why: " +
		"docker-credential-ecr-oidc doctor " + host
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// A failed write to stdout is a failure.
func TestBrokenStdout(t *testing.T) {
	var stderr bytes.Buffer
	for _, command := range []string{"version", "help"} {
		stderr.Reset()
		code := Program{Stdin: strings.NewReader(""), Stdout: brokenPipe{}, Stderr: &stderr,
			Env: environ()}.Run(args(command))
		if want := "ecr-oidc: writing to stdout: broken pipe\n"; code != exitFailure ||
			stderr.String() != want {
			t.Errorf("%s: exit %d, %q, want %q", command, code, stderr.String(), want)
		}
	}
}

func TestConfigure(t *testing.T) {
	bin, dir := t.TempDir(), t.TempDir()
	t.Setenv("PATH", bin)
	path := filepath.Join(dir, "config.json")
	already := ""
	for _, arguments := range [][]string{
		args("configure", "https://"+strings.ToUpper(host)+"/team/app"),
		args("configure", "--docker-config", dir, host),
	} {
		env := "DOCKER_CONFIG=" + dir
		if len(arguments) > 2 {
			env = "DOCKER_CONFIG=" + t.TempDir() // --docker-config takes precedence
		}
		got := run("", arguments, env)
		if want := fmt.Sprintf("%s: Docker %suses ecr-oidc for %s\n", path, already,
			host); got.code != exitSuccess || got.stdout != want {
			t.Errorf("%q: %+v, want %q", arguments, got, want)
		}
		if want := "ecr-oidc: docker-credential-ecr-oidc is not on PATH, where Docker looks for " +
			"it; copy "; !strings.HasPrefix(got.stderr, want) ||
			!strings.HasSuffix(got.stderr, " with the name docker-credential-ecr-oidc\n") {
			t.Errorf("%q: stderr %q, want %q", arguments, got.stderr, want)
		}
		var file struct{ CredHelpers map[string]string }
		b, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(b, &file)
		}
		if err != nil || len(file.CredHelpers) != 1 || file.CredHelpers[host] != "ecr-oidc" {
			t.Errorf("%q: %s, %v", arguments, b, err)
		}
		already = "already "
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := run("", args("configure", host), "DOCKER_CONFIG="+dir)
	if got.code != exitFailure || got.stdout != "" ||
		!strings.HasPrefix(got.stderr, "ecr-oidc: editing "+path+": it is not JSON") ||
		strings.Count(got.stderr, "\n") != 1 {
		t.Errorf("file with a syntax error: %+v", got)
	}
}
