package token

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestProviders checks that every row of the table is complete and documented: its secrets are
// redacted, it has advice, docs/sources.md has its section, and the JSON Schema has its name.
func TestProviders(t *testing.T) {
	docs := readText(t, "../../docs/sources.md")
	var schema struct {
		Defs map[string]struct {
			Properties map[string]struct{ Enum []string }
		} `json:"$defs"`
	}
	if err := json.Unmarshal([]byte(readText(t, "../../ecr-oidc.schema.json")), &schema); err != nil {
		t.Fatal(err)
	}
	var allowed []string
	for _, def := range schema.Defs {
		allowed = append(allowed, def.Properties["source"].Enum...)
	}
	want := Sources()
	unique := slices.Compact(slices.Sorted(slices.Values(allowed)))
	if !slices.Equal(slices.Sorted(slices.Values(want)), unique) {
		t.Errorf("ecr-oidc.schema.json allows the sources %q, want %q", allowed, want)
	}
	names := map[string]bool{}
	for _, p := range providers() {
		if p.Name == "" || names[p.Name] {
			t.Errorf("the name %q is empty or not unique", p.Name)
		}
		names[p.Name] = true
		// The secret of "file" is in the file. See TestFileTokenIsSecret.
		if len(p.Secrets) == 0 && p.Name != "file" {
			t.Errorf("%s: no secrets", p.Name)
		}
		for _, name := range p.Secrets {
			got := environ(name + "=the-secret-value").Secrets()
			if !slices.Contains(got, "the-secret-value") {
				t.Errorf("%s: %s is not redacted", p.Name, name)
			}
		}
		if p.URL != "" {
			got := environ(p.URL + "=https://user:the-password@host/").Secrets()
			if !slices.Contains(got, "the-password") {
				t.Errorf("%s: a password in %s is not redacted", p.Name, p.URL)
			}
		}
		if p.New == nil || p.Advice == nil || p.Advice(environ()) == "" {
			t.Errorf("%s: New or Advice is missing", p.Name)
		}
		if (p.Label == "") != (p.Detect == nil) || (p.Label == "") != (p.Job == nil) {
			t.Errorf("%s: only a CI has Label, Detect and Job, and it has all of them", p.Name)
		}
		checkVariables(t, p)
		if p.Label != "" {
			for file, want := range map[string]string{
				"../../SECURITY.md": "| `" + p.Name + "` |", "../../README.md": p.Label,
			} {
				if !strings.Contains(readText(t, file), want) &&
					!strings.Contains(readText(t, file), "| `"+p.Name+"`, ") {
					t.Errorf("%s does not name %s", file, want)
				}
			}
		}
		section := regexp.MustCompile(`(?ms)^## ` + regexp.QuoteMeta(p.Docs) +
			`$(.*?)(^## |\z)`).FindString(docs)
		if section == "" || !strings.Contains(section, "`"+p.Name+"`") {
			t.Errorf("docs/sources.md has no section %q that names the source `%s`", p.Docs,
				p.Name)
		}
		for _, name := range p.Secrets {
			if p.Label != "" && !strings.Contains(section, name) {
				t.Errorf("docs/sources.md: the section %q does not name %s", p.Docs, name)
			}
		}
	}
	all := strings.Join(Sources(), "`, `")
	for _, file := range []string{"../../README.md", "../../docs/configuration.md"} {
		if !strings.Contains(readText(t, file), "| `"+all+"` |") {
			t.Errorf("%s does not list the sources `%s`", file, all)
		}
	}
}

// TestSecretVariables checks that testdata/secret_variables.txt lists the variables of the table that hold
// a secret. The tests in e2e, which import no package of the program, read it to check that none of
// these secrets leaks.
func TestSecretVariables(t *testing.T) {
	var names []string
	for _, p := range providers() {
		names = append(names, p.Secrets...)
	}
	slices.Sort(names)
	want := strings.Join(slices.Compact(names), "\n") + "\n"
	if got := readIfExists(t, "testdata/secret_variables.txt"); got != want {
		t.Errorf("testdata/secret_variables.txt contains\n%swant\n%s", got, want)
	}
}

// checkVariables records the variables that a provider's New reads. It fails when the provider's
// secret is not redacted, or when New reads a URL that is not the provider's.
func checkVariables(t *testing.T, p Provider) {
	t.Helper()
	const value = "bkaj_the-value-of-" // with the prefix of Buildkite's job tokens
	all := Env(func(name string) (string, bool) { return value + name, true })
	recorded := Env(func(name string) (string, bool) {
		if (strings.Contains(name, "URL") || strings.Contains(name, "URI") ||
			strings.HasSuffix(name, "ENDPOINT")) && name != p.URL {
			t.Errorf("%s: New reads the URL in %s, which is not the provider's", p.Name, name)
		}
		return all(name)
	})
	source, _ := p.New(recorded, Settings{TokenFile: "/none"})
	if source.CacheSecret != "" && !slices.Contains(all.Secrets(), source.CacheSecret) {
		t.Errorf("%s: the secret %q is not redacted", p.Name, source.CacheSecret)
	}
}

// TestProviderOrder checks that GitHub is detected first, because a machine of another CI may run
// GitHub's jobs, and that README lists the providers in order.
func TestProviderOrder(t *testing.T) {
	var order []string
	for _, p := range providers() {
		if p.Detect != nil {
			order = append(order, strings.Replace(p.Label, "GitHub", "GitHub Actions", 1))
		}
	}
	want := order[0] + " first, then " + strings.Join(order[1:], ", ") + ";"
	readme := strings.Join(strings.Fields(readText(t, "../../README.md")), " ")
	if order[0] != "GitHub Actions" || !strings.Contains(readme, want) {
		t.Errorf("README does not contain %q", want)
	}
}

// TestFileTokenIsSecret checks that the token in a file is the identity's secret. Env.Secrets does
// not contain it, since it is not in the environment. safetext.Redact redacts it because it looks
// like a token, and internal/exchange redacts it as the request's token.
func TestFileTokenIsSecret(t *testing.T) {
	path := t.TempDir() + "/token"
	raw := jwtFor("sts.amazonaws.com", 0)
	if err := os.WriteFile(path, []byte(raw), 0o600); err != nil {
		t.Fatal(err)
	}
	id, err := identify(t, true, Settings{TokenFile: path})
	if err != nil || string(id.CacheSecret) != raw || id.TokenSource.CacheSecret != raw {
		t.Errorf("%q, %v", id.CacheSecret, err)
	}
}

func readText(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(b), "\r\n", "\n")
}
