//go:build !clients

package clients

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDocsClients checks that docs/clients.md names the versions in packaging/tools, and only tests
// that exist.
func TestDocsClients(t *testing.T) {
	read := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	docs, tools := read("../../docs/clients.md"), read("../../packaging/tools/main.go")
	rows := regexp.MustCompile(`(?m)^\t\{"([^"]+)", "v([^"]+)", ".*", true\},$`).FindAllStringSubmatch(tools, -1)
	if len(rows) < 10 {
		t.Fatalf("packaging/tools has only %d clients", len(rows))
	}
	for _, row := range rows {
		name, version := row[1], strings.TrimSuffix(row[2], "+incompatible")
		if name != "act" && name != "minio" && !strings.Contains(docs, version) { // which are no clients of a registry
			t.Errorf("docs/clients.md does not name %s %s", name, version)
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
