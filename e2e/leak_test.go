package e2e

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// TestNothingLeaks checks that no secret reaches a stream, a file, an argument or the environment of
// another program, with debug output on. The only exception is the requested password on stdout.
// Every case ends with a diagnosis by doctor, as text and as JSON.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	slow(t, "runs the program against every fault")
	cases := leakCases()
	for _, name := range secretVariables(t) {
		cases[name] = variableCase(name)
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newLeakJob(t)
			if c.arrange != nil {
				c.arrange(j)
			}
			j.respond()
			c.act(j)
			var reports sync.WaitGroup
			reports.Go(func() { j.try("", "doctor", defaultHost) })
			reports.Go(func() { j.try("", "doctor", "--json", defaultHost) })
			reports.Wait()
			j.search()
		})
	}
	t.Run("faults", leakFaults)
}

// secretVariables returns the names of the environment variables that hold a secret. The file is
// the list of the provider table: a test in internal/token compares them, because these tests
// import nothing of the program.
func secretVariables(t *testing.T) []string {
	t.Helper()
	list, err := os.ReadFile("../internal/token/testdata/secret_variables.txt")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(list))
}

// variableCase sets one variable to a secret, and lets ECR send back what it may have received.
func variableCase(name string) leakCase {
	return leakCase{
		arrange: func(j *leakJob) {
			j.env[name] = "marked+secret/of=" + name
			j.addFault("ecr", emulator.Fault{
				Code: "ValidationException", Message: j.received("ecr"), Times: 1,
			})
		},
		act: func(j *leakJob) {
			j.try(defaultHost, "get") // a variable that holds no token makes it fail
			j.succeed(defaultHost, "erase")
			j.try(defaultHost, "get")
		},
	}
}

// leakJob is a job all of whose secrets are known, and everything that the program wrote in it.
type leakJob struct {
	*job
	t         *testing.T
	variables []string             // secretVariables
	token     string               // GitHub's response
	session   emulator.Credentials // STS's response
	ttl       time.Duration        // of session
	bin       string               // the first directory of PATH
	calls     string               // the directory where programs in bin record how they were called

	mu      sync.Mutex
	secrets []string          // must not appear anywhere
	allowed map[string]string // by secret, the file or directory that may contain it
	printed []string
	before  map[string]string // the files before the program ran, with their content
}

const (
	markedPassword = "marked+password/of=ECR" // ECR's response
	markedLogin    = "marked+login/that=was-stored"
	markedOther    = "marked+password/of=another-registry"
	markedKey      = "marked+secret/access=key"
	markedKeyToken = "marked+session/token=of-the-environment"
)

func newLeakJob(t *testing.T) *leakJob {
	t.Helper()
	j := &leakJob{
		job: newJob(t), t: t, variables: secretVariables(t), ttl: time.Hour,
		calls: t.TempDir(), allowed: map[string]string{},
	}
	j.bin = filepath.Join(j.dir, "bin")
	j.must(os.Mkdir(j.bin, 0o755))
	maps.Copy(j.env, map[string]string{
		"PATH":           j.bin + string(os.PathListSeparator) + j.env["PATH"],
		"DOCKER_CONFIG":  filepath.Join(j.dir, "docker"),
		"ECR_OIDC_DEBUG": "1", "AWS_MAX_ATTEMPTS": "1", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_SECRET_ACCESS_KEY": markedKey, "AWS_SESSION_TOKEN": markedKeyToken,
	})
	j.write("docker/config.json", `{"credHelpers": {"`+defaultHost+`": "ecr-oidc"}}`, 0o600)
	if runtime.GOOS != "windows" {
		j.addProgram("docker", "echo 'Docker version 29.1.3, build 0123456'") // for doctor
	}
	j.token = j.server.Mint(emulator.GitHubIssuer, map[string]any{
		"aud": "sts.amazonaws.com", "sub": "repo:acme/app:ref:refs/heads/main",
		"exp": time.Now().Add(time.Hour).Unix(),
	})
	j.session = j.server.RoleSession(emulator.CIRole, "marked", time.Hour)
	j.addSecret(j.token, j.session.SecretAccessKey, j.session.SessionToken,
		markedPassword, markedLogin, markedOther)
	return j
}

