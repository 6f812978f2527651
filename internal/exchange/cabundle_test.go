package exchange

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCABundle(t *testing.T) {
	dir := t.TempDir()
	invalid := filepath.Join(dir, "invalid.pem")
	if err := os.WriteFile(invalid, []byte("invalid"), 0o600); err != nil {
		t.Fatal(err)
	}
	if roots, err := CABundle(environ("AWS_CA_BUNDLE=")); roots != nil || err != nil {
		t.Errorf("unset: %v, %v", roots, err)
	}
	for _, path := range []string{invalid, filepath.Join(dir, "none.pem"), dir} {
		if roots, err := CABundle(environ("AWS_CA_BUNDLE=" + path)); roots != nil || err == nil ||
			!strings.HasPrefix(err.Error(), "reading AWS_CA_BUNDLE: ") ||
			!strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
