package e2e

import (
	"crypto/sha1"
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

// marked is a job whose every secret is known, with all that came of it: what was printed, with debug on, what was
// written, and how other programs were called.
type marked struct {
	*job
	t       *testing.T
	token   string               // that GitHub gives
	session emulator.Credentials // that STS gives for it
	life    time.Duration        // of that
	bin     string               // first on PATH
	called  string               // where the programs there note how they were called

	mu      sync.Mutex
	secrets []string          // that may be seen nowhere
	kept    map[string]string // but a secret may be in the files below this folder
	printed []string
	given   map[string]string // the files that were there before, with their content
}

const (
	markedPassword = "marked+password/of=ECR" // what ECR gives
	markedLogin    = "marked+login/that=was-stored"
	markedForeign  = "marked+password/of=another-registry"
	markedKey      = "marked+secret/access=key"
	markedKeyToken = "marked+session/token=of-the-environment"
)

func mark(t *testing.T) *marked {
	t.Helper()
	m := &marked{job: newJob(t), t: t, life: time.Hour, called: t.TempDir(), kept: map[string]string{}}
	m.bin = filepath.Join(m.dir, "bin")
	m.must(os.Mkdir(m.bin, 0o755))
	maps.Copy(m.env, map[string]string{
		"PATH": m.bin + string(os.PathListSeparator) + m.env["PATH"], "ECR_OIDC_DEBUG": "1", "AWS_MAX_ATTEMPTS": "1",
		"AWS_SECRET_ACCESS_KEY": markedKey, "AWS_SESSION_TOKEN": markedKeyToken, "DOCKER_CONFIG": filepath.Join(m.dir, "docker"),
		"AWS_EC2_METADATA_DISABLED": "true",
	})
	m.token = m.server.Mint(emulator.GitHubIssuer, map[string]any{"aud": "sts.amazonaws.com", "sub": "repo:acme/app:ref:refs/heads/main", "exp": time.Now().Add(time.Hour).Unix()})
	m.session = m.server.RoleSession(emulator.CIRole, "marked", time.Hour)
	m.hide(m.token, m.session.SecretAccessKey, m.session.SessionToken, markedPassword, markedLogin, markedForeign)
	return m
}

func (m *marked) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

// hide marks secrets.
func (m *marked) hide(secrets ...string) { m.secrets = append(m.secrets, secrets...) }

// write writes a file that is the test's own.
func (m *marked) write(name, text string, mode fs.FileMode) string {
	m.t.Helper()
	path := filepath.Join(m.dir, filepath.FromSlash(name))
	m.must(os.MkdirAll(filepath.Dir(path), 0o755))
	m.must(os.WriteFile(path, []byte(text), mode))
	return path
}

// program puts a shell script onto PATH. It notes its arguments and its environment first.
func (m *marked) program(name, script string) {
	m.t.Helper()
	if runtime.GOOS == "windows" {
		m.t.Skip("the other programs are shell scripts")
	}
	syscall.ForkLock.RLock() // or a process that another test is just starting has it open, and it is busy
	defer syscall.ForkLock.RUnlock()
	m.write("bin/"+name, fmt.Sprintf("#!/bin/sh\nfor a in \"$0\" \"$@\"; do echo \"$a\"; done >>%[1]s/arguments\nenv >>%[1]s/environment\n%[2]s\n", m.called, script), 0o755)
}

// known is what a service could send back of what it was sent, and with it every secret of the environment.
func (m *marked) known(service string) string {
	secrets := m.environment()
	switch service {
	case "sts":
		secrets = append(secrets, m.token)
	case "ecr", "sts.AssumeRole":
		secrets = append(secrets, m.session.SessionToken, m.session.SecretAccessKey)
	}
	return strings.Join(secrets, " ")
}

// environment is the secrets of the job's variables.
func (m *marked) environment() (secrets []string) {
	for _, name := range []string{
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN", "CIRCLE_OIDC_TOKEN", "CIRCLE_OIDC_TOKEN_V2", "ECR_OIDC_TOKEN", "BUILDKITE_AGENT_ACCESS_TOKEN",
		"SYSTEM_ACCESSTOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
	} {
		if value := m.env[name]; value != "" {
			secrets = append(secrets, value)
		}
	}
	return secrets
}

// echo makes a service answer with what it knows.
func (m *marked) echo(service string, status int) {
	m.fail(service, emulator.Fault{Status: status, Code: "ValidationException", Message: "bad: " + m.known(service)})
}

// fail is Server.Fail, which goes before the answers that settle gives.
func (m *marked) fail(service string, f emulator.Fault) {
	if service == "sts" {
		service = "sts.AssumeRoleWithWebIdentity"
	}
	m.server.Fail(service, f)
}

// settle has every service that is still well give marked answers from now on.
func (m *marked) settle() {
	m.t.Helper()
	m.hide(m.environment()...)
	answer := func(service string, value any) {
		body, err := json.Marshal(value)
		m.must(err)
		m.server.Fail(service, emulator.Fault{Body: body, ContentType: "application/json"})
	}
	answer("oidc", map[string]any{"value": m.token, "token": m.token, "oidcToken": m.token})
	answer("ecr", map[string]any{"authorizationData": []any{map[string]any{
		"authorizationToken": base64.StdEncoding.EncodeToString([]byte("AWS:" + markedPassword)), "expiresAt": time.Now().Add(12 * time.Hour).Unix(),
	}}})
	for _, op := range []string{"AssumeRoleWithWebIdentity", "AssumeRole"} {
		m.server.Fail("sts."+op, emulator.Fault{ContentType: "text/xml", Body: fmt.Appendf(nil,
			"<%[1]sResponse><%[1]sResult><Credentials><AccessKeyId>%[2]s</AccessKeyId><SecretAccessKey>%[3]s</SecretAccessKey><SessionToken>%[4]s</SessionToken><Expiration>%[5]s</Expiration></Credentials></%[1]sResult></%[1]sResponse>",
			op, m.session.AccessKeyID, m.session.SecretAccessKey, m.session.SessionToken, time.Now().Add(m.life).UTC().Format(time.RFC3339))})
	}
	m.given = m.files()
}

// files reads all that lies in the job's folders.
func (m *marked) files() map[string]string {
	m.t.Helper()
	files := map[string]string{}
	m.must(filepath.WalkDir(m.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		files[path] = string(b)
		return err
	}))
	return files
}

