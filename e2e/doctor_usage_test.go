package e2e

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// Wrong usage exits with 2, and input that cannot be read with 1. The error is on stderr, and stdout
// is empty.
func TestDoctorInvalidInput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"claims": `{"iss": "https://ci.example", "sub": "s"}`,
		"format": `{"format_version": 2, "registries": []}`,
		"none":   `{"format_version": 1, "registries": [{"registry": "` + defaultHost + `", "ready": false}]}`,
		"other":  `{"name": "x"}`,
		"list":   `[1]`,
		"token":  "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.marked-signature",
		"policy": `{"Statement": [{"Effect": "Allow", "Principal": {"Federated": "x"}, ` +
			`"Action": "*"}]}`,
		"nopolicy": `{"Statement": [{"Effect": "Maybe"}]}`,
		"huge":     `{"iss": "` + strings.Repeat("x", 2<<20) + `"}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const (
		notObject = "reading the claims: the input is not a JSON object"
		noClaims  = `reading the claims: the input has no "iss", and is not the output of doctor ` +
			"--json"
	)
	for _, tt := range []struct {
		args string
		code int
		want string
	}{
		{"ghcr.io", 2, `"ghcr.io" is not an ECR registry; a registry looks like 123456789012.dkr.`},
		{defaultHost + " nonsense", 2, `"nonsense" is not an ECR registry`},
		{"--claims claims ghcr.io", 2, `"ghcr.io" is not an ECR registry`},
		{"--claims - --trust-policy -", 2,
			"doctor: --trust-policy and --claims cannot both be read from stdin"},
		{"--frobnicate", 2, "doctor: unknown flag: --frobnicate"},
		{"--claims", 2, "doctor: flag needs an argument: --claims"},
		{"--claims nowhere", 1, "reading the claims: open nowhere: "},
		{"--claims -", 1, notObject},
		{"--claims list", 1, notObject},
		{"--claims token", 1, notObject},
		{"--claims huge", 1, "reading the claims: huge is longer than 1 MiB"},
		{"--claims other", 1, noClaims},
		{"--claims format", 1,
			"reading the claims: the report has format version 2, and this version of doctor reads 1"},
		{"--claims none", 1, "reading the claims: the report contains no token"},
		{"--claims claims --trust-policy nowhere", 1, "reading the trust policy: open nowhere: "},
		{"--claims claims --trust-policy -", 1, "reading the trust policy: "},
		{"--claims claims --trust-policy nopolicy", 1,
			"reading the trust policy: Statement[0], line 1: "},
		{"--claims claims --trust-policy list", 1, "reading the trust policy: "},
		{"", 1, "finding the registries to diagnose: "},
		{"--json", 1, "finding the registries to diagnose: "},
	} {
		out := runDoctor(t, dir, "", strings.Fields(tt.args)...)
		if out.code != tt.code || out.stdout != "" ||
			!strings.HasPrefix(out.stderr, "ecr-oidc: "+tt.want) ||
			strings.Contains(out.stderr, "reading the trust policy: reading") {
			t.Errorf("doctor %s: exit %d, stdout %q, stderr %q; want %d, %q", tt.args, out.code,
				out.stdout, out.stderr, tt.code, tt.want)
		}
		if strings.Contains(out.stderr, "marked") ||
			tt.code == 1 && strings.Count(out.stderr, "\n") != 1 {
			t.Errorf("doctor %s: stderr %q, want one line without the token", tt.args, out.stderr)
		}
	}
	out := runDoctor(t, dir, "", "--claims", "claims", "--trust-policy", "policy")
	if out.code != 1 || out.stderr != "" {
		t.Errorf("policy for another issuer: %+v", out)
	}
}

// Without an argument, and without a registry in Docker's file, doctor reports which of the two is
// missing.
func TestDoctorNoRegistry(t *testing.T) {
	t.Parallel()
	j := newDoctorJob(t, emulator.Options{})
	for text, want := range map[string]string{
		`{"credHelpers": {"` + defaultHost + `": "ecr-login", "ghcr.io": "ecr-oidc"}}`: "assigns no " +
			"registry to this helper; name a registry: docker-credential-ecr-oidc doctor " +
			defaultHost + "\n",
		`{"credsStore": "ecr-oidc"}`: "assigns no registry to this helper; ",
		`{"credHelpers": `:           "it is not JSON",
	} {
		j.writeDockerConfig(t, text)
		out := j.doctor(t)
		if out.code != 1 || out.stdout != "" || !strings.Contains(out.stderr, want) {
			t.Errorf("%s: %+v, want %q", text, out, want)
		}
	}
	j.writeDockerConfig(t, `{}`)
	out := j.doctor(t, defaultHost)
	if out.code != 1 || !strings.Contains(out.stdout, "a login works, but Docker does not call") {
		t.Errorf("with an argument: %+v", out)
	}
}

// The exit code is 0 only if a get succeeds for each registry.
func TestDoctorExitCodes(t *testing.T) {
	t.Parallel()
	set := func(name, value string) func(*job) {
		return func(j *job) { j.env[name] = value }
	}
	for name, tt := range map[string]struct {
		arrange func(*job)
		hosts   []string
		ready   bool
	}{
		"one registry":   {func(*job) {}, []string{defaultHost}, true},
		"two registries": {set("ECR_OIDC_ROLE", emulator.CIRole), []string{defaultHost, spoke}, true},
		"one of two refused": {set("ECR_OIDC_ROLE_"+emulator.SpokeAccount, "none"),
			[]string{defaultHost, spoke}, false},
		"refused":         {(*job).trustOtherRepository, []string{defaultHost}, false},
		"invalid setting": {set("ECR_OIDC_SOURCE", "typo"), []string{defaultHost}, false},
		"no token": {func(j *job) { j.onGitHub(emulator.GitHubJob{NoIDToken: true}) },
			[]string{defaultHost}, false},
		"anonymous": {func(*job) {}, []string{public}, false},
		"public": {set("ECR_OIDC_ROLE_PUBLIC", emulator.CIRole),
			[]string{public}, true},
		"stored login": {func(j *job) {
			j.storeLogin(t, defaultHost)
			j.trustOtherRepository()
		}, []string{defaultHost}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newDoctorJob(t, emulator.Options{})
			j.setCredHelpers(t, defaultHost, spoke, public)
			tt.arrange(j)
			for _, flags := range [][]string{nil, {"--json"}} {
				out := j.doctor(t, append(flags, tt.hosts...)...)
				if out.code != map[bool]int{true: 0, false: 1}[tt.ready] || out.stderr != "" {
					t.Errorf("%v: exit %d, stderr %q", flags, out.code, out.stderr)
				}
				if flags == nil {
					continue
				}
				var r struct {
					Ready      bool
					Registries []struct {
						Registry string
						Ready    bool
					}
				}
				if err := json.Unmarshal([]byte(out.stdout), &r); err != nil ||
					r.Ready != tt.ready || len(r.Registries) != len(tt.hosts) {
					t.Fatalf("%v: %s", err, out.stdout)
				}
				for _, d := range r.Registries {
					if _, stderr, err := j.get(d.Registry); (err == nil) != d.Ready {
						t.Errorf("%s: ready is %v, and get returns %v %s", d.Registry,
							d.Ready, err, stderr)
					}
				}
			}
		})
	}
}

// snapshot returns the mode, the modification time and the content of everything below a directory.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		files[path] = fmt.Sprint(fi.Mode(), fi.ModTime())
		if fi.Mode().IsRegular() {
			b, err := os.ReadFile(path)
			files[path] += string(b)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// doctor creates and changes no file, and does not create the directory of the cache.
func TestDoctorWritesNothing(t *testing.T) {
	t.Parallel()
	args := func(args ...string) arrange {
		return func(*testing.T, *job) []string { return args }
	}
	for name, arrange := range map[string]arrange{
		"one registry":   args(defaultHost),
		"all registries": args(),
		"JSON":           args("--json"),
		"refused": func(t *testing.T, j *job) []string {
			j.trustOtherRepository()
			return nil
		},
		"cached password": func(t *testing.T, j *job) []string {
			j.cachePassword(t)
			return nil
		},
		"cached failure": func(t *testing.T, j *job) []string {
			j.trustOtherRepository()
			j.get(defaultHost)
			return nil
		},
		"cache off": func(t *testing.T, j *job) []string {
			j.env["ECR_OIDC_CACHE"] = "off"
			return nil
		},
		"Docker's file without entries": func(t *testing.T, j *job) []string {
			j.writeDockerConfig(t, `{ "auths":{}  }`)
			return []string{defaultHost}
		},
		"no Docker file": func(t *testing.T, j *job) []string {
			j.env["DOCKER_CONFIG"] = filepath.Join(j.dir, "none")
			return []string{defaultHost}
		},
		"no temporary directory": func(t *testing.T, j *job) []string {
			j.env["RUNNER_TEMP"] = filepath.Join(j.dir, "none")
			return nil
		},
		"CircleCI": func(t *testing.T, j *job) []string {
			j.onCircle(emulator.CircleJob{})
			return nil
		},
		"SSO": func(t *testing.T, j *job) []string {
			j.leaveCI()
			j.writeAWSConfig(t, ssoConfig("default"))
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newDoctorJob(t, emulator.Options{})
			args := arrange(t, j)
			before := snapshot(t, j.dir)
			if out := j.doctor(t, args...); out.stdout == "" {
				t.Fatalf("%+v", out)
			}
			after := snapshot(t, j.dir)
			for path, content := range before {
				if after[path] != content {
					t.Errorf("%s changed from %.100q to %.100q", path, content,
						after[path])
				}
			}
			for path := range after {
				if _, ok := before[path]; !ok {
					t.Errorf("%s was created", path)
				}
			}
		})
	}
}

// doctor makes one request each to the CI, STS and ECR, whether the cache contains a password or a
// failure, and caches neither.
func TestDoctorIgnoresCache(t *testing.T) {
	t.Parallel()
	j := newDoctorJob(t, emulator.Options{})
	for range 2 {
		if out := j.doctor(t); out.code != 0 {
			t.Fatalf("%+v", out)
		}
		requireCalls(t, j.server, 1, 1, 1)
		j.server.ResetCalls()
	}
	j.cachePassword(t) // doctor cached no password
	requireCalls(t, j.server, 1, 1, 1)
	j.server.ResetCalls()
	if out := j.doctor(t); out.code != 0 {
		t.Fatalf("%+v", out)
	}
	requireCalls(t, j.server, 1, 1, 1)
	j.server.ResetCalls()

	j = newDoctorJob(t, emulator.Options{})
	j.trustOtherRepository()
	if out := j.doctor(t); out.code != 1 {
		t.Fatalf("%+v", out)
	}
	requireCalls(t, j.server, 1, 1, 0)
	j.server.ResetCalls()
	j.trustMainBranch()
	j.cachePassword(t) // doctor cached no failure
	requireCalls(t, j.server, 1, 1, 1)

	j = newDoctorJob(t, emulator.Options{})
	j.cacheFailure(t)
	j.server.ResetCalls()
	out := j.doctor(t)
	requireCalls(t, j.server, 1, 1, 1)
	stdout, _, err := j.get(defaultHost) // returns the cached failure
	if out.code != 1 || err == nil ||
		!strings.Contains(out.stdout, "get returns a cached failure for another ") ||
		!strings.HasSuffix(out.stdout, "\nget would return:\n"+stdout) {
		t.Errorf("%+v; get returns %v %s", out, err, stdout)
	}
	if _, stderr, err := j.run("erase", defaultHost); err != nil {
		t.Fatal(stderr)
	}
	if out := j.doctor(t); out.code != 0 {
		t.Errorf("after erase: %+v", out)
	}
	j.cachePassword(t)
}

// doctor reports the cache directory that get uses, also before get creates it.
func TestDoctorCacheDir(t *testing.T) {
	t.Parallel()
	skipOnWindows(t)
	pattern := regexp.MustCompile(`(?m)^. cache +(/.*?)(: | does not exist yet$)`)
	for name, runnerTemp := range map[string]func(j *job) string{
		"RUNNER_TEMP":         func(j *job) string { return j.env["RUNNER_TEMP"] },
		"RUNNER_TEMP missing": func(j *job) string { return filepath.Join(j.dir, "none", "none") },
		"RUNNER_TEMP is a file": func(j *job) string {
			return filepath.Join(j.env["DOCKER_CONFIG"], "config.json")
		},
		"RUNNER_TEMP not writable": func(*job) string { return "/proc/nope" },
		"RUNNER_TEMP unset":        func(*job) string { return "" },
	} {
		j := newDoctorJob(t, emulator.Options{})
		j.env["DOCKER_CONFIG"] = filepath.Join(j.dir, "home", ".docker")
		j.env["RUNNER_TEMP"] = runnerTemp(j)
		reported := func(when string) string {
			out := j.doctor(t, defaultHost)
			m := pattern.FindStringSubmatch(out.stdout)
			if m == nil {
				t.Fatalf("%s, %s: %s", name, when, out.stdout)
			}
			return m[1]
		}
		before := reported("before get")
		j.cachePassword(t)
		if after := reported("after get"); before != after {
			t.Errorf("%s: doctor reported %s before get, and %s after it", name, before, after)
		}
	}
}

// doctor exits with 1 if Docker would not call this helper, although a get would succeed.
func TestDoctorWithoutDocker(t *testing.T) {
	t.Parallel()
	skipOnWindows(t)
	for name, arrange := range map[string]func(t *testing.T, j *job){
		"no config.json": func(t *testing.T, j *job) { j.env["DOCKER_CONFIG"] = filepath.Join(j.dir, "none") },
		"no entry":       func(t *testing.T, j *job) { j.writeDockerConfig(t, `{}`) },
		"another helper": func(t *testing.T, j *job) {
			j.writeDockerConfig(t, `{"credHelpers": {"`+defaultHost+`": "ecr-login"}}`)
		},
		"not on PATH": func(t *testing.T, j *job) { j.env["PATH"] = filepath.Join(j.dir, "bin") },
		"login in DOCKER_AUTH_CONFIG": func(t *testing.T, j *job) {
			j.env["DOCKER_AUTH_CONFIG"] = `{"auths": {"` + defaultHost + `": {"auth": "eDp5"}}}`
		},
	} {
		j := newDoctorJob(t, emulator.Options{})
		arrange(t, j)
		var r struct {
			Ready      bool
			Registries []struct{ Ready, Docker bool }
		}
		out := j.doctor(t, "--json", defaultHost)
		if err := json.Unmarshal([]byte(out.stdout), &r); err != nil || out.code != 1 || !r.Ready ||
			!r.Registries[0].Ready || r.Registries[0].Docker {
			t.Errorf("%s: exit %d, %v: %s", name, out.code, err, out.stdout)
		}
		if _, stderr, err := j.get(defaultHost); err != nil {
			t.Errorf("%s: %s", name, stderr)
		}
	}
}
