package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDocsSources checks docs/sources.md: each section names its scripts, every script of a source
// is named, links within the repository exist, and README explains every variable.
func TestDocsSources(t *testing.T) {
	read := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(string(b), "\r\n", "\n")
	}
	text := read("../docs/sources.md")
	script := regexp.MustCompile("`([a-z_]+\\.txtar)`")
	named := map[string]bool{}
	sections := strings.Split(text, "\n## ")[1:]
	for _, section := range sections {
		title, body, _ := strings.Cut(section, "\n")
		scripts := script.FindAllStringSubmatch(body, -1)
		if len(scripts) == 0 {
			t.Errorf("%s: no script is named", title)
		}
		for _, m := range scripts {
			named[m[1]] = true
			if _, err := os.Stat(filepath.Join("testdata", m[1])); err != nil {
				t.Errorf("%s: %v", title, err)
			}
		}
		for _, want := range []string{
			"\n```",
			"| source |",
			"| issuer",
			"| IAM provider",
			"| encrypts the cache |",
			"\nNot possible: ",
		} {
			if !strings.Contains(body, want) {
				t.Errorf("%s: there is no %q", title, strings.TrimSpace(want))
			}
		}
		anchor := strings.ReplaceAll(strings.ReplaceAll(strings.ToLower(title), ",", ""), " ", "-")
		if !strings.Contains(text, "["+title+"](#"+anchor+")") {
			t.Errorf("%s is not in the table at the top", title)
		}
	}
	if len(sections) < 10 {
		t.Errorf("%d sections", len(sections))
	}
	all, err := filepath.Glob("testdata/source_*.txtar")
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	for _, path := range all {
		if !named[filepath.Base(path)] {
			t.Errorf("docs/sources.md does not name %s", filepath.Base(path))
		}
	}
	for _, m := range regexp.MustCompile(`\]\((\.\./[^)#]+)`).FindAllStringSubmatch(text, -1) {
		if _, err := os.Stat(filepath.Join("../docs", m[1])); err != nil {
			t.Error(err)
		}
	}
	variables := regexp.MustCompile(`\bECR_OIDC_[A-Z_]*[A-Z]\b`)
	explained := variables.FindAllString(read("../README.md"), -1)
	for _, name := range variables.FindAllString(text, -1) {
		if !slices.Contains(explained, name) {
			t.Errorf("README does not explain %s", name)
		}
	}
}
