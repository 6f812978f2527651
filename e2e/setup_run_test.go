package e2e

import (
	"bytes"
	"encoding/json"
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

	"github.com/goccy/go-yaml"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// An example runs one directory of examples/ without changes. The AWS commands of its README create the
// roles, with the policies in the directory. The table of its README contains the secrets and variables
// of the CI. The steps of its jobs run with the built binary, and with the real host names of AWS and of
// the CI.
type example struct {
	t        *testing.T
	dir      string
	server   *emulator.Server
	readme   string
	settings map[string]string        // "secret NAME", "variable NAME"
	roles    map[string]emulator.Role // by ARN
}

const examples = "../examples"

func newExample(t *testing.T, name string) *example {
	t.Helper()
	slow(t, "runs the commands of an example")
	requireBash(t)
	w, err := emulator.Start(emulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	e := &example{
		t:        t,
		dir:      filepath.Join(examples, name),
		server:   w,
		settings: map[string]string{},
		roles:    map[string]emulator.Role{},
	}
	e.readme = e.read("README.md")
	rows := regexp.MustCompile("(?m)^\\| (secret|variable) `(\\w+)` \\| `([^`]*)` \\|")
	for _, m := range rows.FindAllStringSubmatch(e.readme, -1) {
		e.settings[m[1]+" "+m[2]] = m[3]
	}
	return e
}

func requireBash(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil || runtime.GOOS == "windows" {
		t.Skip(
			"the commands of examples/ require bash, which is not installed, or this is Windows",
		)
	}
}

func (e *example) read(file string) string {
	e.t.Helper()
	b, err := os.ReadFile(filepath.Join(e.dir, file))
	if err != nil {
		e.t.Fatal(err)
	}
	return string(b)
}

// An exampleJob is one job with its own directories and environment, and the output of its steps.
type exampleJob struct {
	*example
	home, work string
	env        map[string]string
	outputs    map[string]string // steps.ID.outputs.NAME
	out        bytes.Buffer
}

func (e *example) job(ci map[string]string) *exampleJob {
	e.t.Helper()
	dir := e.t.TempDir()
	r := &exampleJob{
		example: e,
		home:    filepath.Join(dir, "home"),
		work:    filepath.Join(dir, "work"),
		outputs: map[string]string{},
	}
	temp, ca := filepath.Join(dir, "temp"), filepath.Join(dir, "ca.pem")
	for _, d := range []string{r.home, r.work, temp} {
		if err := os.Mkdir(d, 0o755); err != nil {
			e.t.Fatal(err)
		}
	}
	if err := os.WriteFile(ca, e.server.CAPEM(), 0o600); err != nil {
		e.t.Fatal(err)
	}
	r.env = map[string]string{
		"PATH":          binDir() + string(os.PathListSeparator) + os.Getenv("PATH"),
		"HOME":          r.home,
		"TMPDIR":        temp,
		"AWS_CA_BUNDLE": ca,
		"HTTPS_PROXY":   e.server.ProxyURL(),
		"GOCOVERDIR":    os.Getenv("GOCOVERDIR"),
	}
	maps.Copy(r.env, ci)
	if ci["GITHUB_ACTIONS"] != "" {
		r.env["RUNNER_TEMP"] = temp
	}
	return r
}

// checkout creates the files that the checkout step creates.
func (r *exampleJob) checkout() error {
	return os.WriteFile(filepath.Join(r.work, "Dockerfile"), []byte("FROM scratch\nCOPY . /\n"), 0o644)
}

// exec runs a command with additional variables. The error contains the output.
func (r *exampleJob) exec(env map[string]string, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	all := maps.Clone(r.env)
	maps.Copy(all, env)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if all[name] != "" || !strings.HasPrefix(name, "GOCOVER") {
			cmd.Env = append(cmd.Env, name+"="+all[name])
		}
	}
	if path, err := exec.LookPath(filepath.Join(binDir(), exe(name))); err == nil {
		cmd.Path, cmd.Err = path, nil
	}
	cmd.Dir = r.work
	out, err := cmd.CombinedOutput()
	r.out.Write(out)
	if err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// shell runs the commands of a step as a CI does, with bash, which stops at the first error.
func (r *exampleJob) shell(env map[string]string, text string) error {
	return r.exec(env, "bash", "-e", "-o", "pipefail", "-c", text)
}

// pushed returns the digests of the images that the job pushed, by name.
func (r *exampleJob) pushed() map[string]string { return r.digests("pushed") }

// digests returns the digests that the emulated Docker printed after a word, by name.
func (r *exampleJob) digests(word string) map[string]string {
	all := map[string]string{}
	lines := regexp.MustCompile(`(?m)^` + word + ` (\S+) (sha256:[0-9a-f]{64})$`)
	for _, m := range lines.FindAllStringSubmatch(r.out.String(), -1) {
		all[m[1]] = m[2]
	}
	return all
}

// pullPushed pulls the pushed images as the same job with additional variables, and compares the digests.
func (r *exampleJob) pullPushed(env map[string]string, want ...string) {
	r.t.Helper()
	pushed := r.pushed()
	if got := slices.Sorted(maps.Keys(pushed)); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		r.t.Fatalf("the job pushed %q, want %q:\n%s", got, want, r.out.String())
	}
	for _, tag := range want {
		if err := r.exec(env, "docker", "pull", tag); err != nil {
			r.t.Error(err)
		} else if got := r.digests("pulled")[tag]; got != pushed[tag] {
			r.t.Errorf("%s: pushed %s, pulled %s", tag, pushed[tag], got)
		}
	}
}

// requireCredHelpers fails the test unless the Docker configuration contains this helper for the hosts,
// and nothing else.
func (r *exampleJob) requireCredHelpers(hosts ...string) {
	r.t.Helper()
	dir := r.env["DOCKER_CONFIG"]
	if dir == "" {
		dir = filepath.Join(r.home, ".docker")
	}
	b, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		r.t.Fatal(err)
	}
	want := map[string]string{}
	for _, h := range hosts {
		want[h] = "ecr-oidc"
	}
	var got map[string]map[string]string
	if err := json.Unmarshal(b, &got); err != nil || len(got) != 1 || !maps.Equal(got["credHelpers"], want) {
		r.t.Errorf("Docker's configuration is %s, want credHelpers for %q only", b, hosts)
	}
}

