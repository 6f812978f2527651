package exchange

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"
)

func TestProfiles(t *testing.T) {
	dir := t.TempDir()
	configuration, secrets := filepath.Join(dir, "config"), filepath.Join(dir, "credentials")
	for path, text := range map[string]string{
		configuration: "# [profile comment]\n[default]\nregion = eu-west-2\n[profile dev]\n" +
			"region=eu-west-2\n[profile\t spaced ] ; x\r\nregion=a\n[sso-session work]\nx=y\n" +
			"[services local]\ns3 =\n  [profile nested]\n[no-prefix]\nregion=a\n[profile broken\n",
		secrets: "[dev]\naws_access_key_id=a\naws_secret_access_key=b\n[keys]\n" +
			"aws_access_key_id=a\naws_secret_access_key=b\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := Profiles(environ("AWS_CONFIG_FILE="+configuration, "AWS_SHARED_CREDENTIALS_FILE="+secrets))
	if want := []string{"default", "dev", "keys", "spaced"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for _, name := range got {
		_, err := awsconfig.LoadSharedConfigProfile(t.Context(), name,
			func(o *awsconfig.LoadSharedConfigOptions) {
				o.ConfigFiles, o.CredentialsFiles = []string{configuration}, []string{secrets}
			})
		if err != nil {
			t.Errorf("the SDK does not load %s: %v", name, err)
		}
	}
	missing := filepath.Join(dir, "none")
	if got := Profiles(environ("AWS_CONFIG_FILE="+missing, "AWS_SHARED_CREDENTIALS_FILE="+dir)); got != nil {
		t.Errorf("without a file: %q", got)
	}
}
