package config

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// documentedFile is the example of docs/configuration.md.
const documentedFile = `default:
  role: ci-push                    # a bare name: that role in each registry's own account
accounts:
  "210987654321":
    role: [arn:aws:iam::111122223333:role/hub, spoke]
    session_policy: pull
    regions:
      eu-west-2: {role: ci-push-london}
  "333344445555":
    source: aws
    profile: dev-sso
public: {role: arn:aws:iam::210987654321:role/public-pull}
allowed_account_ids: ["210987654321", "333344445555"]   # other accounts' registries: not found
creds_store: desktop               # hosts that are not ECR go to docker-credential-desktop
`

func TestDocumentedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ecr-oidc.yaml")
	if err := os.WriteFile(path, []byte(documentedFile), 0o600); err != nil {
		t.Fatal(err)
	}
	env := testEnv("ECR_OIDC_CONFIG=" + path)
	c, err := Read(env, nil)
	if store, storeErr := CredsStore(path); err != nil || storeErr != nil || store != "desktop" {
		t.Fatalf("%v, %q, %v", err, store, storeErr)
	}
	for _, tt := range []struct{ host, roles, environment, profile string }{
		{"210987654321.dkr.ecr.eu-west-1.amazonaws.com",
			"arn:aws:iam::111122223333:role/hub,arn:aws:iam::210987654321:role/spoke",
			"aws", ""},
		{"210987654321.dkr.ecr.eu-west-2.amazonaws.com",
			"arn:aws:iam::210987654321:role/ci-push-london", "aws", ""},
		{"333344445555.dkr.ecr.eu-west-2.amazonaws.com",
			"arn:aws:iam::333344445555:role/ci-push", "aws", "dev-sso"},
		{"333344445555.dkr.ecr.cn-north-1.amazonaws.com.cn",
			"arn:aws-cn:iam::333344445555:role/ci-push", "aws", "dev-sso"},
		{"public.ecr.aws", "arn:aws:iam::210987654321:role/public-pull", "aws", ""},
	} {
		reg, _ := registry.Parse(tt.host)
		got, err := c.For(reg)
		id, _ := token.Identify(env, got.Identity)
		if err != nil || strings.Join(got.Role.ARNs, ",") != tt.roles ||
			id.Name != tt.environment || got.Identity.Profile != tt.profile {
			t.Errorf("%s: %+v, %v", tt.host, got, err)
		}
	}
	reg, _ := registry.Parse("123456789012.dkr.ecr.eu-west-2.amazonaws.com")
	if _, err := c.For(reg); err != ErrNotAllowed {
		t.Errorf("an account that is not allowed: %v", err)
	}
}

