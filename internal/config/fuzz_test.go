package config

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// FuzzEdit checks that an edit of any file does one of two things. It returns a single-line error and
// does not change the file. Or it writes a valid file that has the new settings and every comment
// line, and repeating the edit does not change its settings.
func FuzzEdit(f *testing.F) {
	for _, s := range []string{
		documentedFile, "", "# mine", "accounts:\n",
		"accounts:\n  \"123456789012\":\n    role: x # why\n",
		"accounts:\n    \"210987654321\": {role: x}\n",
		"accounts: {\"123456789012\": {role: x}}\n", "---\n---\n",
		"%YAML 1.2\n---\ndefault: {role: x}\n", "default: &a {role: x}\n",
		"allowed_account_ids: []\n",
		"? accounts\n: \"123456789012\": {role: x}\n",
		"accounts:\n  \"123456789012\": !!map\n    role: x\n", "default:\n\trole: x\n",
		"\ufeffdefault: {role: x}\r\n",
	} {
		f.Add([]byte(s))
	}
	path := filepath.Join(f.TempDir(), "ecr-oidc.yaml")
	settings := AccountSettings{Role: []string{"hub", "spoke"}, Profile: "dev \"sso\"",
		AllowedAccountIDs: []string{"123456789012"}}
	f.Fuzz(func(t *testing.T, before []byte) {
		if len(before) > 4096 { // the parser takes quadratic time; MaxSize limits the size
			return
		}
		if err := os.WriteFile(path, before, 0o600); err != nil {
			t.Fatal(err)
		}
		err := SetAccounts(path, []string{"123456789012", ""}, settings)
		after, readErr := os.ReadFile(path)
		if readErr != nil {
			t.Fatal(readErr)
		}
		if err != nil {
			if string(after) != string(before) || strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("%q: error %q, but the file changed to %q", before, err, after)
			}
			return
		}
		file, err := parse("f", after)
		if err != nil {
			t.Fatalf("%q became %q: %v", before, after, err)
		}
		for name, entry := range map[string]Entry{
			"the account": file.Accounts["123456789012"].Entry,
			"public":      file.Public,
		} {
			if !slices.Equal(entry["role"].Texts, settings.Role) ||
				!slices.Equal(entry["profile"].Texts, []string{settings.Profile}) {
				t.Errorf("%q became %q: %s has %v", before, after, name, entry)
			}
		}
		if !file.Allowed["123456789012"] {
			t.Errorf("%q became %q: the account is not allowed", before, after)
		}
		if err := SetAccounts(path, []string{"123456789012", ""}, settings); err != nil {
			t.Fatalf("%q became %q, which cannot be edited: %v", before, after, err)
		}
		again, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if second, err := parse("f", again); err != nil ||
			!reflect.DeepEqual(second.flatten(), file.flatten()) {
			t.Errorf("%q became %q, and then %q: %v", before, after, again, err)
		}
		replaced := strings.Contains(string(before), "123456789012") ||
			strings.Contains(string(before), "public")
		for line := range strings.Lines(string(before)) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "#") &&
				!replaced && !strings.Contains(string(after), line) {
				t.Errorf("%q lost %q: %q", before, line, after)
			}
		}
	})
}

// SetAccounts rejects invalid UTF-8. The parser accepts it, but an edit would corrupt the text.
func TestSetAccountsNotUTF8(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ecr-oidc.yaml")
	const text = "# caf\xe9\ndefault: {role: ci}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	err := SetAccounts(path, []string{"123456789012"}, AccountSettings{Role: []string{"ci"}})
	if err == nil || !strings.Contains(err.Error(), "it is not valid UTF-8") {
		t.Errorf("SetAccounts: %v, want the UTF-8 error", err)
	}
	if b, _ := os.ReadFile(path); string(b) != text {
		t.Errorf("the file changed to %q", b)
	}
}
