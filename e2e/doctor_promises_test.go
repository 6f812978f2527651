package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// Wrong usage is 2, with the complaint on stderr; what cannot be read is 1. Neither prints anything on stdout.
func TestDoctorComplains(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("claims", `{"iss": "https://ci.example", "sub": "s"}`)
	put("shape", `{"shape": 2, "registries": []}`)
	put("none", `{"shape": 1, "registries": [{"registry": "`+usual+`", "ready": false}]}`)
	put("other", `{"name": "x"}`)
	put("list", `[1]`)
	put("token", "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.marked-signature")
	put("policy", `{"Statement": [{"Effect": "Allow", "Principal": {"Federated": "x"}, "Action": "*"}]}`)
	put("nopolicy", `{"Statement": [{"Effect": "Maybe"}]}`)
	put("huge", `{"iss": "`+strings.Repeat("x", 2<<20)+`"}`)
	for _, tt := range []struct {
		args string
		code int
		want string
	}{
		{"ghcr.io", 2, `"ghcr.io" is not an ECR registry; one looks like 123456789012.dkr.ecr.`},
		{usual + " nonsense", 2, `"nonsense" is not an ECR registry`},
		{"--claims claims ghcr.io", 2, `"ghcr.io" is not an ECR registry`},
		{"--claims - --trust-policy -", 2, "doctor: --trust-policy and --claims cannot both be read from stdin"},
		{"--frobnicate", 2, "doctor: unknown flag: --frobnicate"},
		{"--claims", 2, "doctor: flag needs an argument: --claims"},
		{"--claims nowhere", 1, "reading the claims: open nowhere: "},
		{"--claims -", 1, "reading the claims: they are not a JSON object"},
		{"--claims list", 1, "reading the claims: they are not a JSON object"},
		{"--claims token", 1, "reading the claims: they are not a JSON object"},
		{"--claims huge", 1, "reading the claims: huge is longer than 1 MiB"},
		{"--claims other", 1, `reading the claims: they have no "iss", and are not what doctor --json prints`},
		{"--claims shape", 1, "reading the claims: they are of shape 2, and this version knows 1"},
		{"--claims none", 1, "reading the claims: the report has no token in it"},
		{"--claims claims --trust-policy nowhere", 1, "reading the trust policy: open nowhere: "},
		{"--claims claims --trust-policy -", 1, "reading the trust policy: "},
		{"--claims claims --trust-policy nopolicy", 1, "reading the trust policy: Statement[0], line 1: "},
		{"--claims claims --trust-policy list", 1, "reading the trust policy: "},
		{"", 1, "finding what to look at: "},
		{"--json", 1, "finding what to look at: "},
	} {
		out := bare(t, dir, "", strings.Fields(tt.args)...)
		if out.code != tt.code || out.stdout != "" || !strings.HasPrefix(out.stderr, "ecr-oidc: "+tt.want) || strings.Contains(out.stderr, "reading the trust policy: reading") {
			t.Errorf("doctor %s: exit %d, stdout %q, stderr %q; want %d, %q", tt.args, out.code, out.stdout, out.stderr, tt.code, tt.want)
		}
		if strings.Contains(out.stderr, "marked") || tt.code == 1 && strings.Count(out.stderr, "\n") != 1 {
			t.Errorf("doctor %s: %q", tt.args, out.stderr)
		}
	}
	if out := bare(t, dir, "", "--claims", "claims", "--trust-policy", "policy"); out.code != 1 || out.stderr != "" {
		t.Errorf("a policy for another issuer: %+v", out)
	}
}

// Docker's file may be unreadable, or name nobody for us; then doctor without a registry says which it is.
func TestDoctorWithoutARegistry(t *testing.T) {
	t.Parallel()
	j := patient(t, emulator.Options{})
	for text, want := range map[string]string{
		`{"credHelpers": {"` + usual + `": "ecr-login", "ghcr.io": "ecr-oidc"}}`: "names no registry for this helper; name a registry: docker-credential-ecr-oidc doctor " + usual + "\n",
		`{"credsStore": "ecr-oidc"}`: "names no registry for this helper; ",
		`{"credHelpers": `:           "it is not JSON",
	} {
		j.config(t, text)
		if out := j.doctor(t); out.code != 1 || out.stdout != "" || !strings.Contains(out.stderr, want) {
			t.Errorf("%s: %+v, want %q", text, out, want)
		}
	}
	if out := j.doctor(t, usual); out.code != 0 {
		t.Errorf("a registry that is named is looked at all the same: %+v", out)
	}
}