// The error for an invalid file is one line with the position and the allowed values.
func TestFileInvalid(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"misspelled key", "defualt: {role: x}",
			`:1:1: unknown key "defualt"; did you mean default?`},
		{"misspelled key of an entry", "default:\n  profiel: x",
			`:2:3: unknown key "profiel"; did you mean profile?`},
		{"unknown key", "roles: {role: x}",
			`:1:1: unknown key "roles"; ` +
				`allowed keys are accounts, allowed_account_ids, creds_store, ` +
				`default, public`},
		{"unknown key of an entry", "default:\n  arn: x",
			`:2:3: unknown key "arn"; allowed keys are audience, external_id, profile, role, `},
		{"regions in the entry of a region",
			`accounts: {"123456789012": {regions: {eu-west-2: {regions: {}}}}}`,
			`unknown key "regions"`},
		{"duplicate key", "default: {role: x}\ndefault: {role: y}",
			`:2:1: duplicate key "default"`},
		{"duplicate account",
			"accounts:\n  \"123456789012\": {role: x}\n  '123456789012': {role: y}",
			`:3:3: duplicate key 123456789012`},
		{"account as a number", "accounts:\n  012345670123: {role: x}",
			`:2:3: the key 012345670123 must be a string in quotes`},
		{"allowed account as a number", "allowed_account_ids: [012345670123]",
			`:1:23: an account number must be a string; put 012345670123 in quotes`},
		{"account with eleven digits", `accounts: {"12345678901": {role: x}}`,
			`the key 12345678901 is not an account number; it must have twelve digits`},
		{"invalid region", `accounts: {"123456789012": {regions: {london: {role: x}}}}`,
			`"london" is not the name of a region, such as eu-west-2`},
		{"invalid role", "default:\n  role: arn:aws:iam::1:role/x",
			`:2:9: role has "arn:aws:iam::1:role/x", which is not a role; ` +
				`it must be arn:aws:iam::ACCOUNT:role/NAME or the name of a role`},
		{"commas in a role", "default: {role: 'hub,spoke'}",
			`role has "hub,spoke", which is not a role`},
		{"empty role in a chain", "default: {role: [hub, '']}", `a role of the chain is empty`},
		{"empty chain", "default: {role: []}", `role is an empty list`},
		{"empty value", "default: {role: ''}", `role is empty`},
		{"null", "default: {role: }", `role must be a string`},
		{"list in place of a string", "default: {source: [aws]}", `source must be a string`},
		{"number in place of a string", "default: {session_name: 12}",
			`session_name must be a string; put 12 in quotes`},
		{"invalid source", "default: {source: jenkins}",
			`source is "jenkins"; allowed values are ` +
				strings.Join(token.Sources(), ", ")},
		{"invalid duration", "default: {session_duration: 5m}",
			`session_duration is "5m"; it must be 900 to 43200 seconds, or 15m to 12h`},
		{"invalid policy", "default: {session_policy: push}",
			`session_policy is neither pull nor an IAM policy in JSON`},
		{"creds_store with a path", "creds_store: ../evil",
			`creds_store is "../evil"; it must be the name of another helper`},
		{"this helper as creds_store", "creds_store: ecr-oidc",
			`creds_store is "ecr-oidc"; it must be the name of another helper`},
		{"list in place of the file", "- default",
			`the file must be a mapping of keys to values`},
		{"word in place of the file", "default", `the file must be a mapping of keys to values`},
		{"two documents", "default: {role: x}\n---\npublic: {role: x}",
			`:2:1: only one YAML document is allowed, and only comments and one --- before it`},
		{"syntax error", "default: {role: x", `:1:10: `},
		{"second document after an empty document", "---\n---\nallowed_account_ids: []\n",
			`:2:1: only one YAML document is allowed`},
		{"directive", "%YAML 1.2\n---\ndefault: {role: x}",
			`:1:1: only one YAML document is allowed`},
		{"text after a marker", "--- {default: {role: x}}",
			`:1:1: only one YAML document is allowed`},
		{"long value", "default: {source: " + strings.Repeat("x", 20_000) + "}",
			`source is invalid; allowed values are auto, github`},
		{"tab", "default:\n\trole: x",
			`:2:1: the line is indented with a tab; YAML allows only spaces`},
		{"tab in the first line", "\tdefault: {role: x}",
			`:1:8: the line is indented with a tab; YAML allows only spaces`},
		{"anchor", "default: &d {role: x}", `an entry must be a mapping of keys to values`},
		{"alias", "default: {role: &r x}\npublic: {role: *r}",
			`anchors, aliases and tags are not allowed`},
		{"tag", "default: {role: !!str 12}", `anchors, aliases and tags are not allowed`},
		{"merge key", "default: {<<: {role: x}}", `:1:11: the key must be a string in quotes`},
		{"billion laughs", "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]", `unknown key "a"`},
		{"deeply nested brackets", strings.Repeat("[", 100_000),
			`it is nested more than 32 levels deep`},
		{"deeply nested lists", strings.Repeat("- ", 100_000) + "x",
			`it is nested more than 32 levels deep`},
		{"10 MB", strings.Repeat("# comment\n", 1<<20), `it is larger than 256 KiB`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := resolveForFile(t, tt.text, nil)
			if err == nil || !strings.HasPrefix(err.Error(), "reading ") ||
				!strings.Contains(err.Error(), tt.want) {
				t.Fatalf("%v, want %s", err, tt.want)
			}
			if strings.Contains(err.Error(), "\n") || len(err.Error()) > 800 {
				t.Errorf("not a single line of at most 800 bytes: %q", err)
			}
		})
	}
}

