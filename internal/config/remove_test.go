package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// RemoveAccounts removes the settings that configure writes, and nothing else.
func TestRemoveAccounts(t *testing.T) {
	for _, tt := range []struct {
		name, before string
		accounts     []string
		want         []Removal
		after        string
	}{
		{"only account", "accounts:\n  \"123456789012\":\n    role: \"ci\"\n    source: \"aws\"\n",
			[]string{"123456789012", "210987654321"},
			[]Removal{{"123456789012", []string{"role", "source"}, nil}}, ""},
		{"one of two accounts, with comments",
			"# ours\ndefault:\n  role: ci # for all\naccounts:\n  # the hub\n" +
				"  \"123456789012\":\n    profile: dev\n  # spokes\n  \"210987654321\":\n" +
				"    role: spoke\n",
			[]string{"123456789012"}, []Removal{{"123456789012", []string{"profile"}, nil}},
			"# ours\ndefault:\n  role: ci # for all\naccounts:\n  # spokes\n" +
				"  \"210987654321\":\n    role: spoke\n"},
		{"other keys of the account",
			"accounts:\n  \"123456789012\":\n    role: ci\n    external_id: x1\n    regions:\n" +
				"      eu-west-2:\n        role: london\n    session_name: build\n",
			[]string{"123456789012"},
			[]Removal{{"123456789012", []string{"role", "session_name"},
				[]string{"external_id", "regions"}}},
			"accounts:\n  \"123456789012\":\n    external_id: x1\n    regions:\n" +
				"      eu-west-2:\n        role: london\n"},
		{"public registry", "public:\n  role: p\ncreds_store: desktop\n", []string{""},
			[]Removal{{"", []string{"role"}, nil}}, "creds_store: desktop\n"},
		{"braces", "public: {role: p, external_id: x1}\naccounts: {\"123456789012\": {role: x}}\n",
			[]string{"", "123456789012"},
			[]Removal{{"", []string{"role"}, []string{"external_id"}},
				{"123456789012", []string{"role"}, nil}},
			"public: {external_id: x1}\n"},
		{"allowed account", "allowed_account_ids:\n  # a\n  - \"123456789012\" # b\n  # c\n" +
			"  - \"210987654321\"\n", []string{"123456789012"},
			[]Removal{{"123456789012", []string{"allowed_account_ids"}, nil}},
			"allowed_account_ids:\n  # a\n  # c\n  - \"210987654321\"\n"},
		{"allowed account in brackets", "allowed_account_ids: [\"210987654321\", \"123456789012\"]\n",
			[]string{"123456789012"},
			[]Removal{{"123456789012", []string{"allowed_account_ids"}, nil}},
			"allowed_account_ids: [\"210987654321\"]\n"},
		{"last allowed accounts", "allowed_account_ids: [\"210987654321\", \"123456789012\"]\n",
			[]string{"123456789012", "210987654321"},
			[]Removal{{"123456789012", nil, []string{"allowed_account_ids"}},
				{"210987654321", nil, []string{"allowed_account_ids"}}},
			"allowed_account_ids: [\"210987654321\", \"123456789012\"]\n"},
		{"no account", "default: {role: ci}\n", []string{"123456789012", ""}, nil,
			"default: {role: ci}\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "ecr-oidc.yaml")
			if err := os.WriteFile(path, []byte(tt.before), 0o600); err != nil {
				t.Fatal(err)
			}
			plan, err := PlanRemoval(path, tt.accounts)
			if err != nil || !reflect.DeepEqual(plan, tt.want) {
				t.Fatalf("%+v, %v, want %+v", plan, err, tt.want)
			}
			if err := RemoveAccounts(path, plan); err != nil {
				t.Fatal(err)
			}
			if b, err := os.ReadFile(path); err != nil || string(b) != tt.after {
				t.Errorf("the file is now %v\n%s\nwant\n%s", err, b, tt.after)
			}
		})
	}
	missing := filepath.Join(t.TempDir(), "none", "ecr-oidc.yaml")
	if plan, err := PlanRemoval(missing, []string{"123456789012"}); plan != nil || err != nil {
		t.Errorf("missing file: %+v, %v", plan, err)
	}
	if err := os.Mkdir(filepath.Dir(missing), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(missing, []byte("nonsense: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := PlanRemoval(missing, nil); err == nil || !strings.Contains(err.Error(), "unknown key") {
		t.Errorf("invalid file: %v", err)
	}
}
