package config

import (
	"os"
	"path/filepath"
	"testing"
)

// TestSetAccountsByHand checks that a file is not changed when the YAML library cannot write it back
// with the same meaning.
func TestSetAccountsByHand(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"empty line in a text", "default:\n  audience: 'a\n\n   b'\n",
			"the edit would change other settings; edit it by hand"},
		{"comment in a list in brackets", "default:\n  role: [\n   # c\n   a,\n   b\n  ]\n",
			"configure cannot edit this file; edit it by hand"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "ecr-oidc.yaml")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			err := SetAccounts(path, []string{"123456789012"}, AccountSettings{Profile: "dev"})
			if err == nil || err.Error() != "writing "+path+": "+tt.want {
				t.Errorf("%v, want %s", err, tt.want)
			}
			if b, err := os.ReadFile(path); err != nil || string(b) != tt.text {
				t.Errorf("%q, %v", b, err)
			}
		})
	}
}