func (j *leakJob) must(err error) {
	j.t.Helper()
	if err != nil {
		j.t.Fatal(err)
	}
}

func (j *leakJob) addSecret(secrets ...string) { j.secrets = append(j.secrets, secrets...) }

// write writes a file below the directory of the job and returns its path.
func (j *leakJob) write(name, text string, mode fs.FileMode) string {
	j.t.Helper()
	path := filepath.Join(j.dir, filepath.FromSlash(name))
	j.must(os.MkdirAll(filepath.Dir(path), 0o755))
	j.must(os.WriteFile(path, []byte(text), mode))
	return path
}

// addProgram puts a shell script on PATH. The script records its arguments and its environment first.
func (j *leakJob) addProgram(name, script string) {
	j.t.Helper()
	if runtime.GOOS == "windows" {
		j.t.Skip("the other programs are shell scripts")
	}
	// A process that another test is starting would inherit the open file, which makes it busy.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	record := "for a in \"$0\" \"$@\"; do echo \"$a\"; done >>%[1]s/arguments\nenv >>%[1]s/environment\n"
	j.write("bin/"+name, fmt.Sprintf("#!/bin/sh\n"+record+"%[2]s\n", j.calls, script), 0o755)
}

// requireCalled fails the test unless the program on PATH was called.
func (j *leakJob) requireCalled(name string) {
	j.t.Helper()
	b, err := os.ReadFile(filepath.Join(j.calls, "arguments"))
	if err != nil || !strings.Contains(string(b), name) {
		j.t.Errorf("%s was not called: %q, %v", name, b, err)
	}
}

// received returns what a service could send back: every secret of the environment, and those of
// the request.
func (j *leakJob) received(service string) string {
	secrets := j.environment()
	switch service {
	case "sts":
		secrets = append(secrets, j.token)
	case "ecr", "sts.AssumeRole":
		secrets = append(secrets, j.session.SessionToken, j.session.SecretAccessKey)
	}
	return strings.Join(secrets, " ")
}

// environment returns the secrets in the environment of the job.
func (j *leakJob) environment() (secrets []string) {
	for _, name := range j.variables {
		if value := j.env[name]; value != "" {
			secrets = append(secrets, value)
		}
	}
	return secrets
}

// echo makes a service send back what it received.
func (j *leakJob) echo(service string, status int) {
	j.addFault(service, emulator.Fault{
		Status: status, Code: "ValidationException", Message: "bad: " + j.received(service),
	})
}

// addFault is Server.Fail. Its faults precede the responses that respond sets.
func (j *leakJob) addFault(service string, f emulator.Fault) {
	if service == "sts" {
		service = "sts.AssumeRoleWithWebIdentity"
	}
	j.server.AddFault(service, f)
}

// respond makes every service without a fault return known secrets from now on.
func (j *leakJob) respond() {
	j.t.Helper()
	j.addSecret(j.environment()...)
	respond := func(service string, value any) {
		body, err := json.Marshal(value)
		j.must(err)
		j.server.AddFault(service, emulator.Fault{Body: body, ContentType: "application/json"})
	}
	respond("oidc", map[string]any{"value": j.token, "token": j.token, "oidcToken": j.token})
	respond("ecr", map[string]any{"authorizationData": []any{map[string]any{
		"authorizationToken": base64.StdEncoding.EncodeToString([]byte("AWS:" + markedPassword)),
		"expiresAt":          time.Now().Add(12 * time.Hour).Unix(),
	}}})
	const session = "<%[1]sResponse><%[1]sResult><Credentials><AccessKeyId>%[2]s</AccessKeyId>" +
		"<SecretAccessKey>%[3]s</SecretAccessKey><SessionToken>%[4]s</SessionToken>" +
		"<Expiration>%[5]s</Expiration></Credentials></%[1]sResult></%[1]sResponse>"
	for _, operation := range []string{"AssumeRoleWithWebIdentity", "AssumeRole"} {
		body := fmt.Appendf(nil, session, operation, j.session.AccessKeyID, j.session.SecretAccessKey,
			j.session.SessionToken, time.Now().Add(j.ttl).UTC().Format(time.RFC3339))
		j.server.AddFault("sts."+operation, emulator.Fault{ContentType: "text/xml", Body: body})
	}
	j.before = j.files()
}