// requireNoAWSKeys fails the test if the environment of the job contains an AWS key.
func (r *exampleJob) requireNoAWSKeys() {
	r.t.Helper()
	for name := range r.env {
		if name == "AWS_ACCESS_KEY_ID" || name == "AWS_SECRET_ACCESS_KEY" || name == "AWS_SESSION_TOKEN" {
			r.t.Errorf("%s is in the job's environment", name)
		}
	}
}

// requireRefusal fails the test unless the error contains all parts.
func (e *example) requireRefusal(err error, parts ...string) {
	e.t.Helper()
	if err == nil {
		e.t.Fatalf("no error, want one that contains %q", parts)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			e.t.Errorf("the error is\n%v\nwant %q in it", err, p)
		}
	}
}

// callers returns the role that used each repository, as ACCOUNT/ROLE by ACCOUNT/REPOSITORY.
func (e *example) callers() map[string]string {
	all := map[string]string{}
	for _, c := range e.server.Calls() {
		m := regexp.MustCompile(`^/v2/(.+)/(?:blobs|manifests)/`).FindStringSubmatch(c.Detail)
		if m == nil || c.Caller == "" {
			continue
		}
		account, _, _ := strings.Cut(c.Host, ".")
		repository := account + "/" + m[1]
		session := regexp.MustCompile(`^arn:aws:sts::(\d+):assumed-role/([^/]+)/.*`)
		role := session.ReplaceAllString(c.Caller, "$1/$2")
		if all[repository] != "" && all[repository] != role {
			role = all[repository] + " and " + role
		}
		all[repository] = role
	}
	return all
}

// assumedRoles returns the operations and roles of the successful calls to STS.
func (e *example) assumedRoles() (all []string) {
	for _, c := range e.server.Calls() {
		if c.Service == "sts" && c.Status == 200 {
			all = append(all, c.Op+" "+c.Form.Get("RoleArn"))
		}
	}
	return all
}

func loadYAML(t *testing.T, path string, into any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(b, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}