// The exit code is 0 only when each get would succeed, and then get does.
func TestDoctorExitCodes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		arrange func(*job)
		hosts   []string
		good    bool
	}{
		"good":             {func(*job) {}, []string{usual}, true},
		"both good":        {func(j *job) { j.env["ECR_OIDC_ROLE"] = emulator.CIRole }, []string{usual, spoke}, true},
		"one of two":       {func(j *job) { j.env["ECR_OIDC_ROLE_"+emulator.SpokeAccount] = "none" }, []string{usual, spoke}, false},
		"refused":          {func(j *job) { j.distrust() }, []string{usual}, false},
		"a wrong setting":  {func(j *job) { j.env["ECR_OIDC_SOURCE"] = "typo" }, []string{usual}, false},
		"no token":         {func(j *job) { j.onGitHub(emulator.GitHubJob{NoIDToken: true}) }, []string{usual}, false},
		"anonymous":        {func(*job) {}, []string{public}, false},
		"public":           {func(j *job) { j.env["ECR_OIDC_ROLE_PUBLIC"] = emulator.CIRole }, []string{public}, true},
		"Docker is broken": {func(j *job) { j.env["DOCKER_CONFIG"] = built }, []string{usual}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := patient(t, emulator.Options{})
			tt.arrange(j)
			for _, form := range [][]string{nil, {"--json"}} {
				out := j.doctor(t, append(form, tt.hosts...)...)
				if out.code != map[bool]int{true: 0, false: 1}[tt.good] || out.stderr != "" {
					t.Errorf("%v: exit %d, stderr %q", form, out.code, out.stderr)
				}
				if form == nil {
					continue
				}
				var r struct {
					Ready      bool
					Registries []struct {
						Registry string
						Ready    bool
					}
				}
				if err := json.Unmarshal([]byte(out.stdout), &r); err != nil || r.Ready != tt.good || len(r.Registries) != len(tt.hosts) {
					t.Fatalf("%v: %s", err, out.stdout)
				}
				for _, found := range r.Registries {
					if _, stderr, err := j.get(found.Registry); (err == nil) != found.Ready {
						t.Errorf("%s is ready: %v, and get says %v %s", found.Registry, found.Ready, err, stderr)
					}
				}
			}
		})
	}
}

