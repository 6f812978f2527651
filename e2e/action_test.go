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

// manifestSection returns the names in the section "inputs" or "outputs" of action.yml, with their
// defaults.
func manifestSection(t *testing.T, manifest, section string) map[string]string {
	t.Helper()
	_, rest, found := strings.Cut(manifest, "\n"+section+":\n")
	if !found {
		t.Fatalf("action.yml has no %s", section)
	}
	names, name := map[string]string{}, ""
	for line := range strings.Lines(rest) {
		if strings.TrimSpace(line) != "" && !strings.HasPrefix(line, "  ") {
			break
		}
		m := regexp.MustCompile(`^  ([a-z-]+):$`).FindStringSubmatch(strings.TrimRight(line, "\n"))
		if m != nil {
			name = m[1]
			names[name] = ""
		} else if value, ok := strings.CutPrefix(line, "    default: "); ok {
			names[name] = strings.TrimSpace(value)
		}
	}
	return names
}

// docsTable returns the rows of the table in docs/action.md whose first column has this title: the
// first cell, and the second.
func docsTable(docs, title string) map[string]string {
	_, rest, _ := strings.Cut(docs, "\n| "+title+" |")
	table, _, _ := strings.Cut(rest, "\n\n")
	rows := map[string]string{}
	row := regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| ([^|]*)\\|")
	for _, m := range row.FindAllStringSubmatch(table, -1) {
		rows[m[1]] = strings.Trim(strings.TrimSpace(m[2]), "`")
	}
	return rows
}

// TestAction checks that the inputs and outputs in action.yml are those that the code of the action reads and
// docs/action.md describes, with the same defaults, and that the code needs only Node.
func TestAction(t *testing.T) {
	read := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(string(b), "\r\n", "\n")
	}
	manifest, docs, code := read("../action.yml"), read("../docs/action.md"), read("../action/inputs.js")

	inputs := manifestSection(t, manifest, "inputs")
	_, runs, _ := strings.Cut(manifest, "\nruns:\n")
	set := map[string]bool{}
	setOutput := regexp.MustCompile(`\bsetOutput\('([^']+)'`)
	for _, m := range setOutput.FindAllStringSubmatch(read("../action/main.js"), -1) {
		set[m[1]] = true
	}
	outputs := slices.Sorted(maps.Keys(manifestSection(t, manifest, "outputs")))
	if got := slices.Sorted(maps.Keys(set)); !slices.Equal(got, outputs) || len(got) != 3 {
		t.Errorf("action.yml has the outputs %v, and its code sets %v", outputs, got)
	}
	if got := slices.Sorted(maps.Keys(docsTable(docs, "output"))); !slices.Equal(got, outputs) {
		t.Errorf("action.yml has the outputs %v, and docs/action.md describes %v", outputs, got)
	}

	used := map[string]bool{}
	for _, m := range regexp.MustCompile(`\b(?:singleLine|text)\(env, '([^']+)'\)`).FindAllStringSubmatch(code, -1) {
		used[m[1]] = true
	}
	explained := docsTable(docs, "input") // name → default
	want := slices.Sorted(maps.Keys(inputs))
	if got := slices.Sorted(maps.Keys(used)); !slices.Equal(got, want) || len(want) < 8 {
		t.Errorf("action.yml has the inputs %v, and its code reads %v", want, got)
	}
	if got := slices.Sorted(maps.Keys(explained)); !slices.Equal(got, want) {
		t.Errorf("action.yml has the inputs %v, and docs/action.md explains %v", want, got)
	}
	for name, value := range inputs {
		if value != "" && name != "version" && !strings.HasPrefix(value, "${{") && explained[name] != value {
			t.Errorf("the default of %s is %q, but %q in docs/action.md", name, value, explained[name])
		}
	}

	if !regexp.MustCompile(`^\d+\.\d+\.\d+$`).MatchString(inputs["version"]) {
		t.Errorf("the default version is %q, want MAJOR.MINOR.PATCH", inputs["version"])
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
		t.Errorf("action.yml does not use node24: %q", runs)
	}
	imported := regexp.MustCompile(`(?:require|import)\(\s*['"]([^'"]+)['"]`)
	files, err := filepath.Glob("../action/*.js")
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		for _, m := range imported.FindAllStringSubmatch(read(file), -1) {
			switch module := m[1]; {
			case strings.HasPrefix(module, "./"):
				if _, err := os.Stat(filepath.Join("../action", module)); err != nil {
					t.Errorf("%s: %v", file, err)
				}
			case !strings.HasPrefix(module, "node:"):
				t.Errorf("%s imports %s, which is not a module of Node", file, module)
			}
		}
	}
	for _, variable := range []string{
		"ECR_OIDC_MIRROR", "ECR_OIDC_VERIFY", "ECR_OIDC_CONFIG",
		"RUNNER_TEMP", "RUNNER_TOOL_CACHE",
		"HTTPS_PROXY", "NO_PROXY", "NODE_EXTRA_CA_CERTS",
		"DOCKER_CONFIG", "BUILDX_CONFIG",
	} {
		if !strings.Contains(docs, "`"+variable+"`") {
			t.Errorf("docs/action.md does not mention %s", variable)
		}
	}
}