func TestFileEmpty(t *testing.T) {
	for _, text := range []string{
		"", "# only a comment\n", "---\n", "\n\n", "# head\n---\n",
		"\xef\xbb\xbf# from Notepad\r\n", strings.Repeat("# see [1\n", 40),
	} {
		if got, err := resolveForFile(t, text, nil); err != nil || len(got.roles.ARNs) > 0 {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	reg, _ := registry.Parse(host)
	if _, err := resolve(testEnv("DOCKER_CONFIG="+t.TempDir()), reg); err != nil {
		t.Errorf("no file next to config.json: %v", err)
	}
	if _, err := resolve(testEnv(), reg); err != nil {
		t.Errorf("no HOME: %v", err)
	}
	missing := filepath.Join(t.TempDir(), "none.yaml")
	if _, err := resolve(testEnv("ECR_OIDC_CONFIG="+missing), reg); err == nil ||
		err.Error() != "reading ECR_OIDC_CONFIG: there is no file "+missing {
		t.Errorf("missing file in ECR_OIDC_CONFIG: %v", err)
	}
}

// A file may have a byte order mark, CRLF line endings, or a document marker after comments.
func TestFileVariants(t *testing.T) {
	for _, text := range []string{"\xef\xbb\xbfdefault:\r\n  role: ci\r\n",
		"# head\n---\ndefault: {role: ci}\n", "\n# x\n\ndefault:\n    role: 'ci'\n"} {
		if got, err := resolveForFile(t, text, nil); err != nil || len(got.roles.ARNs) != 1 ||
			got.roles.ARNs[0] != "arn:aws:iam::123456789012:role/ci" {
			t.Errorf("%q: %+v, %v", text, got.roles.ARNs, err)
		}
	}
}

// An invalid variable is an error even if a setting for one account overrides it.
func TestOverriddenInvalidVariables(t *testing.T) {
	const file = `accounts: {"123456789012": {source: aws, role: ci, session_name: me,
		session_duration: 1h, session_policy: pull, external_id: x1}}`
	for _, pair := range []string{
		"ECR_OIDC_SOURCE=gihub", "ECR_OIDC_ROLE=,", "ECR_OIDC_ROLE_PUBLIC=arn:x",
		"ECR_OIDC_SESSION_DURATION=1", "ECR_OIDC_SESSION_POLICY=push",
		"ECR_OIDC_EXTERNAL_ID=a b", "ECR_OIDC_SESSION_NAME=x",
	} {
		name, value, _ := strings.Cut(pair, "=")
		_, err := resolveForFile(t, file, map[string]string{name: value})
		if err == nil || !strings.HasPrefix(err.Error(), name+" ") {
			t.Errorf("%s: %v", pair, err)
		}
	}
}

func TestAccountVariablesInvalid(t *testing.T) {
	for _, name := range []string{"ECR_OIDC_ROLE_12345", "ECR_OIDC_ROLE_1234567890123",
		"ECR_OIDC_ROLE_PROD", "ECR_OIDC_ROLE_"} {
		_, err := Read(testEnv(), []string{"PATH=/bin", name + "=x"})
		want := name + " does not end with an account number; " +
			"use ECR_OIDC_ROLE_ and twelve digits, or ECR_OIDC_ROLE_PUBLIC"
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := Read(testEnv(), []string{"ECR_OIDC_ROLE=x", "ECR_OIDC_ROLE_123456789012=x",
		"ECR_OIDC_ROLE_PUBLIC=x", "ECR_OIDC_ROLES=x", "X"})
	if err != nil {
		t.Errorf("Read: %v", err)
	}
}

// The published schema has the same keys as this package.
func TestSchema(t *testing.T) {
	b, err := os.ReadFile("../../ecr-oidc.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	type object struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	var schema struct {
		object
		Defs map[string]object `json:"$defs"`
	}
	if err := json.Unmarshal(b, &schema); err != nil {
		t.Fatal(err)
	}
	names := func(o object) []string {
		var found []string
		for name := range o.Properties {
			found = append(found, name)
		}
		slices.Sort(found)
		return found
	}
	want := slices.Sorted(slices.Values(entryKeys))
	if got := names(schema.Defs["entry"]); !slices.Equal(got, want) {
		t.Errorf("the schema of an entry has %v, want %v", got, want)
	}
	want = slices.Sorted(slices.Values(append(want, "regions")))
	if got := names(schema.Defs["account"]); !slices.Equal(got, want) {
		t.Errorf("the schema of an account has %v, want %v", got, want)
	}
	want = []string{"accounts", "allowed_account_ids", "creds_store", "default", "public"}
	if got := names(schema.object); !slices.Equal(got, want) {
		t.Errorf("the schema of the file has %v, want %v", got, want)
	}
}

// FuzzFile checks that parse does not panic and that its errors are single lines.
func FuzzFile(f *testing.F) {
	for _, s := range []string{
		documentedFile, "", "default: {role: x}", "accounts: {012345670123: {role: x}}",
		"a: &a [*a]", "- - - x", "? x\n: y", "default: |\n  x", "\x00",
		"default: {role: \"\\x00\"}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 4096 { // the parser takes quadratic time; MaxSize limits the size
			return
		}
		if _, err := parse("f", b); err != nil && strings.ContainsAny(err.Error(), "\r\n") {
			t.Errorf("%q: %q", b, err)
		}
	})
}

// BenchmarkRead measures what the file adds to a cached get.
func BenchmarkRead(b *testing.B) {
	path := filepath.Join(b.TempDir(), "ecr-oidc.yaml")
	b.Run("no file", func(b *testing.B) {
		for b.Loop() {
			if _, err := Read(testEnv("DOCKER_CONFIG="+filepath.Dir(path)), nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	text := "default: {role: ci}\naccounts:\n"
	for i := range 20 {
		text += "  \"1234567890" + string(rune('0'+i/10)) + string(rune('0'+i%10)) +
			"\": {role: ci, session_policy: pull}\n"
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	b.Run("twenty accounts", func(b *testing.B) {
		for b.Loop() {
			if _, err := Read(testEnv("DOCKER_CONFIG="+filepath.Dir(path)), nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}
