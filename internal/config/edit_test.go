package config

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// SetAccounts writes the settings and changes nothing else in the file.
func TestSetAccounts(t *testing.T) {
	const before = `# our registries

default:
  role: ci-push # everywhere

accounts:
  # the hub
  "210987654321":
    role: [hub, spoke] # a chain

    session_policy: pull
  "333344445555": {source: aws, profile: 'dev-sso'}
# the end
`
	for _, tt := range []struct {
		name, before string
		accounts     []string
		settings     AccountSettings
		want         string
	}{
		{"no file", "", []string{"123456789012"}, AccountSettings{Role: []string{"ci"}},
			"accounts:\n  \"123456789012\":\n    role: \"ci\"\n"},
		{"only comments", "# mine\n", []string{"123456789012"},
			AccountSettings{Source: "aws", Profile: "dev"},
			"# mine\naccounts:\n  \"123456789012\":\n    source: \"aws\"\n" +
				"    profile: \"dev\"\n"},
		{"the public registry", "", []string{""},
			AccountSettings{Role: []string{"arn:aws:iam::210987654321:role/public-pull"}},
			"public:\n  role: \"arn:aws:iam::210987654321:role/public-pull\"\n"},
		{"two accounts and a chain", "creds_store: desktop\n",
			[]string{"123456789012", "210987654321"},
			AccountSettings{Role: []string{"hub", "spoke"}},
			"creds_store: desktop\naccounts:\n  \"123456789012\":\n" +
				"    role: [\"hub\", \"spoke\"]\n  \"210987654321\":\n" +
				"    role: [\"hub\", \"spoke\"]\n"},
		{"new account in a full file", before, []string{"123456789012"},
			AccountSettings{Role: []string{"ci"}},
			strings.Replace(before, "# the end",
				"  \"123456789012\":\n    role: \"ci\"\n# the end", 1)},
		{"existing account", before, []string{"210987654321"}, AccountSettings{Profile: "dev"},
			strings.Replace(before, "    session_policy: pull\n",
				"    session_policy: pull\n    profile: \"dev\"\n", 1)},
		{"comment without a newline", "# mine", []string{"123456789012"},
			AccountSettings{Role: []string{"ci"}},
			"# mine\naccounts:\n  \"123456789012\":\n    role: \"ci\"\n"},
		{"quoted keys", "'accounts':\n  '123456789012':\n    \"role\": x\n",
			[]string{"123456789012"}, AccountSettings{Role: []string{"ci"}},
			"'accounts':\n  '123456789012':\n    \"role\": \"ci\"\n"},
		{"document marker", "# head\n---\naccounts:\n  \"123456789012\":\n    role: x\n",
			[]string{"123456789012"}, AccountSettings{Role: []string{"ci"}},
			"# head\n---\naccounts:\n  \"123456789012\":\n    role: \"ci\"\n"},
		{"indentation of four spaces",
			"accounts:\n    \"123456789012\":\n        role: x\n",
			[]string{"123456789012", "210987654321"}, AccountSettings{Profile: "p"},
			"accounts:\n    \"123456789012\":\n        role: x\n" +
				"        profile: \"p\"\n    \"210987654321\":\n" +
				"      profile: \"p\"\n"},
		{"every setting", "", []string{"123456789012"},
			AccountSettings{Role: []string{"ci"}, Source: "github", Profile: "p",
				Audience: "aud \"x\"", SessionName: "build", SessionDuration: "900"},
			"accounts:\n  \"123456789012\":\n    role: \"ci\"\n" +
				"    source: \"github\"\n    profile: \"p\"\n" +
				"    audience: \"aud \\\"x\\\"\"\n    session_name: \"build\"\n" +
				"    session_duration: \"900\"\n"},
		{"only allowed accounts", "creds_store: desktop\n", []string{"123456789012"},
			AccountSettings{AllowedAccountIDs: []string{"210987654321",
				"123456789012"}},
			"creds_store: desktop\n" +
				"allowed_account_ids: [\"210987654321\", \"123456789012\"]\n"},
		{"additional allowed accounts",
			"# who\nallowed_account_ids: # these\n  - \"333344445555\"\n" +
				"  - '210987654321'\ncreds_store: desktop\n", []string{""},
			AccountSettings{AllowedAccountIDs: []string{"123456789012",
				"333344445555"}},
			"# who\nallowed_account_ids: # these\n  - \"333344445555\"\n" +
				"  - '210987654321'\n  - \"123456789012\"\ncreds_store: desktop\n"},
		{"additional allowed accounts in brackets",
			"allowed_account_ids: ['210987654321'] # the hub\n", []string{""},
			AccountSettings{AllowedAccountIDs: []string{"123456789012"}},
			"allowed_account_ids: ['210987654321', \"123456789012\"] # the hub\n"},
		{"empty list of allowed accounts", "allowed_account_ids: []\n", []string{""},
			AccountSettings{AllowedAccountIDs: []string{"123456789012"}},
			"allowed_account_ids: [\"123456789012\"]\n"},
		{"existing allowed accounts",
			"allowed_account_ids: # these\n  - '210987654321' # the hub\n",
			[]string{""}, AccountSettings{AllowedAccountIDs: []string{"210987654321"}},
			"allowed_account_ids: # these\n  - '210987654321' # the hub\n"},
		{"account and allowed accounts", "", []string{"123456789012"},
			AccountSettings{Role: []string{"ci"},
				AllowedAccountIDs: []string{"123456789012"}},
			"allowed_account_ids: [\"123456789012\"]\naccounts:\n" +
				"  \"123456789012\":\n    role: \"ci\"\n"},
		{"no settings", before, []string{"210987654321"}, AccountSettings{}, before},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "sub", "ecr-oidc.yaml")
			if tt.before != "" {
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(tt.before), 0o640); err != nil {
					t.Fatal(err)
				}
			}
			if err := SetAccounts(path, tt.accounts, tt.settings); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(path)
			if err != nil || string(b) != tt.want {
				t.Errorf("the file is now %v\n%s\nwant\n%s", err, b, tt.want)
			}
			if fi, err := os.Stat(path); err == nil && tt.before == "" &&
				runtime.GOOS != "windows" && fi.Mode() != 0o600 {
				t.Errorf("created with mode %v", fi.Mode())
			}
		})
	}
}

