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

// An example is one folder of examples/, run as it stands: the AWS commands of its README make the roles, with the
// policies that lie beside it; the table of its README holds the CI's secrets and variables; and the steps of its jobs are
// run one after the other, with the built binary, under the real host names of AWS and of the CI.
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
	needBash(t)
	w, err := emulator.Start(emulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	e := &example{t: t, dir: filepath.Join(examples, name), server: w, settings: map[string]string{}, roles: map[string]emulator.Role{}}
	e.readme = e.read("README.md")
	for _, m := range regexp.MustCompile("(?m)^\\| (secret|variable) `(\\w+)` \\| `([^`]*)` \\|").FindAllStringSubmatch(e.readme, -1) {
		e.settings[m[1]+" "+m[2]] = m[3]
	}
	return e
}

func needBash(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil || runtime.GOOS == "windows" {
		t.Skip("bash, in which the CIs of examples/ run their commands, is not installed here, or this is Windows")
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

// --- AWS ----------------------------------------------------------------------------------------------------------------

// trustAccount finds whose account a trust policy is for: the one whose provider or user it lets in.
func trustAccount(t *testing.T, trust string) string {
	t.Helper()
	m := regexp.MustCompile(`arn:aws:iam::(\d{12}):(?:oidc-provider|user)/`).FindStringSubmatch(trust)
	if m == nil {
		t.Fatalf("this trust policy names no provider and no user:\n%s", trust)
	}
	return m[1]
}

// aws does what a section of the README has typed into a shell.
func (e *example) aws(section string) {
	e.t.Helper()
	for _, command := range e.commands(section) {
		e.awsCommand(command)
	}
}

// commands returns the AWS commands in a section's shell blocks, with the continued lines joined.
func (e *example) commands(section string) (lines []string) {
	e.t.Helper()
	_, text, ok := strings.Cut(e.readme, "\n## "+section+"\n")
	if !ok {
		e.t.Fatalf("README has no section %q", section)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(text, -1) {
		for line := range strings.Lines(strings.ReplaceAll(m[1], "\\\n", " ")) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "aws ") {
				lines = append(lines, line)
			}
		}
	}
	if len(lines) == 0 {
		e.t.Fatalf("README has no aws command in section %q", section)
	}
	return lines
}

func (e *example) awsCommand(command string) {
	e.t.Helper()
	words := strings.Fields(command)
	flags := map[string][]string{}
	for i := 3; i+1 < len(words); i += 2 {
		if !strings.HasPrefix(words[i], "--") {
			e.t.Fatalf("in %q: %q is no flag", command, words[i])
		}
		flags[words[i]] = append(flags[words[i]], strings.Trim(words[i+1], `"'`))
	}
	one := func(flag string) string {
		e.t.Helper()
		if len(flags[flag]) != 1 || flags[flag][0] == "" {
			e.t.Fatalf("in %q: %s %q", command, flag, flags[flag])
		}
		return flags[flag][0]
	}
	file := func(flag string) string {
		e.t.Helper()
		name, ok := strings.CutPrefix(one(flag), "file://")
		if !ok {
			e.t.Fatalf("in %q: %s is no file://", command, flag)
		}
		return e.read(name)
	}
	switch strings.Join(words[1:3], " ") {
	case "iam create-open-id-connect-provider":
		// In the account of each role that trusts it.
		for _, account := range e.accounts() {
			e.server.AddProvider(account, one("--url"), one("--client-id-list"))
		}
	case "iam create-role":
		trust := file("--assume-role-policy-document")
		arn := "arn:aws:iam::" + trustAccount(e.t, trust) + ":role/" + one("--role-name")
		if _, ok := e.roles[arn]; ok {
			e.t.Fatalf("%s is made twice", arn)
		}
		e.setRole(emulator.Role{ARN: arn, Trust: trust})
	case "iam update-assume-role-policy":
		r := e.role(one("--role-name"))
		r.Trust = file("--policy-document")
		e.setRole(r)
	case "iam put-role-policy":
		r := e.role(one("--role-name"))
		r.Policy = file("--policy-document")
		e.setRole(r)
	case "iam create-user":
		e.server.AddUser(emulator.User{ARN: "arn:aws:iam::" + emulator.Account + ":user/" + one("--user-name"),
			AccessKeyID: emulator.AccessKeyID, SecretAccessKey: emulator.SecretAccessKey, NoLogin: true})
	case "iam create-access-key", "iam delete-access-key", "ecr create-repository":
	default:
		e.t.Fatalf("README types %q, which these tests do not know", command)
	}
}

// accounts are those of the example's trust policies.
func (e *example) accounts() (all []string) {
	e.t.Helper()
	files, err := filepath.Glob(filepath.Join(e.dir, "trust-policy*.json"))
	if err != nil || len(files) == 0 {
		e.t.Fatal(files, err)
	}
	for _, f := range files {
		if a := trustAccount(e.t, e.read(filepath.Base(f))); !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	return all
}

func (e *example) setRole(r emulator.Role) {
	e.roles[r.ARN] = r
	e.server.AddRole(r)
}

// role finds a role by its name; those of one example have different ones.
func (e *example) role(name string) emulator.Role {
	e.t.Helper()
	for arn, r := range e.roles {
		if strings.HasSuffix(arn, ":role/"+name) {
			return r
		}
	}
	e.t.Fatalf("there is no role %s", name)
	return emulator.Role{}
}

// terraform is aws for an example whose AWS is Terraform's: the names are in main.tf, and the policies are those that it
// renders, which lie beside it (TestTerraformPolicies compares). Its repositories' tags are as the module makes them.
func (e *example) terraform(clientID string) {
	e.t.Helper()
	text := e.read("main.tf")
	m := regexp.MustCompile(`role_name\s+= "([^"]+)"`).FindStringSubmatch(text)
	repository := regexp.MustCompile(`repositories\s+= \["([^"]+)"\]`).FindStringSubmatch(text)
	if m == nil || repository == nil {
		e.t.Fatalf("main.tf names no role, or not one repository: %q, %q", m, repository)
	}
	mutability := regexp.MustCompile(`image_tag_mutability\s+= "(\w+)"`).FindStringSubmatch(text)
	if mutability == nil {
		mutability = regexp.MustCompile(`(?s)"image_tag_mutability" \{.*?default\s+= "(\w+)"`).FindStringSubmatch(e.read("../terraform/variables.tf"))
	}
	if mutability == nil {
		e.t.Fatal("nobody says whether the tags are immutable")
	}
	e.server.SetImmutableTags(emulator.Account, emulator.Region, repository[1], mutability[1] == "IMMUTABLE")
	trust := e.read("trust-policy.json")
	a := trustAccount(e.t, trust)
	e.server.AddProvider(a, emulator.GitHubIssuer, clientID)
	e.setRole(emulator.Role{ARN: "arn:aws:iam::" + a + ":role/" + m[1], Trust: trust, Policy: e.read("push-policy.json")})
}

// --- the CI -------------------------------------------------------------------------------------------------------------

// An exampleJob is one job: a machine of its own, its environment, and what its steps have printed.
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
	r := &exampleJob{example: e, home: filepath.Join(dir, "home"), work: filepath.Join(dir, "work"), outputs: map[string]string{}}
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
		"PATH": binDir() + string(os.PathListSeparator) + os.Getenv("PATH"), "HOME": r.home, "TMPDIR": temp,
		"AWS_CA_BUNDLE": ca, "HTTPS_PROXY": e.server.ProxyURL(), "GOCOVERDIR": os.Getenv("GOCOVERDIR"),
	}
	maps.Copy(r.env, ci)
	if ci["GITHUB_ACTIONS"] != "" {
		r.env["RUNNER_TEMP"] = temp
	}
	return r
}

