package e2e

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The action's inputs are those that its code reads and docs/action.md explains, with the same defaults, and its code
// needs nothing but Node.
func TestAction(t *testing.T) {
	read := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(string(b), "\r\n", "\n")
	}
	manifest, docs, code := read("../action.yml"), read("../docs/action.md"), read("../action/inputs.js")

	inputs := map[string]string{} // name → default
	_, rest, _ := strings.Cut(manifest, "\ninputs:\n")
	section, runs, found := strings.Cut(rest, "\nruns:\n")
	if !found {
		t.Fatal("action.yml has no inputs, or no runs after them")
	}
	name := ""
	for line := range strings.Lines(section) {
		if m := regexp.MustCompile(`^  ([a-z-]+):$`).FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
			name = m[1]
			inputs[name] = ""
		} else if value, ok := strings.CutPrefix(line, "    default: "); ok {
			inputs[name] = strings.TrimSpace(value)
		}
	}

	used := map[string]bool{}
	for _, m := range regexp.MustCompile(`\b(?:singleLine|text)\(env, '([^']+)'\)`).FindAllStringSubmatch(code, -1) {
		used[m[1]] = true
	}
	explained := map[string]string{} // name → default, as it is written there
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| ([^|]*)\\|").FindAllStringSubmatch(docs, -1) {
		explained[m[1]] = strings.Trim(strings.TrimSpace(m[2]), "`")
	}
	if got, want := slices.Sorted(maps.Keys(used)), slices.Sorted(maps.Keys(inputs)); !slices.Equal(got, want) || len(want) < 8 {
		t.Errorf("action.yml has the inputs %v, and its code reads %v", want, got)
	}
	if got, want := slices.Sorted(maps.Keys(explained)), slices.Sorted(maps.Keys(inputs)); !slices.Equal(got, want) {
		t.Errorf("action.yml has the inputs %v, and docs/action.md explains %v", want, got)
	}
	for name, value := range inputs {
		if value != "" && name != "version" && !strings.HasPrefix(value, "${{") && explained[name] != value {
			t.Errorf("%s is %q by default, and docs/action.md says %q", name, value, explained[name])
		}
	}

	if !regexp.MustCompile(`^\d+\.\d+\.\d+$`).MatchString(inputs["version"]) {
		t.Errorf("version is %q by default", inputs["version"])
	}

	for _, stage := range []string{"main", "post"} {
		m := regexp.MustCompile(`(?m)^  ` + stage + `: (\S+)$`).FindStringSubmatch(runs)
		if m == nil {
			t.Errorf("action.yml runs nothing as %s", stage)
		} else if _, err := os.Stat(filepath.Join("..", m[1])); err != nil {
			t.Error(err)
		}
	}
	if !strings.Contains(runs, "  using: node24\n") {
		t.Errorf("action.yml runs by %q", runs)
	}
	files, err := filepath.Glob("../action/*.js")
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		for _, m := range regexp.MustCompile(`(?:require|import)\(\s*['"]([^'"]+)['"]`).FindAllStringSubmatch(read(file), -1) {
			switch what := m[1]; {
			case strings.HasPrefix(what, "./"):
				if _, err := os.Stat(filepath.Join("../action", what)); err != nil {
					t.Errorf("%s: %v", file, err)
				}
			case !strings.HasPrefix(what, "node:"):
				t.Errorf("%s needs %s, which Node does not have", file, what)
			}
		}
	}
	for _, variable := range []string{"ECR_OIDC_MIRROR", "ECR_OIDC_VERIFY", "RUNNER_TEMP", "RUNNER_TOOL_CACHE", "HTTPS_PROXY", "NO_PROXY", "NODE_EXTRA_CA_CERTS", "DOCKER_CONFIG", "BUILDX_CONFIG", "ECR_OIDC_CONFIG"} {
		if !strings.Contains(docs, "`"+variable+"`") {
			t.Errorf("docs/action.md does not speak of %s", variable)
		}
	}
}
