// Package layers_test holds this module to its shape: which package may import which.
package layers_test

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

// level says how high each package stands. A package imports lower ones only.
var level = map[string]int{
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
}

// fences say who alone may import a module that is not ours.
var fences = []struct {
	module   string
	packages []string
	testsToo []string // packages whose tests may as well
}{
	{module: "github.com/aws/", packages: []string{"internal/exchange"}},
	{module: "github.com/golang-jwt/", packages: []string{"internal/token", "internal/trust", "e2e/emulator"}},
	{module: "github.com/docker/docker-credential-helpers", packages: []string{"cmd/docker-credential-ecr-oidc", "internal/cli", "internal/helper"}, testsToo: []string{"e2e", "e2e/clients"}},
	{module: "github.com/goccy/", packages: []string{"internal/config"}, testsToo: []string{"e2e"}},
	{module: "github.com/spf13/", packages: []string{"internal/cli"}}, // a get does not use it
}

// An edge is one package's import of another, both as import paths.
type edge struct {
	from, to string
	test     bool // only its tests import it
}

// wrong says which rule an import breaks; "" when it breaks none. Between our own packages, tests keep the rules too.
func wrong(e edge) string {
	from, ours := strings.CutPrefix(e.from, module+"/")
	if !ours && e.from != module {
		return ""
	}
	outside := from == "e2e" || strings.HasPrefix(from, "e2e/")
	if to, ours := strings.CutPrefix(e.to, module+"/"); ours {
		toOutside := to == "e2e" || strings.HasPrefix(to, "e2e/")
		switch {
		case outside && !toOutside:
			return "e2e tests the program from outside: it may import nothing of it"
		case outside:
			return ""
		case toOutside && e.test && from == "internal/trust" && to == "e2e/emulator":
			return "" // two evaluators of policies that know nothing of each other, and a test that compares them
		case toOutside:
			return "the program may not import its tests"
		case level[from] == 0:
			return fmt.Sprintf("%s has no level: give it one in layers_test.go", from)
		case level[to] == 0:
			return fmt.Sprintf("%s has no level: give it one in layers_test.go", to)
		case level[to] >= level[from]:
			return "the arrow points up"
		}
		return ""
	}
	for _, f := range fences {
		if e.to != f.module && !strings.HasPrefix(e.to, strings.TrimSuffix(f.module, "/")+"/") {
			continue
		}
		if slices.Contains(f.packages, from) || e.test && slices.Contains(f.testsToo, from) {
			return ""
		}
		return fmt.Sprintf("%s is for %s alone", f.module, strings.Join(f.packages, ", "))
	}
	return ""
}

// edges lists every import in the module, for the system at hand.
func edges(t *testing.T) []edge {
	t.Helper()
	for _, root := range []string{"cmd", "internal", "e2e"} { // so that "go test" knows what its cached result hangs on
		if err := filepath.WalkDir(root, func(_ string, _ fs.DirEntry, err error) error { return err }); err != nil {
			t.Fatal(err)
		}
	}
	const format = `{{range .Imports}}{{$.ImportPath}} {{.}} code{{"\n"}}{{end}}` +
		`{{range .TestImports}}{{$.ImportPath}} {{.}} test{{"\n"}}{{end}}{{range .XTestImports}}{{$.ImportPath}} {{.}} test{{"\n"}}{{end}}`
	var stderr bytes.Buffer
	cmd := exec.Command("go", "list", "-f", format, "./...")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v: %s", err, stderr.String())
	}
	var found []edge
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) == 3 {
			found = append(found, edge{f[0], f[1], f[2] == "test"})
		}
	}
	return found
}

func TestArrowsPointDown(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range edges(t) {
		seen[strings.TrimPrefix(e.from, module+"/")] = true
		if e.test && strings.TrimPrefix(e.to, module+"/") == strings.TrimPrefix(e.from, module+"/") {
			continue // an external test of its own package
		}
		if why := wrong(e); why != "" {
			t.Errorf("%s imports %s: %s", e.from, e.to, why)
		}
	}
	for _, p := range []string{"cmd/docker-credential-ecr-oidc", "internal/cli", "internal/doctor",
		"internal/helper", "internal/exchange", "internal/token"} {
		if !seen[p] {
			t.Errorf("%s was not looked at", p)
		}
	}
}