// checkout is what the job's first step gets.
func (r *exampleJob) checkout() error {
	return os.WriteFile(filepath.Join(r.work, "Dockerfile"), []byte("FROM scratch\nCOPY . /\n"), 0o644)
}

// exec runs one command with more variables; its error has all that it printed.
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

// shell runs a step's own text as a CI does: bash, which stops at the first failure.
func (r *exampleJob) shell(env map[string]string, text string) error {
	return r.exec(env, "bash", "-e", "-o", "pipefail", "-c", text)
}

// pushed finds what the job pushed: digests by name.
func (r *exampleJob) pushed() map[string]string { return r.printed("pushed") }

func (r *exampleJob) printed(what string) map[string]string {
	all := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^`+what+` (\S+) (sha256:[0-9a-f]{64})$`).FindAllStringSubmatch(r.out.String(), -1) {
		all[m[1]] = m[2]
	}
	return all
}

// pullBack pulls what was pushed, as the same job with more variables, and compares the digests.
func (r *exampleJob) pullBack(env map[string]string, want ...string) {
	r.t.Helper()
	pushed := r.pushed()
	if got := slices.Sorted(maps.Keys(pushed)); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		r.t.Fatalf("the job pushed %q, want %q:\n%s", got, want, r.out.String())
	}
	for _, tag := range want {
		if err := r.exec(env, "docker", "pull", tag); err != nil {
			r.t.Error(err)
		} else if got := r.printed("pulled")[tag]; got != pushed[tag] {
			r.t.Errorf("%s: pushed %s, pulled %s", tag, pushed[tag], got)
		}
	}
}

// onlyHelpers fails the test unless Docker's configuration names this helper for the hosts, and has nothing else in it.
func (r *exampleJob) onlyHelpers(hosts ...string) {
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
		r.t.Errorf("Docker's configuration is %s, want credHelpers for %q alone", b, hosts)
	}
}

// keyless fails the test if a step could have found an AWS key: none was in the environment.
func (r *exampleJob) keyless() {
	r.t.Helper()
	for name := range r.env {
		if name == "AWS_ACCESS_KEY_ID" || name == "AWS_SECRET_ACCESS_KEY" || name == "AWS_SESSION_TOKEN" {
			r.t.Errorf("%s is in the job's environment", name)
		}
	}
}

// refusedFor fails the test unless an error is a refusal that says all of this.
func (e *example) refusedFor(err error, parts ...string) {
	e.t.Helper()
	if err == nil {
		e.t.Fatalf("it was let in; want a refusal that says %q", parts)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			e.t.Errorf("the refusal is\n%v\nand does not say %q", err, p)
		}
	}
}

// callers are the roles that used each repository, as ACCOUNT/ROLE by ACCOUNT/REPOSITORY.
func (e *example) callers() map[string]string {
	all := map[string]string{}
	for _, c := range e.server.Calls() {
		m := regexp.MustCompile(`^/v2/(.+)/(?:blobs|manifests)/`).FindStringSubmatch(c.Detail)
		if m == nil || c.Caller == "" {
			continue
		}
		account, _, _ := strings.Cut(c.Host, ".")
		repository := account + "/" + m[1]
		role := regexp.MustCompile(`^arn:aws:sts::(\d+):assumed-role/([^/]+)/.*`).ReplaceAllString(c.Caller, "$1/$2")
		if all[repository] != "" && all[repository] != role {
			role = all[repository] + " and " + role
		}
		all[repository] = role
	}
	return all
}

// assumed lists the roles that STS gave out, and how.
func (e *example) assumed() (all []string) {
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
