package exchange

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// TestExpiringKeys checks that the lifetime of the AWS credentials limits the session.
func TestExpiringKeys(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the command is for a shell")
	}
	inAnHour := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	for _, tt := range []struct {
		name, expiration string
		expires          bool
	}{
		{"expiring", `, "Expiration": "` + inAnHour + `"`, true},
		{"permanent", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "config")
			text := "[profile command]\ncredential_process = echo '{\"Version\": 1, " +
				`"AccessKeyId": "AKIAEXAMPLE", "SecretAccessKey": "s"` +
				tt.expiration + "}'\n"
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv("AWS_CONFIG_FILE", file)
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file+".none")
			r := LoginInput{Identity: awsIdentity(), Env: environ("AWS_CONFIG_FILE=" + file)}
			r.Debug = t.Logf
			r.Settings.Registry = parseHost(t, registryHost)
			r.Settings.Identity.Profile = "command"
			_, s, err := r.awsCredentials(t.Context())
			if err != nil || s.expires != tt.expires || (s.ttl > 55*time.Minute) != tt.expires ||
				s.ttl > time.Hour || s.keys.AccessKeyID != "AKIAEXAMPLE" {
				t.Errorf("expires %v, TTL %v, %v", s.expires, s.ttl, err)
			}
		})
	}
}