// lying is all that lies below a folder: what it is, when it was changed, what is in it.
func lying(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		found[path] = fmt.Sprint(fi.Mode(), fi.ModTime())
		if fi.Mode().IsRegular() {
			b, err := os.ReadFile(path)
			found[path] += string(b)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// doctor writes nothing, whatever it finds and whatever lies there; not even a folder for a cache.
func TestDoctorWritesNothing(t *testing.T) {
	t.Parallel()
	for name, arrange := range map[string]func(t *testing.T, j *job) []string{
		"good":      func(*testing.T, *job) []string { return []string{usual} },
		"all":       func(*testing.T, *job) []string { return nil },
		"JSON":      func(*testing.T, *job) []string { return []string{"--json"} },
		"refused":   func(t *testing.T, j *job) []string { j.distrust(); return nil },
		"cached":    func(t *testing.T, j *job) []string { j.got(t); return nil },
		"a failure": func(t *testing.T, j *job) []string { j.distrust(); j.get(usual); return nil },
		"off":       func(t *testing.T, j *job) []string { j.env["ECR_OIDC_CACHE"] = "off"; return nil },
		"Docker's":  func(t *testing.T, j *job) []string { j.config(t, `{ "auths":{}  }`); return []string{usual} },
		"no Docker": func(t *testing.T, j *job) []string {
			j.env["DOCKER_CONFIG"] = filepath.Join(j.dir, "none")
			return []string{usual}
		},
		"no folders": func(t *testing.T, j *job) []string { j.env["RUNNER_TEMP"] = filepath.Join(j.dir, "none"); return nil },
		"circleci":   func(t *testing.T, j *job) []string { j.onCircle(emulator.CircleJob{}); return nil },
		"SSO": func(t *testing.T, j *job) []string {
			j.machine()
			j.profiles(t, "[sso-session acme]\nsso_start_url = https://acme.awsapps.com/start\nsso_region = eu-west-2\n[default]\nsso_session = acme\nsso_account_id = 123456789012\nsso_role_name = Developer\n")
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := patient(t, emulator.Options{})
			args := arrange(t, j)
			before := lying(t, j.dir)
			if out := j.doctor(t, args...); out.stdout == "" {
				t.Fatalf("%+v", out)
			}
			after := lying(t, j.dir)
			for path, was := range before {
				if after[path] != was {
					t.Errorf("%s was %.100q and is %.100q", path, was, after[path])
				}
			}
			for path := range after {
				if _, ok := before[path]; !ok {
					t.Errorf("%s was made", path)
				}
			}
		})
	}
}

// doctor asks afresh: the CI, STS and ECR once each, whatever get has kept, be it a password or a failure; and it keeps
// neither.
func TestDoctorAsksAfresh(t *testing.T) {
	t.Parallel()
	j := patient(t, emulator.Options{})
	for range 2 {
		if out := j.doctor(t); out.code != 0 {
			t.Fatalf("%+v", out)
		}
		counted(t, j.server, 1, 1, 1)
		j.server.Reset()
	}
	j.got(t) // doctor left no password behind
	counted(t, j.server, 1, 1, 1)
	j.server.Reset()
	if out := j.doctor(t); out.code != 0 {
		t.Fatalf("%+v", out)
	}
	counted(t, j.server, 1, 1, 1)
	j.server.Reset()

	j = patient(t, emulator.Options{})
	j.distrust()
	if out := j.doctor(t); out.code != 1 {
		t.Fatalf("%+v", out)
	}
	counted(t, j.server, 1, 1, 0)
	j.server.Reset()
	j.server.AddRole(emulator.Role{ARN: emulator.CIRole, Trust: mainOnly, Push: []string{"*"}})
	j.got(t) // doctor left no failure behind
	counted(t, j.server, 1, 1, 1)

	j = patient(t, emulator.Options{})
	j.refused(t)
	j.server.Reset()
	out := j.doctor(t)
	counted(t, j.server, 1, 1, 1)
	said, _, err := j.get(usual) // which answers with its failure for a few seconds yet, and doctor has said so
	if out.code != 1 || err == nil || !strings.Contains(out.stdout, "get repeats a failure of a moment ago") || !strings.HasSuffix(out.stdout, "\nget would say:\n"+said) {
		t.Errorf("%+v; and get says %v %s", out, err, said)
	}
	if _, stderr, err := j.run("erase", usual); err != nil {
		t.Fatal(stderr)
	}
	if out := j.doctor(t); out.code != 0 {
		t.Errorf("it was forgotten: %+v", out)
	}
	j.got(t)
}

// The cache that doctor looks into is the one that get makes, wherever that can be made.
func TestDoctorFindsTheCacheOfGet(t *testing.T) {
	t.Parallel()
	onUnix(t)
	for name, temp := range map[string]func(j *job) string{
		"as it should be":                func(j *job) string { return j.env["RUNNER_TEMP"] },
		"not there yet":                  func(j *job) string { return filepath.Join(j.dir, "none", "none") },
		"in a file":                      func(j *job) string { return filepath.Join(j.env["DOCKER_CONFIG"], "config.json") },
		"where nobody can make anything": func(*job) string { return "/proc/nope" },
		"unset":                          func(*job) string { return "" },
	} {
		j := patient(t, emulator.Options{})
		j.env["DOCKER_CONFIG"] = filepath.Join(j.dir, "home", ".docker")
		j.env["RUNNER_TEMP"] = temp(j)
		in := func(what string) string {
			out := j.doctor(t, usual)
			m := regexp.MustCompile(`(?m)^. cache +(/.*?)(: | is not there yet$)`).FindStringSubmatch(out.stdout)
			if m == nil {
				t.Fatalf("%s, %s: %s", name, what, out.stdout)
			}
			return m[1]
		}
		before := in("before")
		j.got(t)
		if after := in("after"); before != after {
			t.Errorf("%s: doctor said %s, and get made %s", name, before, after)
		}
	}
}

// A job's report, and its claims alone, tell somebody else with the policy what they would tell the job.
func TestDoctorClaimsOfAnother(t *testing.T) {
	t.Parallel()
	j := patient(t, emulator.Options{})
	j.helpers(t, public, usual)
	j.onGitHub(pullRequest)
	policy := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(policy, []byte(`{"Role": {"Arn": "`+emulator.CIRole+`", "AssumeRolePolicyDocument": `+mainOnly+`}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	verdict := func(stdout string) string {
		_, text, ok := strings.Cut(stdout, "\nThe trust policy ")
		text, _, _ = strings.Cut(text, "\nget would say:")
		if !ok || !strings.Contains(text, "pull request") {
			t.Fatalf("no verdict in:\n%s", stdout)
		}
		return strings.TrimSpace(text)
	}
	want := verdict(j.doctor(t, "--trust-policy", policy, usual).stdout)
	for name, args := range map[string][]string{
		"a report": {"--json"}, "a report with a verdict in it": {"--json", "--trust-policy", policy}, "of one registry": {"--json", usual},
	} {
		report := j.doctor(t, args...)
		j.server.Reset()
		for _, more := range [][]string{nil, {usual}} {
			out := bare(t, t.TempDir(), report.stdout, append([]string{"--claims", "-", "--trust-policy", policy}, more...)...)
			if got := verdict(out.stdout); out.code != 1 || out.stderr != "" || got != want {
				t.Errorf("%s: exit %d %s\n%s\nwant\n%s", name, out.code, out.stderr, got, want)
			}
		}
		if out := bare(t, t.TempDir(), report.stdout, "--claims", "-", spoke); out.code != 1 || !strings.Contains(out.stderr, "of another registry") {
			t.Errorf("%s: of a registry that is not in it: %+v", name, out)
		}
		if out := bare(t, t.TempDir(), report.stdout, "--claims", "-"); out.code != 0 || !strings.Contains(out.stdout, `"repo:acme/app:pull_request"`) {
			t.Errorf("%s: without a policy: %+v", name, out)
		}
	}
	var r struct {
		Registries []struct {
			Token *struct{ Claims map[string]any }
		}
	}
	if err := json.Unmarshal([]byte(j.doctor(t, "--json", usual).stdout), &r); err != nil {
		t.Fatal(err)
	}
	claims, err := json.Marshal(r.Registries[0].Token.Claims)
	if err != nil {
		t.Fatal(err)
	}
	if got := verdict(bare(t, t.TempDir(), string(claims), "--claims", "-", "--trust-policy", policy).stdout); got != want {
		t.Errorf("claims alone:\n%s\nwant\n%s", got, want)
	}
}

// With --claims nothing is called and the environment has no say, be it a job's or full of mistakes.
func TestDoctorClaimsCallsNobody(t *testing.T) {
	t.Parallel()
	j := patient(t, emulator.Options{})
	claims := j.write(t, "claims.json", `{"iss": "`+emulator.GitHubIssuer+`", "aud": "sts.amazonaws.com", "sub": "repo:acme/app:ref:refs/heads/main"}`)
	policy := j.write(t, "policy.json", mainOnly)
	want := bare(t, j.dir, "", "--claims", claims, "--trust-policy", policy)
	if want.code != 0 {
		t.Fatalf("%+v", want)
	}
	maps.Copy(j.env, map[string]string{"ECR_OIDC_SOURCE": "typo", "ECR_OIDC_DEBUG": "1", "HTTPS_PROXY": j.server.Proxy(), "AWS_CONFIG_FILE": "/none", "ECR_OIDC_ROLE": "another"})
	before := lying(t, j.dir)
	if got := j.doctor(t, "--claims", claims, "--trust-policy", policy, usual); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if calls := j.server.Calls(); len(calls) != 0 || !maps.Equal(before, lying(t, j.dir)) {
		t.Errorf("it called %v, or wrote", calls)
	}
}

// Each key that --json ever has is in docs/doctor.md's example, and each key there occurs.
func TestDoctorJSONIsDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```json\n(.*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatal("docs/doctor.md has no JSON")
	}
	keys := func(text []byte) map[string]bool {
		var v any
		if err := json.Unmarshal(text, &v); err != nil {
			t.Fatalf("%v:\n%s", err, text)
		}
		found := map[string]bool{}
		keysOf(v, "", found)
		return found
	}
	documented, seen := keys(block[1]), map[string]bool{}
	odd := `{"Version": "2012-10-17", "Statement": [{"Sid": "x", "Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "*", "Condition": {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}, "Null": {"aws:SourceIp": "true"}}}]}`
	for _, arrange := range []func(j *job) []string{
		func(j *job) []string { return nil },
		func(j *job) []string { j.distrust(); return nil },
		func(j *job) []string {
			j.onGitHub(pullRequest)
			return []string{"--trust-policy", j.write(t, "p", mainOnly)}
		},
		func(j *job) []string { return []string{"--trust-policy", j.write(t, "p", odd)} },
		func(j *job) []string { return []string{"--trust-policy", j.write(t, "p", mainOnly)} },
		func(j *job) []string {
			j.server.Federate(emulator.CircleRole, "https://oidc.circleci.com/org/"+emulator.CircleOrg, "another", "*")
			j.onCircle(emulator.CircleJob{Ref: "refs/heads/dev"})
			j.server.AddRole(emulator.Role{ARN: emulator.CircleRole, Trust: mainOnly})
			j.server.AddProvider(emulator.Account, "https://oidc.circleci.com/org/"+emulator.CircleOrg, emulator.CircleOrg)
			return nil
		},
	} {
		j := patient(t, emulator.Options{})
		maps.Copy(seen, keys([]byte(j.doctor(t, append([]string{"--json"}, arrange(j)...)...).stdout)))
	}
	for _, key := range slices.Sorted(maps.Keys(seen)) {
		if !documented[key] {
			t.Errorf("docs/doctor.md does not have %s", key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(documented)) {
		if !seen[key] {
			t.Errorf("%s in docs/doctor.md does not occur", key)
		}
	}
	for _, word := range []string{"ok", "wrong", "note", "skipped", "yes", "no", "unknown", "cause", "danger"} {
		if !strings.Contains(string(text), "`"+word+"`") {
			t.Errorf("docs/doctor.md does not name the value %q", word)
		}
	}
}

// keysOf collects the paths of a value's keys. A token's claims are the CI's.
func keysOf(v any, at string, found map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			found[at+"."+key] = true
			if key != "claims" {
				keysOf(value, at+"."+key, found)
			}
		}
	case []any:
		for _, one := range v {
			keysOf(one, at, found)
		}
	case nil:
		if !strings.HasSuffix(at, ".got") { // which is so documented
			found[at+" is null"] = true
		}
	}
}

// The table of lines in docs/doctor.md has each name that a check can have, and no other.
func TestDoctorLinesAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| (`.*?`) \\|").FindAllStringSubmatch(string(text), -1) {
		for _, name := range strings.Split(row[1], ", ") {
			documented[strings.Trim(name, "`")] = true
		}
	}
	files, err := filepath.Glob(states + "/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	seen := map[string]bool{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^[✓✗!·] (\S+(?: \S+)*)  `).FindAllStringSubmatch(string(b), -1) {
			seen[m[1]] = true
		}
	}
	if want, got := slices.Sorted(maps.Keys(documented)), slices.Sorted(maps.Keys(seen)); !slices.Equal(want, got) {
		t.Errorf("docs/doctor.md has %q\n, and there are %q", want, got)
	}
}