// TestWrong is the proof that the test above can fail.
func TestWrong(t *testing.T) {
	const jwt, aws, helpers = "github.com/golang-jwt/jwt/v5", "github.com/aws/aws-sdk-go-v2/service/sts", "github.com/docker/docker-credential-helpers/credentials"
	tests := []struct {
		from, to string
		test     bool
		want     string // "" is allowed
	}{
		{"cmd/docker-credential-ecr-oidc", module + "/internal/helper", false, ""},
		{"internal/cli", module + "/internal/doctor", false, ""},
		{"internal/doctor", module + "/internal/explain", false, ""},
		{"internal/doctor", module + "/internal/cli", false, "up"},
		{"internal/helper", module + "/internal/explain", false, "up"},
		{"internal/helper", module + "/internal/cache", false, ""},
		{"internal/exchange", module + "/internal/config", false, ""},
		{"internal/token", module + "/internal/safetext", false, ""},
		{"internal/helper", module + "/cmd/docker-credential-ecr-oidc", false, "up"},
		{"internal/token", module + "/internal/config", false, "up"},
		{"internal/cache", module + "/internal/exchange", false, "up"},
		{"internal/exchange", module + "/internal/cache", false, "up"},
		{"internal/registry", module + "/internal/token", false, "up"},
		{"internal/safetext", module + "/internal/atomicfile", false, "up"},
		{"internal/token", module + "/internal/config", true, "up"},
		{"internal/helper", module + "/internal/util", false, "no level"},
		{"internal/util", module + "/internal/safetext", false, "no level"},
		{"internal/token", module + "/e2e/emulator", true, "may not import its tests"},
		{"internal/trust", module + "/e2e/emulator", true, ""},
		{"internal/trust", module + "/e2e/emulator", false, "may not import its tests"},
		{"e2e", module + "/e2e/emulator", true, ""},
		{"e2e/demo", module + "/e2e/emulator", false, ""},
		{"e2e", module + "/internal/token", true, "nothing of it"},
		{"e2e/emulator", module + "/internal/registry", false, "nothing of it"},

		{"internal/exchange", aws, false, ""},
		{"internal/exchange", aws, true, ""},
		{"internal/helper", aws, false, "internal/exchange alone"},
		{"cmd/docker-credential-ecr-oidc", "github.com/aws/smithy-go", false, "internal/exchange alone"},
		{"internal/cache", aws, true, "internal/exchange alone"},
		{"e2e/emulator", aws, false, "internal/exchange alone"},
		{"internal/token", jwt, false, ""},
		{"internal/trust", jwt, false, ""},
		{"e2e/emulator", jwt, false, ""},
		{"internal/helper", jwt, false, "alone"},
		{"e2e/clients", jwt, true, "alone"},
		{"internal/helper", helpers, false, ""},
		{"cmd/docker-credential-ecr-oidc", helpers, false, ""},
		{"e2e", helpers, true, ""},
		{"e2e/emulator", helpers, false, "alone"},
		{"internal/dockerconfig", helpers, false, "alone"},
		{"internal/doctor", helpers, false, "alone"},
		{"internal/cli", "github.com/spf13/cobra", false, ""},
		{"cmd/docker-credential-ecr-oidc", "github.com/spf13/cobra", false, "alone"},
		{"internal/doctor", "github.com/spf13/cobra", false, "alone"},
		{"internal/dockerconfig", "github.com/docker/docker-credential-helpers", false, "alone"},
		{"internal/dockerconfig", "github.com/docker/docker-credential-helpers-not", false, ""},
		{"internal/dockerconfig", "encoding/json", false, ""},
	}
	for _, tt := range tests {
		got := wrong(edge{module + "/" + tt.from, tt.to, tt.test})
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s imports %s (test: %v): %q, want %q", tt.from, tt.to, tt.test, got, tt.want)
		}
	}
	if got := wrong(edge{"example.com/other", aws, false}); got != "" {
		t.Errorf("another module's import: %q", got)
	}
}

// No package of the program does anything before it is called.
func TestNoInit(t *testing.T) {
	files := 0
	for _, root := range []string{"cmd", "internal"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
				return err
			}
			files++
			parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
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
		t.Errorf("looked at %d files only", files)
	}
	for source, want := range map[string]bool{
		"package p; func init() {}": true, "package p; func f() { init := 1; _ = init }": false, "package p; type t int; func (t) init() {}": false,
	} {
		parsed, err := parser.ParseFile(token.NewFileSet(), "p.go", source, parser.SkipObjectResolution)
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
