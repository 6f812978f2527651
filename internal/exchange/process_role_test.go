package exchange

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
)

// TestProcessRole checks that the settings of a profile are sent to STS when the profile has one with
// a credential_process as its source_profile.
func TestProcessRole(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the command is for a shell")
	}
	var sent []url.Values
	handler := func(rw http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		sent = append(sent, r.PostForm)
		fmt.Fprint(rw, strings.ReplaceAll(stsResponse, "WithWebIdentity", ""))
	}
	server := httptest.NewServer(http.HandlerFunc(handler))
	t.Cleanup(server.Close)
	t.Setenv("AWS_ENDPOINT_URL_STS", server.URL)
	file := filepath.Join(t.TempDir(), "config")
	const text = `[profile command]
credential_process = echo '{"Version": 1, "AccessKeyId": "AKIAEXAMPLE", "SecretAccessKey": "s"}'
[profile role]
source_profile = command
role_arn = arn:aws:iam::123456789012:role/ci
role_session_name = jane
external_id = my-id
duration_seconds = 1800
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CONFIG_FILE", file)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file+".none")
	r := LoginInput{Identity: awsIdentity(), Env: environ("AWS_CONFIG_FILE=" + file), Debug: t.Logf}
	r.Settings.Registry = parseHost(t, registryHost)
	r.Settings.Identity.Profile = "role"
	_, found, err := r.defaultChain(t.Context())
	if err != nil || found.AccessKeyID != "ASIAEXAMPLE" || len(sent) != 1 {
		t.Fatalf("%q, %v, %d requests", found.AccessKeyID, err, len(sent))
	}
	for name, want := range map[string]string{
		"Action": "AssumeRole", "RoleArn": "arn:aws:iam::123456789012:role/ci",
		"RoleSessionName": "jane", "ExternalId": "my-id", "DurationSeconds": "1800",
	} {
		if got := sent[0].Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestRetryMode checks that the retry mode of the user's configuration is used.
func TestRetryMode(t *testing.T) {
	for _, mode := range []aws.RetryMode{"", aws.RetryModeStandard, aws.RetryModeAdaptive} {
		_, adaptive := retryer(t.Context(), mode, 0)().(*retry.AdaptiveMode)
		if adaptive != (mode == aws.RetryModeAdaptive) {
			t.Errorf("%q: adaptive %v", mode, adaptive)
		}
	}
}
