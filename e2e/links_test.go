package e2e

import (
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// documents are the pages that people read: README, SECURITY and CONTRIBUTING, docs, and the examples' own.
func documents(t *testing.T) []string {
	t.Helper()
	pages := []string{"../README.md", "../SECURITY.md", "../CONTRIBUTING.md"}
	docs, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	pages = append(pages, docs...)
	err = filepath.WalkDir("../examples", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Ext(path) == ".md" {
			pages = append(pages, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(pages) < 15 {
		t.Fatalf("%d pages only: %q", len(pages), pages)
	}
	return pages
}

// page returns a text file with newlines alone.
func page(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(b), "\r\n", "\n")
}

var (
	fenced  = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	span    = regexp.MustCompile("`[^`\n]*`")
	heading = regexp.MustCompile(`(?m)^#+ +(.+?) *#*$`)
	target  = regexp.MustCompile(`\]\(([^)\s]+)\)|(?m)^\[[^\]]+\]: +(\S+)$`)
	linked  = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	notSlug = regexp.MustCompile(`[^\p{L}\p{N}\p{M}_ -]`)
)

// anchors are the fragments by which GitHub reaches a page's headings.
func anchors(text string) map[string]bool {
	found := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		slug := linked.ReplaceAllString(strings.ReplaceAll(m[1], "`", ""), "$1")
		found[strings.ReplaceAll(notSlug.ReplaceAllString(strings.ToLower(slug), ""), " ", "-")] = true
	}
	return found
}

// brokenLinks returns the links of a page that lead to no file of this repository, or to no heading in one. Those that lead
// out of it are not followed.
func brokenLinks(t *testing.T, path string) (broken []string) {
	t.Helper()
	text := span.ReplaceAllString(fenced.ReplaceAllString(page(t, path), ""), "")
	for _, m := range target.FindAllStringSubmatch(text, -1) {
		link := m[1] + m[2]
		u, err := url.Parse(link)
		if err != nil {
			broken = append(broken, link)
			continue
		}
		if u.Scheme != "" {
			continue
		}
		to := path
		if u.Path != "" {
			to = filepath.Join(filepath.Dir(path), filepath.FromSlash(u.Path))
		}
		if _, err := os.Stat(to); err != nil {
			broken = append(broken, link)
		} else if u.Fragment != "" && filepath.Ext(to) == ".md" && !anchors(page(t, to))[u.Fragment] {
			broken = append(broken, link)
		}
	}
	return broken
}

func TestLinks(t *testing.T) {
	for _, path := range documents(t) {
		for _, link := range brokenLinks(t, path) {
			t.Errorf("%s: %s leads nowhere", path, link)
		}
	}
}

// TestBrokenLinks checks that TestLinks can fail.
func TestBrokenLinks(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.md": "# A, `b`: c's [d](b.md)\n[1](b.md) [2](b.md#two-words) [3](#a-b-cs-d) [4](https://example.com/x#y)\n`[5](x)`\n```\n[6](x)\n# No\n```\n" +
			"[7](c.md) [8](b.md#one) [9](#no)\n[x]: d.md\n",
		"b.md": "Text\n\n## Two words\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := strings.Join(brokenLinks(t, filepath.Join(dir, "a.md")), " "), "c.md b.md#one #no d.md"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestVersion checks that all places that name a version of a release name the default version of
// the action.
func TestVersion(t *testing.T) {
	m := regexp.MustCompile(`(?m)^  version:\n(?:    .*\n)*?    default: (\S+)$`).FindStringSubmatch(page(t, "../action.yml"))
	if m == nil {
		t.Fatal("action.yml names no default version")
	}
	ours := m[1]
	// Each way in which a page or a configuration names a release of this program.
	names := regexp.MustCompile(`(?:\bV=|\$v = '|\bversion: ?["']?|\bdefault: |--version[ =]|docker-credential-ecr-oidc_|docker-credential-ecr-oidc:|docker-credential-ecr-oidc@v|ECR_OIDC_VERSION[:=] ?|such as .|/v|"version" \| .)(\d+\.\d+\.\d+)\b`)
	files := []string{"../README.md", "../docs/install.md", "../docs/orb.md", "../docs/action.md", "../orb/src/commands/install.yml", "../orb/src/jobs/push.yml"}
	examples, err := filepath.Glob("../orb/src/examples/*.yml")
	if err != nil || len(examples) == 0 {
		t.Fatal(examples, err)
	}
	circle, err := filepath.Glob("../examples/circleci*/*.yml")
	if err != nil || len(circle) == 0 {
		t.Fatal(circle, err)
	}
	for _, path := range append(append(files, examples...), circle...) {
		found := names.FindAllStringSubmatch(page(t, path), -1)
		if len(found) == 0 && (strings.Contains(path, "install") || strings.Contains(path, "jobs")) {
			t.Errorf("%s names no version", path)
		}
		for _, m := range found {
			if m[1] != ours {
				t.Errorf("%s: %s, and the action installs %s", path, m[0], ours)
			}
		}
	}
	for _, part := range []string{"commands/install.yml", "jobs/push.yml"} {
		if !regexp.MustCompile(`(?m)^  version:\n    type: string\n    default: ` + regexp.QuoteMeta(ours) + `$`).MatchString(page(t, "../orb/src/"+part)) {
			t.Errorf("orb/src/%s has another default than the action's, %s", part, ours)
		}
	}
}
