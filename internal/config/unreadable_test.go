package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSetAccountsUnreadableFile checks that the error for a file that cannot be read names it once.
func TestSetAccountsUnreadableFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ecr-oidc.yaml")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	large := filepath.Join(t.TempDir(), "ecr-oidc.yaml")
	if err := os.WriteFile(large, []byte("# "+strings.Repeat("x", MaxSize)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, large} {
		err := SetAccounts(path, []string{"123456789012"}, AccountSettings{Profile: "dev"})
		if err == nil || !strings.HasPrefix(err.Error(), "reading "+path+": ") ||
			strings.Count(err.Error(), path) != 1 {
			t.Errorf("%s: %v", path, err)
		}
		if _, err := readOptional(path); err == nil || strings.Count(err.Error(), path) != 1 {
			t.Errorf("reading %s: %v", path, err)
		}
	}
}
