// Package repository_test checks rules for the whole repository: imports, the size of files and
// functions, and workflows.
package repository_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/ecr-oidc/docker-credential-ecr-oidc"

// levels is the level of each package. A package imports only packages of lower levels.
var levels = map[string]int{
	"cmd/docker-credential-ecr-oidc": 9,
	"internal/cli":                   8,
	"internal/doctor":                7,
	"internal/explain":               6,
	"internal/helper":                6,
	"internal/debuglog":              5,
	"internal/exchange":              5,
	"internal/cache":                 5,
	"internal/dockerconfig":          5,
	"internal/trust":                 5,
	"internal/repository":            4,
	"internal/config":                4,
	"internal/token":                 3,
	"internal/registry":              2,
	"internal/suggest":               1,
	"internal/safetext":              1,
	"internal/atomicfile":            1,
	"internal/lockfile":              1,
	"internal/testenv":               1, // for tests alone
}

// restrictions limit the imports of third-party modules to some packages.
var restrictions = []struct {
	module   string
	packages []string
	tests    []string // packages that may import the module only in tests
}{
	{module: "github.com/aws/", packages: []string{"internal/exchange"}},
	{module: "github.com/golang-jwt/", packages: []string{"internal/token", "internal/trust",
		"e2e/emulator"}},
	{module: "github.com/docker/docker-credential-helpers",
		packages: []string{"cmd/docker-credential-ecr-oidc", "internal/cli",
			"internal/helper"}, tests: []string{"e2e", "e2e/clients"}},
	{module: "github.com/goccy/", packages: []string{"internal/config"}, tests: []string{"e2e"}},
	{module: "github.com/spf13/", packages: []string{"internal/cli"}}, // a get does not use it
}

// importEdge is an import of one package by another, both as import paths.
type importEdge struct {
	from, to string
	test     bool // only its tests import it
}

// violation returns the rule that an import violates, or "". The rules for packages of this module also
// apply to tests.
func violation(e importEdge) string {
	from, internal := strings.CutPrefix(e.from, module+"/")
	if !internal && e.from != module {
		return ""
	}
	inE2E := from == "e2e" || strings.HasPrefix(from, "e2e/")
	if to, internal := strings.CutPrefix(e.to, module+"/"); internal {
		toE2E := to == "e2e" || strings.HasPrefix(to, "e2e/")
		switch {
		case inE2E && !toE2E:
			return "e2e tests the built program and may not import its packages"
		case inE2E:
			return ""
		case toE2E && e.test && from == "internal/trust" && to == "e2e/emulator":
			return "" // the test compares two independent policy evaluators
		case toE2E:
			return "the program may not import its tests"
		case levels[from] == 0:
			return fmt.Sprintf("%s has no level in layers_test.go", from)
		case levels[to] == 0:
			return fmt.Sprintf("%s has no level in layers_test.go", to)
		case levels[to] >= levels[from]:
			return "the level of the imported package is not lower"
		}
		return ""
	}
	for _, f := range restrictions {
		if e.to != f.module && !strings.HasPrefix(e.to, strings.TrimSuffix(f.module, "/")+"/") {
			continue
		}
		if slices.Contains(f.packages, from) || e.test && slices.Contains(f.tests, from) {
			return ""
		}
		return fmt.Sprintf("%s may be imported only by %s", f.module,
			strings.Join(f.packages, ", "))
	}
	return ""
}

// imports returns all imports in the module on this operating system.
func imports(t *testing.T) []importEdge {
	t.Helper()
	// go test caches the result until these files change.
	for _, root := range []string{"cmd", "internal", "e2e"} {
		if err := filepath.WalkDir(root,
			func(_ string, _ fs.DirEntry, err error) error { return err }); err != nil {
			t.Fatal(err)
		}
	}
	const format = `{{range .Imports}}{{$.ImportPath}} {{.}} code{{"\n"}}{{end}}` +
		`{{range .TestImports}}{{$.ImportPath}} {{.}} test{{"\n"}}{{end}}` +
		`{{range .XTestImports}}{{$.ImportPath}} {{.}} test{{"\n"}}{{end}}`
	var stderr bytes.Buffer
	cmd := exec.Command("go", "list", "-f", format, "./...")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v: %s", err, stderr.String())
	}
	var found []importEdge
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) == 3 {
			found = append(found, importEdge{f[0], f[1], f[2] == "test"})
		}
	}
	return found
}

func TestImports(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range imports(t) {
		seen[strings.TrimPrefix(e.from, module+"/")] = true
		if e.test && strings.TrimPrefix(e.to, module+"/") == strings.TrimPrefix(e.from,
			module+"/") {
			continue // an external test of the package
		}
		if rule := violation(e); rule != "" {
			t.Errorf("%s imports %s: %s", e.from, e.to, rule)
		}
	}
	for _, p := range []string{"cmd/docker-credential-ecr-oidc", "internal/cli", "internal/doctor",
		"internal/helper", "internal/exchange", "internal/token"} {
		if !seen[p] {
			t.Errorf("%s was not checked", p)
		}
	}
}