// do runs the program and says whether it succeeded. What it printed is kept, but for the password that was asked for.
func (m *marked) do(stdin string, args ...string) bool {
	cmd, out, errs := m.command(args[0], stdin)
	cmd.Args = append(cmd.Args, args[1:]...)
	cmd.Dir = m.dir
	err := cmd.Run()
	stdout, stderr := out.String(), errs.String()
	if err == nil {
		for _, password := range []string{markedPassword, markedLogin, markedForeign} {
			switch args[0] {
			case "get":
				stdout = strings.Replace(stdout, `"Secret":"`+password+`"`, "", 1)
			case "password":
				stdout = strings.Replace(stdout, password+"\n", "", 1)
				stderr = strings.Replace(stderr, "::add-mask::"+password+"\n", "", 1) // and the runner strikes it out from then on
			}
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.printed = append(m.printed, stdout, stderr)
	return err == nil
}

// good and bad are do, where it matters that it succeeds or fails.
func (m *marked) good(stdin string, args ...string) {
	m.t.Helper()
	if !m.do(stdin, args...) {
		m.t.Errorf("%s failed: %s", args[0], m.printed[len(m.printed)-2:])
	}
}

func (m *marked) bad(stdin string, args ...string) {
	m.t.Helper()
	if m.do(stdin, args...) {
		m.t.Errorf("%s succeeded: %s", args[0], m.printed[len(m.printed)-2:])
	}
}

// search looks for every secret in all that came of the job.
func (m *marked) search() {
	m.t.Helper()
	seen := map[string]bool{}
	look := func(where, text string, secrets []string) {
		for _, secret := range secrets {
			if seen[where+secret] {
				continue
			}
			for _, form := range forms(secret) {
				if i := strings.Index(text, form); i >= 0 {
					m.t.Errorf("%s has %.12s... in it, as %.12s...:\n%.300s", where, secret, form, text[max(0, i-100):])
					seen[where+secret] = true
					break
				}
			}
		}
	}
	for _, text := range m.printed {
		look("what was printed", text, append(m.secrets, "eyJhbGciOi"))
	}
	for path, text := range m.files() {
		var secrets []string
		for _, secret := range m.secrets {
			if dir, ok := m.kept[secret]; !ok || !strings.HasPrefix(path, dir) {
				secrets = append(secrets, secret)
			}
		}
		look("a file's name", path, secrets)
		if given, ok := m.given[path]; !ok || given != text {
			look(path, text, secrets)
		}
	}
	if arguments, err := os.ReadFile(filepath.Join(m.called, "arguments")); err == nil {
		look("an argument", string(arguments), m.secrets)
	}
	if environment, err := os.ReadFile(filepath.Join(m.called, "environment")); err == nil {
		var earned []string // by the program; what the job has in its environment its children have too
		for _, secret := range m.secrets {
			if !slices.Contains(slices.Collect(maps.Values(m.env)), secret) {
				earned = append(earned, secret)
			}
		}
		look("the environment of a child", string(environment), earned)
	}
}

// wasCalled fails the test unless the program on PATH was called.
func (m *marked) wasCalled(name string) {
	m.t.Helper()
	b, err := os.ReadFile(filepath.Join(m.called, "arguments"))
	if err != nil || !strings.Contains(string(b), name) {
		m.t.Errorf("%s was not called: %q, %v", name, b, err)
	}
}

// forms are the ways in which a secret may stand in a text: as it is, in a URL, in hexadecimal, and in base64 alone or
// behind something else.
func forms(secret string) []string {
	quoted, _ := json.Marshal(secret)
	all := []string{secret, strings.Trim(string(quoted), `"`), url.QueryEscape(secret), url.PathEscape(secret), hex.EncodeToString([]byte(secret))}
	for before := range 3 {
		text := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", before) + secret))
		text = text[(before*8+5)/6 : len(text)-1] // without what neighbours have a part in
		all = append(all, text, strings.NewReplacer("+", "-", "/", "_").Replace(text))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// machine takes the job's variables away.
func (m *marked) machine() {
	for name := range m.env {
		if name == "CI" || name == "ECR_OIDC_ROLE" || strings.HasPrefix(name, "GITHUB_") || strings.HasPrefix(name, "ACTIONS_") || strings.HasPrefix(name, "RUNNER_") {
			delete(m.env, name)
		}
	}
	m.env["AWS_SECRET_ACCESS_KEY"], m.env["AWS_SESSION_TOKEN"] = "", ""
}

// ci makes it a job of another CI.
func (m *marked) ci(env map[string]string) {
	m.machine()
	maps.Copy(m.env, env)
	m.env["ECR_OIDC_ROLE"] = emulator.CIRole
}

// No secret reaches a stream, a file, an argument or another program's environment on any path, debug output included;
// the password that was asked for is on stdout and nowhere else.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]struct {
		first func(*marked) // before the services are settled
		then  func(*marked)
	}{
		"get": {then: func(m *marked) {
			m.good(usual, "get")
			m.good(usual, "get")
			m.good("", "list")
			m.good(usual, "erase")
			m.good("", "password", usual)
		}},
		"many gets": {then: func(m *marked) {
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() { m.do(usual, "get") })
			}
			all.Wait()
		}},
		"many refusals": {first: func(m *marked) { m.echo("sts", 403) }, then: func(m *marked) {
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() { m.do(usual, "get") })
			}
			all.Wait()
			m.bad(usual, "get")
			m.bad("", "password", usual)
		}},
		"the runner's debug log": {first: func(m *marked) {
			m.env["ECR_OIDC_DEBUG"], m.env["RUNNER_DEBUG"] = "", "1"
			m.fail("ecr", emulator.Fault{Status: 400, Code: "ValidationException", Message: "bad: " + m.known("ecr"), Times: 1})
		}, then: func(m *marked) {
			m.bad(usual, "get")
			m.good(usual, "erase")
			m.good(usual, "get")
			if logs, _ := filepath.Glob(filepath.Join(m.env["RUNNER_TEMP"], "ecr-oidc-debug*.log")); len(logs) != 1 {
				m.t.Errorf("there is no log: %q", logs)
			}
		}},
		"no cache":                 {first: func(m *marked) { m.env["ECR_OIDC_CACHE"] = "off" }, then: func(m *marked) { m.good(usual, "get") }},
		"GitHub echoes, and fails": {first: func(m *marked) { m.echo("oidc", 500) }, then: func(m *marked) { m.bad(usual, "get") }},
		"GitHub echoes, and says no": {first: func(m *marked) { m.echo("oidc", 400) }, then: func(m *marked) {
			m.bad(usual, "get")
			m.bad(usual, "get")
		}},
		"GitHub echoes for a token": {first: func(m *marked) {
			b, err := json.Marshal(map[string]string{"value": "not a token " + m.known("oidc")})
			m.must(err)
			m.fail("oidc", emulator.Fault{Body: b})
		}, then: func(m *marked) { m.bad(usual, "get") }},
		"ECR echoes": {first: func(m *marked) { m.echo("ecr", 400) }, then: func(m *marked) {
			m.bad(usual, "get")
			m.bad(usual, "get")
		}},
		"ECR quotes a signature": {first: func(m *marked) {
			m.fail("ecr", emulator.Fault{Status: 403, Code: "InvalidSignatureException", Message: "The Canonical String for this request should have been 'POST\n/\n\nx-amz-security-token:" + m.session.SessionToken + "'"})
		}, then: func(m *marked) { m.bad(usual, "get") }},
		"the keys alone": {first: func(m *marked) {
			m.env["ECR_OIDC_ROLE"], m.env["AWS_ACCESS_KEY_ID"] = "", "AKIAIOSFODNN7EXAMPLE"
			m.fail("ecr", emulator.Fault{Code: "ValidationException", Message: m.known("oidc"), Times: 1})
		}, then: func(m *marked) {
			m.bad(usual, "get")
			m.good(usual, "erase")
			m.good("", "password", usual)
		}},
		"a chain of roles": {first: func(m *marked) {
			m.env["ECR_OIDC_ROLE"] = emulator.CIRole + "," + emulator.SpokeRole
			m.server.Fail("sts.AssumeRole", emulator.Fault{Code: "ValidationError", Message: m.known("sts.AssumeRole"), Times: 1})
		}, then: func(m *marked) {
			m.bad(usual, "get")
			m.good(usual, "erase")
			m.good("", "password", usual)
		}},
		"a refresh": {first: func(m *marked) { m.life = time.Second }, then: func(m *marked) { m.refresh(func() {}) }},
		"a refresh that fails": {first: func(m *marked) { m.life = time.Second }, then: func(m *marked) {
			m.refresh(func() { m.server.ClearFaults(); m.echo("oidc", 503) })
		}},
		"a refresh that is refused": {first: func(m *marked) { m.life = time.Second }, then: func(m *marked) {
			m.refresh(func() {
				m.server.ClearFaults()
				m.fail("sts", emulator.Fault{Status: 403, Code: "AccessDenied", Message: m.known("sts")})
			})
			m.bad(usual, "get")
		}},
		"store": {then: func(m *marked) {
			login := fmt.Sprintf(`{"ServerURL":"https://%s","Username":"AWS","Secret":"%s"}`, usual, markedLogin)
			m.good(login, "store")
			m.good(usual, "get")
			m.good(usual, "erase")
			m.env["ECR_OIDC_CACHE"] = "off"
			m.bad(login, "store")
			m.bad(strings.Replace(login, usual, "ghcr.io", 1), "store")
			m.bad(strings.TrimSuffix(login, "}"), "store")
		}},
		"creds_store": {first: func(m *marked) {
			m.write("docker/ecr-oidc.yaml", "creds_store: other\n", 0o600)
			m.program("docker-credential-other", `case $1 in
get) printf '{"ServerURL":"ghcr.io","Username":"jane","Secret":"`+markedForeign+`"}' ;;
list) printf '{"ghcr.io":"jane"}' ;;
*) cat >/dev/null ;;
esac`)
		}, then: func(m *marked) {
			m.good("ghcr.io", "get")
			m.good(`{"ServerURL":"ghcr.io","Username":"jane","Secret":"`+markedForeign+`"}`, "store")
			m.good("", "list")
			m.good("ghcr.io", "erase")
			m.good(usual, "get")
			m.wasCalled("docker-credential-other")
		}},
		"creds_store that fails": {first: func(m *marked) {
			m.write("docker/ecr-oidc.yaml", "creds_store: other\n", 0o600)
			m.program("docker-credential-other", "cat\nexit 1")
		}, then: func(m *marked) {
			m.bad(`{"ServerURL":"ghcr.io","Username":"jane","Secret":"`+markedForeign+`"}`, "store")
			m.bad("ghcr.io", "get")
			m.wasCalled("docker-credential-other")
		}},
		"configure": {first: func(m *marked) {
			m.write("docker/config.json", `{"auths": {"`+usual+`": {"auth": "`+base64.StdEncoding.EncodeToString([]byte("AWS:"+markedLogin))+`"}}}`, 0o600)
			m.kept[markedLogin] = filepath.Join(m.dir, "docker", "config.json") // it is kept where it is found, backups included
		}, then: func(m *marked) {
			m.good("", "configure", "--dry-run", usual)
			m.good("", "configure", "--role", "ci", "--source", "github", usual)
			m.good("", "configure", "--creds-store=none", usual)
			m.good("", "configure", "--remove", usual)
			m.do("", "doctor", usual)
			m.do("", "doctor", "--json", usual)
		}},
		"doctor on a bad day": {first: func(m *marked) { m.echo("ecr", 400) }, then: func(m *marked) {
			m.do("", "doctor", usual)
			m.do("", "doctor", "--json", usual)
		}},
		"circleci": {first: func(m *marked) {
			m.ci(m.server.Circle(emulator.CircleJob{Expired: true}))
			token := m.server.CircleToken(emulator.CircleJob{})
			m.hide(token)
			m.program("circleci", "echo '"+token+"'")
		}, then: func(m *marked) {
			m.good(usual, "get")
			m.wasCalled("circleci")
		}},
		"circleci that fails": {first: func(m *marked) {
			m.ci(m.server.Circle(emulator.CircleJob{}))
			m.env["ECR_OIDC_AUDIENCE"] = "another"
			m.program("circleci", "echo '"+m.server.CircleToken(emulator.CircleJob{})+"'; echo \"no $CIRCLE_OIDC_TOKEN_V2\" >&2; exit 1")
		}, then: func(m *marked) {
			m.bad(usual, "get")
			m.wasCalled("circleci")
		}},
		"gitlab": {first: func(m *marked) { m.ci(m.server.GitLab(emulator.GitLabJob{})); m.echo("ecr", 400) }, then: func(m *marked) { m.bad(usual, "get") }},
		"buildkite": {first: func(m *marked) {
			m.ci(m.server.Buildkite(emulator.BuildkiteJob{}))
			m.fail("oidc", emulator.Fault{Status: 422, Code: "x", Message: m.env["BUILDKITE_AGENT_ACCESS_TOKEN"], Times: 1})
		}, then: func(m *marked) {
			m.bad(usual, "get")
			m.good(usual, "erase")
			m.good("", "password", usual)
		}},
		"azure": {first: func(m *marked) {
			m.ci(m.server.Azure(emulator.AzureJob{Connection: "ecr-push"}))
			m.fail("oidc", emulator.Fault{Status: 404, Code: "x", Message: m.env["SYSTEM_ACCESSTOKEN"], Times: 1})
		}, then: func(m *marked) {
			m.bad(usual, "get")
			m.good(usual, "erase")
			m.good("", "password", usual)
			m.do("", "doctor", "--json", usual)
		}},
		"azure, whose URL has a password": {first: func(m *marked) {
			m.ci(m.server.Azure(emulator.AzureJob{}))
			m.hide("marked-password")
			m.env["SYSTEM_OIDCREQUESTURI"] = "https://user:marked-password@127.0.0.1:1/x?marked-password"
		}, then: func(m *marked) { m.bad(usual, "get") }},
		"a token in a file": {first: func(m *marked) {
			m.env["ECR_OIDC_TOKEN_FILE"] = m.write("token", m.server.CircleToken(emulator.CircleJob{}), 0o600)
			m.echo("sts", 400)
		}, then: func(m *marked) { m.bad(usual, "get") }},
		"a token that is none": {first: func(m *marked) { m.env["ECR_OIDC_TOKEN"] = "marked-and-no-token" }, then: func(m *marked) { m.bad(usual, "get") }},
		"credential_process": {first: func(m *marked) {
			m.machine()
			m.hide("marked+key/of=the-process")
			m.program("give-keys", `echo '{"Version": 1, "AccessKeyId": "AKIAIOSFODNN7EXAMPLE", "SecretAccessKey": "marked+key/of=the-process"}'`)
			m.env["AWS_CONFIG_FILE"] = m.write("aws-config", "[default]\ncredential_process = give-keys\n", 0o600)
			m.fail("ecr", emulator.Fault{Code: "ValidationException", Message: "marked+key/of=the-process", Times: 1})
		}, then: func(m *marked) {
			m.bad(usual, "get")
			m.good(usual, "erase")
			m.good(usual, "get")
			m.wasCalled("give-keys")
		}},
		"credential_process that fails": {first: func(m *marked) {
			m.machine()
			m.hide("marked+key/of=the-process")
			m.program("give-keys", `printf '{"Version": 1, "SecretAccessKey": "marked+key/of=the-process", '; exit 3`)
			m.env["AWS_CONFIG_FILE"] = m.write("aws-config", "[default]\ncredential_process = give-keys\n[profile cut]\ncredential_process = give-keys; true\n", 0o600)
		}, then: func(m *marked) {
			m.bad(usual, "get")
			m.env["AWS_PROFILE"] = "cut"
			m.bad(usual, "get")
			m.wasCalled("give-keys")
		}},
		"sso": {first: func(m *marked) { m.sso(time.Hour) }, then: func(m *marked) { m.good(usual, "get") }},
		"sso that is renewed": {first: func(m *marked) { m.sso(-time.Hour) }, then: func(m *marked) {
			m.good(usual, "get")
			if m.server.Count("sso.CreateToken") != 1 {
				m.t.Error("it was not renewed")
			}
		}},
		"sso that is refused": {first: func(m *marked) {
			m.sso(-time.Hour)
			m.server.Fail("sso", emulator.Fault{Status: 400, Code: "InvalidGrantException", Message: "no"})
		}, then: func(m *marked) { m.bad(usual, "get") }},
		"a URL with a password": {first: func(m *marked) {
			m.hide("marked-password")
			m.env["ACTIONS_ID_TOKEN_REQUEST_URL"] = "https://user:marked-password@127.0.0.1:1/x?marked-password"
		}, then: func(m *marked) { m.bad(usual, "get") }},
		"endpoints with a password": {first: func(m *marked) {
			m.hide("marked-password")
			m.env["AWS_ENDPOINT_URL_STS"] = "https://user:marked-password@127.0.0.1:1/x?marked-password"
		}, then: func(m *marked) { m.bad(usual, "get") }},
		"a proxy with a password": {first: func(m *marked) {
			m.hide("marked-password")
			m.env["HTTPS_PROXY"] = "http://user:marked-password@127.0.0.1:1"
			maps.Copy(m.env, m.server.GitHubRealHost(emulator.GitHubJob{})) // nobody asks a proxy for loopback
		}, then: func(m *marked) { m.bad(usual, "get") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := mark(t)
			if path.first != nil {
				path.first(m)
			}
			m.settle()
			path.then(m)
			m.search()
		})
	}
	t.Run("troubles", func(t *testing.T) {
		t.Parallel()
		var all sync.WaitGroup
		some := make(chan struct{}, 10)
		for _, tr := range troubles() {
			for _, at := range []struct{ service, says string }{{"oidc", tr.oidc}, {"sts", tr.sts}, {"ecr", tr.ecr}} {
				if at.says == "" || tr.slow {
					continue
				}
				m := mark(t)
				d := &day{trouble: tr, service: at.service, lasts: true, job: m.job}
				t.Cleanup(d.begin())
				if d.leads == nil {
					f := d.broken()
					f.Body = []byte(strings.ReplaceAll(string(f.Body), half, m.known(d.service)))
					f.Message = m.known(d.service) + f.Message
					if strings.HasPrefix(f.Code, "one") {
						f.Code = m.known(d.service) + f.Code
					}
					m.fail(d.service, f)
				}
				m.settle()
				all.Go(func() {
					some <- struct{}{}
					defer func() { <-some }()
					m.bad(usual, "get")
					m.search()
				})
			}
		}
		all.Wait()
	})
}