// Nothing that came from outside moves the cursor, begins a line of its own or is a command to GitHub's runner, in text
// or in JSON; and JSON says it all the same.
func TestDoctorOutsideText(t *testing.T) {
	t.Parallel()
	const evil = "x\x1b[2J\r\n::error::y\u202e##[add-mask]z\u0000\u2028"
	j := patient(t, emulator.Options{})
	quoted, err := json.Marshal(evil)
	if err != nil {
		t.Fatal(err)
	}
	j.onGitHub(emulator.GitHubJob{Sub: "repo:" + evil, Claims: map[string]any{"workflow": evil, "name " + evil: []any{evil, map[string]any{evil: evil}}}})
	j.config(t, `{"credHelpers": {"`+usual+`": `+string(quoted)+`}, "credsStore": `+string(quoted)+`}`)
	j.env["AWS_PROFILE"] = "x\x1b[2J"
	policy := j.write(t, "policy.json", `{"Version": "2012-10-17", "Statement": {"Sid": `+string(quoted)+`, "Effect": "Allow", "Principal": {"Federated": `+string(quoted)+`}, "Action": `+string(quoted)+
		`, "Condition": {`+string(quoted)+`: {`+string(quoted)+`: `+string(quoted)+`}}}}`)
	for _, message := range []string{"", evil} {
		if message != "" {
			j.server.Fail("sts", emulator.Fault{Body: fmt.Appendf(nil, `<ErrorResponse><Error><Code>ValidationError</Code><Message><![CDATA[%s]]></Message></Error></ErrorResponse>`,
				strings.ReplaceAll(message, "\x1b", "\u009b")), Status: 400})
		}
		for _, args := range [][]string{{usual}, {"--json", usual}, {"--trust-policy", policy, usual}, {"--json", "--trust-policy", policy, usual}} {
			out := j.doctor(t, args...)
			if out.code != 1 {
				t.Fatalf("%v: %+v", args, out)
			}
			for line := range strings.Lines(out.stdout + out.stderr) {
				line = strings.TrimSuffix(line, "\n")
				if strings.ContainsFunc(line, func(c rune) bool { return !unicode.IsGraphic(c) || unicode.Is(unicode.Cf, c) || c == '\u2028' }) ||
					strings.Contains(line, "##[") || strings.HasPrefix(strings.TrimSpace(line), "::") {
					t.Errorf("%v: %q", args, line)
				}
			}
			var r struct {
				Registries []struct{ Token struct{ Subject string } }
			}
			if args[0] == "--json" && (json.Unmarshal([]byte(out.stdout), &r) != nil || r.Registries[0].Token.Subject != "repo:"+evil) {
				t.Errorf("the subject is %q", r.Registries[0].Token.Subject)
			}
		}
	}
}