// TestViolation checks that TestImports can fail.
func TestViolation(t *testing.T) {
	const jwt, aws, helpers = "github.com/golang-jwt/jwt/v5",
		"github.com/aws/aws-sdk-go-v2/service/sts",
		"github.com/docker/docker-credential-helpers/credentials"
	tests := []struct {
		from, to string
		test     bool
		want     string // "" is allowed
	}{
		{"cmd/docker-credential-ecr-oidc", module + "/internal/helper", false, ""},
		{"internal/cli", module + "/internal/doctor", false, ""},
		{"internal/doctor", module + "/internal/explain", false, ""},
		{"internal/doctor", module + "/internal/cli", false, "not lower"},
		{"internal/helper", module + "/internal/explain", false, "not lower"},
		{"internal/helper", module + "/internal/cache", false, ""},
		{"internal/exchange", module + "/internal/config", false, ""},
		{"internal/token", module + "/internal/safetext", false, ""},
		{"internal/helper", module + "/cmd/docker-credential-ecr-oidc", false, "not lower"},
		{"internal/token", module + "/internal/config", false, "not lower"},
		{"internal/cache", module + "/internal/exchange", false, "not lower"},
		{"internal/exchange", module + "/internal/cache", false, "not lower"},
		{"internal/registry", module + "/internal/token", false, "not lower"},
		{"internal/safetext", module + "/internal/atomicfile", false, "not lower"},
		{"internal/token", module + "/internal/config", true, "not lower"},
		{"internal/helper", module + "/internal/util", false, "no level"},
		{"internal/util", module + "/internal/safetext", false, "no level"},
		{"internal/token", module + "/e2e/emulator", true, "may not import its tests"},
		{"internal/trust", module + "/e2e/emulator", true, ""},
		{"internal/trust", module + "/e2e/emulator", false, "may not import its tests"},
		{"e2e", module + "/e2e/emulator", true, ""},
		{"e2e/demo", module + "/e2e/emulator", false, ""},
		{"e2e", module + "/internal/token", true, "may not import its packages"},
		{"e2e/emulator", module + "/internal/registry", false, "may not import its packages"},

		{"internal/exchange", aws, false, ""},
		{"internal/exchange", aws, true, ""},
		{"internal/helper", aws, false, "only by internal/exchange"},
		{"cmd/docker-credential-ecr-oidc", "github.com/aws/smithy-go", false,
			"only by internal/exchange"},
		{"internal/cache", aws, true, "only by internal/exchange"},
		{"e2e/emulator", aws, false, "only by internal/exchange"},
		{"internal/token", jwt, false, ""},
		{"internal/trust", jwt, false, ""},
		{"e2e/emulator", jwt, false, ""},
		{"internal/helper", jwt, false, "only by"},
		{"e2e/clients", jwt, true, "only by"},
		{"internal/helper", helpers, false, ""},
		{"cmd/docker-credential-ecr-oidc", helpers, false, ""},
		{"e2e", helpers, true, ""},
		{"e2e/emulator", helpers, false, "only by"},
		{"internal/dockerconfig", helpers, false, "only by"},
		{"internal/doctor", helpers, false, "only by"},
		{"internal/cli", "github.com/spf13/cobra", false, ""},
		{"cmd/docker-credential-ecr-oidc", "github.com/spf13/cobra", false, "only by"},
		{"internal/doctor", "github.com/spf13/cobra", false, "only by"},
		{"internal/dockerconfig", "github.com/docker/docker-credential-helpers", false,
			"only by"},
		{"internal/dockerconfig", "github.com/docker/docker-credential-helpers-not", false, ""},
		{"internal/dockerconfig", "encoding/json", false, ""},
	}
	for _, tt := range tests {
		got := violation(importEdge{module + "/" + tt.from, tt.to, tt.test})
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s imports %s (test: %v): %q, want %q", tt.from, tt.to, tt.test,
				got, tt.want)
		}
	}
	if got := violation(importEdge{"example.com/other", aws, false}); got != "" {
		t.Errorf("another module's import: %q", got)
	}
}

// No package of the program has an init function.
func TestNoInit(t *testing.T) {
	files := 0
	for _, root := range []string{"cmd", "internal"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
				return err
			}
			files++
			parsed, err := parser.ParseFile(token.NewFileSet(), path, nil,
				parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			if hasInit(parsed) {
				t.Errorf("%s has an init function", path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 30 {
		t.Errorf("checked only %d files", files)
	}
	for source, want := range map[string]bool{
		"package p; func init() {}":                   true,
		"package p; func f() { init := 1; _ = init }": false,
		"package p; type t int; func (t) init() {}":   false,
	} {
		parsed, err := parser.ParseFile(token.NewFileSet(), "p.go", source,
			parser.SkipObjectResolution)
		if err != nil || hasInit(parsed) != want {
			t.Errorf("%s: has init: %v, %v", source, !want, err)
		}
	}
}

func hasInit(file *ast.File) bool {
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
			return true
		}
	}
	return false
}