// refresh earns a password, makes a change, and asks again until AWS is asked again.
func (m *marked) refresh(change func()) {
	m.t.Helper()
	m.good(usual, "get")
	change()
	for start, before := time.Now(), len(m.server.Calls()); len(m.server.Calls()) == before; m.do(usual, "get") {
		if time.Since(start) > time.Minute {
			m.t.Fatal("AWS was never asked again")
		}
	}
}

// sso makes it a machine with what "aws sso login" left behind, which lives for that long and can be renewed.
func (m *marked) sso(life time.Duration) {
	m.t.Helper()
	m.machine()
	const access, refresh, client = "marked+access/token=of-sso", "marked+refresh/token=of-sso", "marked+client/secret=of-sso"
	sum := sha1.Sum([]byte("acme"))
	token, err := json.Marshal(map[string]string{
		"accessToken": access, "expiresAt": time.Now().Add(life).UTC().Format(time.RFC3339), "region": "eu-west-2", "startUrl": "https://acme.awsapps.com/start",
		"clientId": "client-id", "clientSecret": client, "registrationExpiresAt": time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339), "refreshToken": refresh,
	})
	m.must(err)
	m.write("home/.aws/sso/cache/"+hex.EncodeToString(sum[:])+".json", string(token), 0o600)
	m.env["AWS_CONFIG_FILE"] = m.write("aws-config", `[default]
sso_session = acme
sso_account_id = `+emulator.Account+`
sso_role_name = Developer
[sso-session acme]
sso_region = eu-west-2
sso_start_url = https://acme.awsapps.com/start
`, 0o600)
	m.env["USERPROFILE"] = m.env["HOME"]
	m.env["AWS_ENDPOINT_URL_SSO"], m.env["AWS_ENDPOINT_URL_SSO_OIDC"] = m.server.URL("sso"), m.server.URL("sso-oidc")
	m.server.AddRole(emulator.Role{ARN: developer, Pull: []string{"app*"}})
	m.server.AddSSOAssignment(access, emulator.Account, "Developer", developer)
	m.server.AddSSORefreshToken(refresh, access)
	for _, secret := range []string{access, refresh, client} {
		m.hide(secret)
		m.kept[secret] = filepath.Join(m.env["HOME"], ".aws", "sso", "cache")
	}
}
