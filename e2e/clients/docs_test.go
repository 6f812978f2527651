//go:build !clients

package clients

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDocsClients checks that docs/clients.md names the versions in .ci/tools.sh, and only tests
// that exist.
func TestDocsClients(t *testing.T) {
	read := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	docs, tools := read("../../docs/clients.md"), read("../../.ci/tools.sh")
	names := regexp.MustCompile(`(?m)^CLIENT_TOOLS=\((.+)\)$`).FindStringSubmatch(tools)
	if names == nil {
		t.Fatal("tools.sh has no CLIENT_TOOLS")
	}
	for _, name := range strings.Fields(names[1]) {
		row := regexp.MustCompile(`(?m)^\t*` + name + ` v(\d+\.\d+\.\d+)`).FindStringSubmatch(tools)
		switch {
		case name == "act" || name == "minio": // not clients
		case row == nil:
			t.Errorf("tools.sh has no version of %s", name)
		case !strings.Contains(docs, row[1]):
			t.Errorf("docs/clients.md does not name %s %s", name, row[1])
		}
	}

	var tests strings.Builder
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.HasSuffix(f.Name(), "_test.go") {
			tests.WriteString(read(f.Name()))
		}
	}
	for _, m := range regexp.MustCompile("`(Test[A-Za-z]+)`").FindAllStringSubmatch(docs, -1) {
		if !strings.Contains(tests.String(), "func "+m[1]+"(") {
			t.Errorf("docs/clients.md names %s, which does not exist", m[1])
		}
	}
}