// back makes a service send back every secret that it may know.
func back(j *job, service string) {
	said := []string{j.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"], j.env["AWS_SECRET_ACCESS_KEY"], j.env["AWS_SESSION_TOKEN"]}
	if service == "sts" {
		j.env["ECR_OIDC_TOKEN"] = j.server.Mint(emulator.GitHubIssuer, map[string]any{"sub": "repo:acme/app:pull_request", "aud": "sts.amazonaws.com", "exp": time.Now().Add(time.Hour).Unix()})
		said = append(said, j.env["ECR_OIDC_TOKEN"])
	}
	j.server.Fail(service, emulator.Fault{Status: 400, Code: "ValidationException", Message: "bad: " + strings.Join(said, " ")})
}

// No secret is in a report or in what debug says beside it, whoever sends it back.
func TestDoctorSaysNoSecret(t *testing.T) {
	t.Parallel()
	for name, arrange := range map[string]func(t *testing.T, j *job){
		"good":            func(*testing.T, *job) {},
		"CircleCI's good": func(t *testing.T, j *job) { j.onCircle(emulator.CircleJob{}) },
		"CircleCI's expired": func(t *testing.T, j *job) {
			j.onCircle(emulator.CircleJob{Expired: true})
		},
		"a token in a variable, refused": func(t *testing.T, j *job) {
			j.env["ECR_OIDC_TOKEN"] = j.server.Mint(emulator.GitHubIssuer, map[string]any{"sub": "repo:acme/app:pull_request", "aud": "sts.amazonaws.com", "exp": time.Now().Add(time.Hour).Unix()})
		},
		"a token that is none": func(t *testing.T, j *job) { j.env["ECR_OIDC_TOKEN"] = "marked-token.marked.marked" },
		"STS sends it back":    func(t *testing.T, j *job) { back(j, "sts") },
		"ECR sends it back":    func(t *testing.T, j *job) { back(j, "ecr") },
		"GitHub sends it back": func(t *testing.T, j *job) { back(j, "oidc") },
		"GitHub sends no token": func(t *testing.T, j *job) {
			j.server.Fail("oidc", emulator.Fault{Body: []byte(`{"value": "marked-value"}`)})
		},
		"a password in a URL": func(t *testing.T, j *job) {
			j.env["AWS_ENDPOINT_URL_ECR"] = "https://user:marked-password@" + strings.TrimPrefix(j.server.URL("ecr"), "https://")
		},
		"another's Docker login": func(t *testing.T, j *job) {
			j.config(t, `{"auths": {"`+usual+`": {"auth": "`+base64.StdEncoding.EncodeToString([]byte("AWS:marked-login"))+`"}}}`)
		},
		"DOCKER_AUTH_CONFIG": func(t *testing.T, j *job) {
			j.env["DOCKER_AUTH_CONFIG"] = `{"auths": {"` + usual + `": {"auth": "` + base64.StdEncoding.EncodeToString([]byte("AWS:marked-login")) + `"}}}`
		},
		"a kept login": func(t *testing.T, j *job) {
			if _, stderr, err := j.run("store", fmt.Sprintf(`{"ServerURL": %q, "Username": "AWS", "Secret": "marked-login"}`, usual)); err != nil {
				t.Fatal(stderr)
			}
		},
		"in a line of the file": func(t *testing.T, j *job) {
			j.env["ECR_OIDC_CONFIG"] = j.write(t, "ecr-oidc.yaml", "default: {audience: x, secret: "+j.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]+"}\n")
		},
		"in the wrong variable":       func(t *testing.T, j *job) { j.env["ECR_OIDC_SOURCE"] = j.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] },
		"a token, in the wrong place": func(t *testing.T, j *job) { j.env["ECR_OIDC_ROLE"] = j.server.CircleToken(emulator.CircleJob{}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := patient(t, emulator.Options{})
			j.env["AWS_SECRET_ACCESS_KEY"], j.env["AWS_SESSION_TOKEN"] = "marked/secret+key", "marked/session+token="
			j.env["ECR_OIDC_DEBUG"], j.env["AWS_MAX_ATTEMPTS"] = "1", "1"
			arrange(t, j)
			stdout, _, _ := j.get(usual)
			var kept struct{ Secret string }
			if json.Unmarshal([]byte(stdout), &kept) != nil {
				kept.Secret = "marked"
			}
			for _, args := range [][]string{{usual}, {"--json", usual}} {
				out := j.doctor(t, args...)
				text := out.stdout + out.stderr
				for _, secret := range []string{
					"marked", kept.Secret, j.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"], j.env["ECR_OIDC_TOKEN"], j.env["CIRCLE_OIDC_TOKEN"], j.env["CIRCLE_OIDC_TOKEN_V2"],
					"eyJ", "IQoJb3JpZ2luX2Vj", base64.StdEncoding.EncodeToString([]byte("AWS:marked"))[:12],
				} {
					if i := strings.Index(text, secret); secret != "" && i >= 0 {
						t.Errorf("%v: %.8s... is in it: %s", args, secret, text[max(0, i-200):min(len(text), i+50)])
					}
				}
			}
		})
	}
}