func TestSetAccountsInvalid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ecr-oidc.yaml")
	for _, tt := range []struct {
		before   string
		settings AccountSettings
		want     string
	}{
		{"", AccountSettings{Role: []string{"arn:aws:iam::1:role/x"}},
			`--role has "arn:aws:iam::1:role/x", which is not a role`},
		{"", AccountSettings{Role: []string{"hub", ""}}, `--role has "", which is not a role`},
		{"", AccountSettings{Source: "jenkins"},
			`--source is "jenkins"; allowed values are auto, github`},
		{"", AccountSettings{SessionName: "a b"}, `--session-name is "a b"; it must have`},
		{"", AccountSettings{SessionDuration: "13h"}, `--session-duration is "13h"; it must be`},
		{"", AccountSettings{AllowedAccountIDs: []string{"123456789012", "12345"}},
			`--allowed-account-ids has "12345", which is not an account number; ` +
				`it must have twelve digits`},
		{"allowed_account_ids: 5\n",
			AccountSettings{AllowedAccountIDs: []string{"123456789012"}},
			"allowed_account_ids must be a list"},
		{"accounts: {210987654321: {role: x}}\n", AccountSettings{Role: []string{"ci"}},
			path + ":1:12: the key 210987654321 must be a string in quotes"},
		{"accounts: {\"210987654321\": {role: x}}\n", AccountSettings{Role: []string{"ci"}},
			"the mapping at line 1 is in braces, which configure cannot edit; " +
				"write one key per line instead"},
		{"rôle: x\n", AccountSettings{Role: []string{"ci"}},
			`:1:1: unknown key; allowed keys are`},
	} {
		if err := os.WriteFile(path, []byte(tt.before), 0o600); err != nil {
			t.Fatal(err)
		}
		err := SetAccounts(path, []string{"210987654321"}, tt.settings)
		b, _ := os.ReadFile(path)
		if err == nil || !strings.Contains(err.Error(), tt.want) || string(b) != tt.before {
			t.Errorf("%q: %v, want %s; the file is now %q", tt.before, err, tt.want, b)
		}
	}
}

func TestCredsStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ecr-oidc.yaml")
	for _, step := range []struct{ set, file string }{
		{"desktop", "creds_store: \"desktop\"\n"},
		{"osxkeychain", "creds_store: \"osxkeychain\"\n"},
		{"", ""},
	} {
		if err := SetCredsStore(path, step.set); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if got, readErr := CredsStore(path); err != nil || readErr != nil ||
			got != step.set || string(b) != step.file {
			t.Errorf("after %q: %q, %v, the file is %q", step.set, got, readErr, b)
		}
	}
	for _, bad := range []string{"ecr-oidc", "../evil", "a b", "-"} {
		if err := SetCredsStore(path, bad); (err == nil) != (bad == "-") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if got, err := CredsStore(filepath.Join(t.TempDir(), "none")); got != "" || err != nil {
		t.Errorf("missing file: %q, %v", got, err)
	}
}
