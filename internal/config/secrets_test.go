package config

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// secretFiles are files that ECR_OIDC_CONFIG may name by mistake. Every secret in them contains
// the word "marked" in upper or lower case, which no error may contain.
var secretFiles = map[string]string{
	"shadow": "root:$y$j9T$MARKED/salt.$MARKED.hash:20228:0:99999:7:::\n" +
		"daemon:*:20228::::::\n",
	"shadow, 1": "marked:*:20228:0:99999:7:::\n",
	"htpasswd":  "jane:$apr1$marked$marked.\n",
	"private key": "-----BEGIN OPENSSH PRIVATE KEY-----\nmarkedAAAAB3NzaC1yc2E=\n" +
		"-----END OPENSSH PRIVATE KEY-----\n",
	"body of a key":   "markedMIIEpAIBAAKCAQEA+/==\nmarkedMIIEpAIBAAKCAQEB+/==\n",
	"token":           "eyJhbGciOiJSUzI1NiJ9.marked.marked\n",
	"token in quotes": "\"marked: \\q\"\n",
	"AWS credentials": "[default]\naws_access_key_id = AKIAMARKED\n" +
		"aws_secret_access_key = marked/Key+0=\n",
	"dotenv":           "PASSWORD=marked:marked\nTOKEN='marked\n",
	"dotenv, export":   "export PASSWORD: marked: marked\n",
	"netrc":            "machine example.com login jane password marked\n",
	"npmrc":            "//registry.npmjs.org/:_authToken=npm_MARKED: x\n",
	"JSON":             `{"auths": {"ghcr.io": {"auth": "marked=="}}}`,
	"JSON, by secret":  `{"marked-0123456789abcdef": {"role": "x"}}`,
	"JSON, cut":        `{"marked": "marked`,
	"kubeconfig":       "apiVersion: v1\nusers:\n- user:\n    token: marked\n",
	"Rails":            "default:\n  adapter: marked\n  password: marked\n",
	"tag":              "!marked x\n",
	"tag, no value":    "role: !!marked\n",
	"anchor":           "&marked x: y\n",
	"alias":            "*marked : y\n",
	"header":           "role: |marked\n  x\n",
	"header, number":   "default: {}\npublic: >-marked1\n",
	"directive":        "%MARKED 1.9\n---\n",
	"reserved":         "marked: @marked\n`marked`: x\n",
	"escape":           "\"\\marked\": x\n",
	"duplicate key":    "marked0123: x\nmarked0123: x\n",
	"nested duplicate": "default:\n  marked0123: x\n  marked0123: x\n",
	"complex key":      "? [marked, marked]\n: x\n",
	"number":           "0x1234567890marked: x\n3735928559373592855937359: marked\n",
	"a long word":      strings.Repeat("marked", 10) + ": x\n",
	"a word":           "Marked: x\n",
	"binary":           "\x00\x01marked\x02: x\n",

	// Configuration files with a secret in the wrong place.
	"role":              "default: {role: 'marked$Secret!'}\n",
	"role, list":        "default:\n  role:\n    - x\n    - '{marked}'\n",
	"role, long":        "default: {role: '" + strings.Repeat("/marked", 30) + "'}\n",
	"source":            "default: {source: 'marked+Secret'}\n",
	"source, long":      "default: {source: " + strings.Repeat("marked", 6) + "}\n",
	"session_name":      "default: {session_name: 'marked$Secret'}\n",
	"session_duration":  "default: {session_duration: 'marked-Secret-0123'}\n",
	"session_policy":    "default: {session_policy: marked}\n",
	"external_id":       "default: {external_id: 'marked$Secret'}\n",
	"creds_store":       "creds_store: 'marked$Secret'\n",
	"account":           "accounts: {'marked0123': {role: x}}\n",
	"duplicate account": "accounts: {'marked0123': {}, 'marked0123': {}}\n",
	"region":            "accounts: {'123456789012': {regions: {'marked$Secret': {role: x}}}}\n",
	"allowed":           "allowed_account_ids: ['marked0123']\n",
	"entry":             "default: marked\n",
	"chain":             "public: {role: {marked: marked}}\n",
}

// An error in a file has its position and quotes only text that is plausible for that position.
func TestFileSecretsNotQuoted(t *testing.T) {
	want := regexp.MustCompile(`^reading .*file(:\d+:\d+)?: [ -~]+$`)
	for name, text := range secretFiles {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, read := Read(testEnv("ECR_OIDC_CONFIG="+path), nil)
			_, store := CredsStore(path)
			edited := SetAccounts(path, []string{"123456789012"},
				AccountSettings{Role: []string{"ci"}})
			for _, err := range []error{read, store, edited} {
				if err == nil || !want.MatchString(err.Error()) ||
					strings.Contains(strings.ToLower(err.Error()), "marked") {
					t.Errorf("the error quotes a secret, or has another form: %v", err)
				}
			}
		})
	}
}
