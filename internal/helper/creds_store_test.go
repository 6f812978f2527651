package helper

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/docker/docker-credential-helpers/credentials"
)

// withCredsStore returns a helper whose creds_store is a script, and a function that returns the
// commands that the script was run with since the function's last call.
func withCredsStore(t *testing.T, script string) (Helper, func() string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("a shell script")
	}
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	for name, text := range map[string]string{
		"docker-credential-other": fmt.Sprintf("#!/bin/sh\necho $1 >>'%s'\n%s\n", log, script),
		"ecr-oidc.yaml":           "creds_store: other\n",
		"config.json":             `{"credsStore":"ecr-oidc"}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return newHelper("DOCKER_CONFIG=" + dir), func() string {
		b, _ := os.ReadFile(log)
		_ = os.Remove(log)
		return strings.TrimSpace(string(b))
	}
}

// TestCredsStore checks that each command for a host that is not ECR runs the creds_store once.
func TestCredsStore(t *testing.T) {
	h, commands := withCredsStore(t, `case $1 in
get) echo '{"Username":"jane","Secret":"pass"}';;
list) echo '{"ghcr.io":"jane","`+host+`":"jane"}';;
esac`)
	if username, secret, err := h.Get(t.Context(), "ghcr.io"); err != nil || username != "jane" ||
		secret != "pass" || commands() != "get" {
		t.Errorf("get: %q, %q, %v", username, secret, err)
	}
	login := credentials.Credentials{ServerURL: "ghcr.io", Username: "jane", Secret: "pass"}
	if err := h.Store(t.Context(), &login); err != nil || commands() != "store" {
		t.Errorf("store: %v", err)
	}
	if err := h.Erase(t.Context(), "ghcr.io"); err != nil || commands() != "erase" {
		t.Errorf("erase: %v", err)
	}
	hosts, err := h.List(t.Context())
	if err != nil || len(hosts) != 1 || hosts["ghcr.io"] != "jane" || commands() != "list" {
		t.Errorf("list: %v, %v", hosts, err)
	}
}

// TestCredsStoreFails checks that an error names the creds_store and contains no secret.
func TestCredsStoreFails(t *testing.T) {
	h, _ := withCredsStore(t, "echo no keychain for the-password; exit 1")
	login := credentials.Credentials{ServerURL: "ghcr.io", Username: "jane", Secret: "the-password"}
	_, _, getErr := h.Get(t.Context(), "ghcr.io")
	_, listErr := h.List(t.Context())
	storeErr := h.Store(t.Context(), &login)
	for name, err := range map[string]error{
		"get": getErr, "store": storeErr, "erase": h.Erase(t.Context(), "ghcr.io"), "list": listErr,
	} {
		if err == nil || !strings.Contains(err.Error(), "creds_store other: ") ||
			!strings.Contains(err.Error(), "no keychain") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if strings.Contains(storeErr.Error(), "the-password") {
		t.Error(storeErr)
	}
}

// TestCredsStoreMissing checks that each command fails when the creds_store cannot be run.
func TestCredsStoreMissing(t *testing.T) {
	h, _ := withCredsStore(t, "")
	t.Setenv("PATH", t.TempDir())
	login := credentials.Credentials{ServerURL: "ghcr.io", Username: "jane", Secret: "pass"}
	_, _, getErr := h.Get(t.Context(), "ghcr.io")
	_, listErr := h.List(t.Context())
	for name, err := range map[string]error{
		"get": getErr, "list": listErr,
		"store": h.Store(t.Context(), &login), "erase": h.Erase(t.Context(), "ghcr.io"),
	} {
		if err == nil || !strings.Contains(err.Error(), "creds_store other: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCredsStoreNotFound checks that Get returns the error that tells a client to continue without a
// login when the creds_store has none.
func TestCredsStoreNotFound(t *testing.T) {
	h, _ := withCredsStore(t, "echo credentials not found in native keychain; exit 1")
	_, _, err := h.Get(t.Context(), "ghcr.io")
	if !credentials.IsErrCredentialsNotFound(err) {
		t.Error(err)
	}
}