// pipe makes one below the job's folder that nobody writes to.
func (j *job) pipe(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(j.dir, filepath.FromSlash(name))
	if out, err := exec.Command("mkfifo", path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// What get does not open can hang too, and does not keep doctor from anything. Docker's file is only read
// if it is a regular file.
func TestDoctorHangsBesideAGet(t *testing.T) {
	t.Parallel()
	onUnix(t)
	j := patient(t, emulator.Options{})
	j.env["DOCKER_CONFIG"] = filepath.Join(j.dir, "odd")
	if err := os.Mkdir(j.env["DOCKER_CONFIG"], 0o700); err != nil {
		t.Fatal(err)
	}
	path := j.pipe(t, "odd/config.json")
	if out := j.doctor(t, usual); out.code != 0 || !strings.Contains(out.stdout, "it cannot use this helper: reading "+path+": it is not a regular file\n") || !strings.Contains(out.stdout, "Docker started from here finds") {
		t.Errorf("Docker's file: %+v", out)
	}
	if out := j.doctor(t); out.code != 1 || !strings.Contains(out.stderr, "finding what to look at: reading "+path+": it is not a regular file; name a registry: ") {
		t.Errorf("Docker's file, and no registry: %+v", out)
	}

	j = patient(t, emulator.Options{})
	j.onGitHub(emulator.GitHubJob{NoIDToken: true})
	j.env["GITHUB_EVENT_PATH"] = j.pipe(t, "event.json")
	start := time.Now()
	if out := j.doctor(t, usual); out.code != 1 || !strings.Contains(out.stdout, "the job does not have the permission id-token: write") {
		t.Errorf("the event: %+v", out)
	}
	if took := time.Since(start); took > 4*time.Second {
		t.Errorf("the event was waited for: %v", took)
	}
}

// When a step hangs in what knows no time limit, doctor ends in time and says what was known before.
func TestDoctorHangs(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skipf("it waits for the program's own limit, 28 seconds")
	}
	onUnix(t)
	var all sync.WaitGroup
	for variable, want := range map[string]string{
		"ECR_OIDC_TOKEN_FILE": "✗ settings  running get: not done within 28s\n            → something that it opens does not answer: ",
	} {
		j := patient(t, emulator.Options{})
		j.env[variable] = j.pipe(t, "pipe")
		all.Go(func() {
			out := j.doctor(t, usual) // TestHangingServers has get itself say this
			if out.code != 1 || !strings.Contains(out.stdout, want) || !strings.HasSuffix(out.stdout, "\nget would say:\necr-oidc: running get: not done within 28s; to see why: docker-credential-ecr-oidc doctor "+usual+"\n") {
				t.Errorf("%s: %+v", variable, out)
			}
		})
	}
	all.Wait()
}

// Bare claims do not say for which role they are; --role does, and is for nothing else.
func TestDoctorRole(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	doctor := func(stdin string, args ...string) (string, string, error) {
		cmd, stdout, stderr := j.command("doctor", stdin)
		cmd.Args = append(cmd.Args, args...)
		err := cmd.Run()
		return stdout.String(), stderr.String(), err
	}
	const claims = `{"iss": "https://token.actions.githubusercontent.com", "aud": "sts.amazonaws.com", "sub": "repo:acme/app:pull_request"}`
	if stdout, _, err := doctor(claims, "--claims", "-"); err != nil || !strings.Contains(stdout, "name it with --role") {
		t.Errorf("%v: %s", err, stdout)
	}
	for _, role := range []string{"", "arn:aws:iam::210987654321:role/other"} { // exit code 0 both times
		stdout, _, err := doctor(claims, "--claims", "-", "--json", "--role", role)
		var r struct {
			Ready      bool
			Registries []struct {
				Ready  bool
				Policy map[string]any
			}
		}
		if err != nil || json.Unmarshal([]byte(stdout), &r) != nil || r.Ready || r.Registries[0].Ready || (r.Registries[0].Policy != nil) != (role != "") {
			t.Errorf("role %q: %v: %s", role, err, stdout)
		}
	}
	if stdout, _, err := doctor(claims, "--claims", "-", "--role", "arn:aws:iam::210987654321:role/other"); err != nil || !strings.Contains(stdout, "arn:aws:iam::210987654321:oidc-provider/token.actions.githubusercontent.com") {
		t.Errorf("%v: %s", err, stdout)
	}
	if _, stderr, err := doctor("", "--role", "arn:aws:iam::210987654321:role/other", usual); err == nil || !strings.Contains(stderr, "--role goes with --claims") {
		t.Errorf("%v: %s", err, stderr)
	}
	if n := len(j.server.Calls()); n != 0 {
		t.Errorf("%d calls", n)
	}
}