// files returns the regular files below the directory of the job, with their content.
func (j *leakJob) files() map[string]string {
	j.t.Helper()
	files := map[string]string{}
	j.must(filepath.WalkDir(j.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		files[path] = string(b)
		return err
	}))
	return files
}

// try runs the program and reports whether it succeeded. It keeps what the program printed, without
// the requested password. Several goroutines may call it.
func (j *leakJob) try(stdin string, args ...string) bool {
	cmd, out, errs := j.command(args[0], stdin)
	cmd.Args = append(cmd.Args, args[1:]...)
	cmd.Dir = j.dir
	err := cmd.Run()
	stdout, stderr := out.String(), errs.String()
	if err == nil {
		for _, password := range []string{markedPassword, markedLogin, markedOther} {
			switch args[0] {
			case "get":
				stdout = strings.Replace(stdout, `"Secret":"`+password+`"`, "", 1)
			case "password": // the GitHub runner masks a value in its log after ::add-mask::
				stdout = strings.Replace(stdout, password+"\n", "", 1)
				stderr = strings.Replace(stderr, "::add-mask::"+password+"\n", "", 1)
			}
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.printed = append(j.printed, stdout, stderr)
	return err == nil
}

// succeed is try for a command that must succeed.
func (j *leakJob) succeed(stdin string, args ...string) {
	j.t.Helper()
	if !j.try(stdin, args...) {
		j.t.Errorf("%s failed: %s", args[0], j.printed[len(j.printed)-2:])
	}
}

// fail is try for a command that must fail.
func (j *leakJob) fail(stdin string, args ...string) {
	j.t.Helper()
	if j.try(stdin, args...) {
		j.t.Errorf("%s succeeded: %s", args[0], j.printed[len(j.printed)-2:])
	}
}

// search fails the test if a secret is in what the program printed, in a file that it wrote, in the
// name of a file, or in an argument or the environment of a program that it called.
func (j *leakJob) search() {
	j.t.Helper()
	seen := map[string]bool{}
	look := func(where, text string, secrets []string) {
		for _, secret := range secrets {
			if seen[where+secret] {
				continue
			}
			for _, form := range encodings(secret) {
				if i := strings.Index(text, form); i >= 0 {
					j.t.Errorf("%s contains %.12s..., as %.12s...:\n%.300s", where, secret, form, text[max(0, i-100):])
					seen[where+secret] = true
					break
				}
			}
		}
	}
	for _, text := range j.printed {
		look("the output", text, append(j.secrets, "eyJhbGciOi")) // the header of any token
	}
	for path, text := range j.files() {
		secrets := slices.DeleteFunc(slices.Clone(j.secrets), func(secret string) bool {
			dir, ok := j.allowed[secret]
			return ok && strings.HasPrefix(path, dir)
		})
		look("the name of a file", path, secrets)
		if before, ok := j.before[path]; !ok || before != text {
			look(path, text, secrets)
		}
	}
	if arguments, err := os.ReadFile(filepath.Join(j.calls, "arguments")); err == nil {
		look("an argument", string(arguments), j.secrets)
	}
	if environment, err := os.ReadFile(filepath.Join(j.calls, "environment")); err == nil {
		// A child process may inherit the secrets of the job, but none that the program obtained.
		inherited := slices.Collect(maps.Values(j.env))
		obtained := slices.DeleteFunc(slices.Clone(j.secrets), func(secret string) bool {
			return slices.Contains(inherited, secret)
		})
		look("the environment of a child process", string(environment), obtained)
	}
}

// encodings returns the forms in which a text may contain a secret: as it is, in JSON, in a URL, in
// hexadecimal, and in base64 at each of three offsets.
func encodings(secret string) []string {
	quoted, _ := json.Marshal(secret)
	all := []string{
		secret, strings.Trim(string(quoted), `"`), url.QueryEscape(secret), url.PathEscape(secret),
		hex.EncodeToString([]byte(secret)),
	}
	for offset := range 3 {
		text := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", offset) + secret))
		text = text[(offset*8+5)/6 : len(text)-1] // without characters that also encode a neighbor
		all = append(all, text, strings.NewReplacer("+", "-", "/", "_").Replace(text))
	}
	slices.Sort(all)
	return slices.Compact(all)
}
