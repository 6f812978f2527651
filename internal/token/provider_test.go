package token

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every row of the table is complete, and documented: its secrets are redacted, its advice exists, docs/sources.md has its
// section with its name, and the JSON Schema allows it.
func TestProviders(t *testing.T) {
	docs := readFileText(t, "../../docs/sources.md")
	var schema struct {
		Defs map[string]struct {
			Properties map[string]struct{ Enum []string }
		} `json:"$defs"`
	}
	if err := json.Unmarshal([]byte(readFileText(t, "../../ecr-oidc.schema.json")), &schema); err != nil {
		t.Fatal(err)
	}
	var allowed []string
	for _, def := range schema.Defs {
		allowed = append(allowed, def.Properties["source"].Enum...)
	}
	if want := Sources(); !slices.Equal(slices.Sorted(slices.Values(want)), slices.Compact(slices.Sorted(slices.Values(allowed)))) {
		t.Errorf("ecr-oidc.schema.json allows the sources %q, want %q", allowed, want)
	}
	names := map[string]bool{}
	for _, p := range providers() {
		if p.Name == "" || names[p.Name] {
			t.Errorf("the name %q is missing, or another row has it", p.Name)
		}
		names[p.Name] = true
		if len(p.Secrets) == 0 && p.Name != "file" { // whose secret is in a file; TestFileSecret has that
			t.Errorf("%s: no secrets", p.Name)
		}
		for _, name := range p.Secrets {
			if got := environ(name + "=the-secret-value").Secrets(); !slices.Contains(got, "the-secret-value") {
				t.Errorf("%s: %s is not redacted", p.Name, name)
			}
		}
		if p.URL != "" {
			if got := environ(p.URL + "=https://user:the-password@host/").Secrets(); !slices.Contains(got, "the-password") {
				t.Errorf("%s: a password in %s is not redacted", p.Name, p.URL)
			}
		}
		if p.New == nil || p.Advice == nil || p.Advice(environ()) == "" {
			t.Errorf("%s: New or Advice is missing", p.Name)
		}
		if (p.Label == "") != (p.Detect == nil) || (p.Label == "") != (p.Job == nil) {
			t.Errorf("%s: a CI has Label, Detect and Job, and another source has none of them", p.Name)
		}
		section := regexp.MustCompile(`(?ms)^## ` + regexp.QuoteMeta(p.Docs) + `$(.*?)(^## |\z)`).FindString(docs)
		if section == "" || !strings.Contains(section, "`"+p.Name+"`") {
			t.Errorf("docs/sources.md has no section %q that names the source `%s`", p.Docs, p.Name)
		}
	}
}

// The token in a file is not in the environment. It looks like a token, which oneline.Strike redacts wherever it stands;
// internal/exchange redacts it as the request's own token too.
func TestFileSecret(t *testing.T) {
	path := t.TempDir() + "/token"
	raw := jwtFor("sts.amazonaws.com", 0)
	if err := os.WriteFile(path, []byte(raw), 0o600); err != nil {
		t.Fatal(err)
	}
	id, err := identify(t, true, Settings{TokenFile: path})
	if err != nil || string(id.Secret) != raw || id.Source.Secret != raw {
		t.Errorf("%q, %v", id.Secret, err)
	}
}

func readFileText(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(b), "\r\n", "\n")
}
