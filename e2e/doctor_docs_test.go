package e2e

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// The example in docs/doctor.md has exactly the keys that --json prints.
func TestDoctorJSONDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile("(?s)```json\n(.*?)```").FindSubmatch(text)
	if example == nil {
		t.Fatal("docs/doctor.md has no JSON")
	}
	keys := func(text []byte) map[string]bool {
		var v any
		if err := json.Unmarshal(text, &v); err != nil {
			t.Fatalf("%v:\n%s", err, text)
		}
		found := map[string]bool{}
		collectKeys(v, "", found)
		return found
	}
	const awsPrincipal = `{"Version": "2012-10-17", "Statement": [{"Sid": "x", "Effect": "Allow",
		"Principal": {"AWS": "*"}, "Action": "*", "Condition": {
			"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}, "Null": {"aws:SourceIp": "true"}}}]}`
	policy := func(text string) arrange {
		return func(t *testing.T, j *job) []string {
			return []string{"--trust-policy", j.writeFile(t, "policy.json", text)}
		}
	}
	documented, printed := keys(example[1]), map[string]bool{}
	for _, arrange := range []arrange{
		unchanged,
		func(t *testing.T, j *job) []string { j.trustOtherRepository(); return nil },
		func(t *testing.T, j *job) []string {
			j.onGitHub(pullRequest)
			return policy(mainBranchTrust)(t, j)
		},
		policy(awsPrincipal),
		policy(mainBranchTrust),
		func(t *testing.T, j *job) []string {
			issuer := "https://oidc.circleci.com/org/" + emulator.CircleOrg
			j.server.AddFederatedRole(emulator.CircleRole, issuer, "another", "*")
			j.onCircle(emulator.CircleJob{Ref: "refs/heads/dev"})
			j.server.AddRole(emulator.Role{ARN: emulator.CircleRole, Trust: mainBranchTrust})
			j.server.AddProvider(emulator.Account, issuer, emulator.CircleOrg)
			return nil
		},
	} {
		j := newDoctorJob(t, emulator.Options{})
		out := j.doctor(t, append([]string{"--json"}, arrange(t, j)...)...)
		maps.Copy(printed, keys([]byte(out.stdout)))
	}
	for _, key := range slices.Sorted(maps.Keys(printed)) {
		if !documented[key] {
			t.Errorf("docs/doctor.md does not contain the key %s", key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(documented)) {
		if !printed[key] {
			t.Errorf("doctor --json does not print %s, which docs/doctor.md contains", key)
		}
	}
	for _, value := range []string{"ok", "wrong", "note", "skipped", "yes", "no", "unknown",
		"cause", "danger"} {
		if !strings.Contains(string(text), "`"+value+"`") {
			t.Errorf("docs/doctor.md does not contain the value %q", value)
		}
	}
}

// collectKeys adds the path of every key in a JSON value, without the claims of a token.
func collectKeys(v any, path string, found map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			found[path+"."+key] = true
			if key != "claims" {
				collectKeys(value, path+"."+key, found)
			}
		}
	case []any:
		for _, element := range v {
			collectKeys(element, path, found)
		}
	case nil:
		if !strings.HasSuffix(path, ".got") { // documented as null
			found[path+" is null"] = true
		}
	}
}

// The table in docs/doctor.md has exactly the checks in the golden files.
func TestDoctorChecksDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	row := regexp.MustCompile("(?m)^\\| (`.*?`) \\|")
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		for _, name := range strings.Split(m[1], ", ") {
			documented[strings.Trim(name, "`")] = true
		}
	}
	files, err := filepath.Glob(reportDir + "/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	printed := map[string]bool{}
	check := regexp.MustCompile(`(?m)^(?:  )?[✓✗!·] (\S+(?: \S+)*)  `)
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range check.FindAllStringSubmatch(string(b), -1) {
			printed[m[1]] = true
		}
	}
	got, want := slices.Sorted(maps.Keys(documented)), slices.Sorted(maps.Keys(printed))
	if !slices.Equal(got, want) {
		t.Errorf("docs/doctor.md has the checks\n%q, and doctor prints\n%q", got, want)
	}
}
