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

const documented = `default:
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
	if err := os.WriteFile(path, []byte(documented), 0o600); err != nil {
		t.Fatal(err)
	}
	env := environ("ECR_OIDC_CONFIG=" + path)
	c, err := Read(env, nil)
	if store, storeErr := CredsStore(path); err != nil || storeErr != nil || store != "desktop" {
		t.Fatalf("%v, %q, %v", err, store, storeErr)
	}
	for _, tt := range []struct{ host, roles, place, profile string }{
		{"210987654321.dkr.ecr.eu-west-1.amazonaws.com", "arn:aws:iam::111122223333:role/hub,arn:aws:iam::210987654321:role/spoke", "aws", ""},
		{"210987654321.dkr.ecr.eu-west-2.amazonaws.com", "arn:aws:iam::210987654321:role/ci-push-london", "aws", ""},
		{"333344445555.dkr.ecr.eu-west-2.amazonaws.com", "arn:aws:iam::333344445555:role/ci-push", "aws", "dev-sso"},
		{"333344445555.dkr.ecr.cn-north-1.amazonaws.com.cn", "arn:aws-cn:iam::333344445555:role/ci-push", "aws", "dev-sso"},
		{"public.ecr.aws", "arn:aws:iam::210987654321:role/public-pull", "aws", ""},
	} {
		reg, _ := registry.Parse(tt.host)
		p, err := c.For(reg)
		id, _ := token.Identify(env, p.Identity)
		if err != nil || strings.Join(p.Role.ARNs, ",") != tt.roles || id.Name != tt.place || p.Identity.Profile != tt.profile {
			t.Errorf("%s: %+v, %v", tt.host, p, err)
		}
	}
	reg, _ := registry.Parse("123456789012.dkr.ecr.eu-west-2.amazonaws.com")
	if _, err := c.For(reg); err != ErrNotAllowed {
		t.Errorf("an account that is not allowed: %v", err)
	}
}

// Every mistake is an error that says where, in one line, and what is allowed.
func TestFileRefused(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"a misspelt key", "defualt: {role: x}", `:1:1: unknown key "defualt"; allowed are accounts, allowed_account_ids, creds_store, default, public`},
		{"a misspelt key of an entry", "default:\n  roel: x", `:2:3: unknown key "roel"; allowed are audience, external_id, profile, role, session_duration,`},
		{"a region's entry has no regions", `accounts: {"123456789012": {regions: {eu-west-2: {regions: {}}}}}`, `unknown key "regions"`},
		{"a key twice", "default: {role: x}\ndefault: {role: y}", `:2:1: the key "default" is there twice`},
		{"an account twice", "accounts:\n  \"123456789012\": {role: x}\n  '123456789012': {role: y}", `:3:3: the key 123456789012 is there twice`},
		{"an account that is a number", "accounts:\n  012345670123: {role: x}", `:2:3: the key 012345670123 must be a string in quotes`},
		{"an allowed account that is a number", "allowed_account_ids: [012345670123]", `:1:23: an account number must be a string; put 012345670123 in quotes`},
		{"an account of eleven digits", `accounts: {"12345678901": {role: x}}`, `the key 12345678901 is not an account number, which has twelve digits`},
		{"a region that is none", `accounts: {"123456789012": {regions: {london: {role: x}}}}`, `"london" is not a region, such as eu-west-2`},
		{"a role that is none", "default:\n  role: arn:aws:iam::1:role/x", `:2:9: role has "arn:aws:iam::1:role/x", which is not a role; it must be arn:aws:iam::ACCOUNT:role/NAME or the name of a role`},
		{"commas do not split", "default: {role: 'hub,spoke'}", `role has "hub,spoke", which is not a role`},
		{"an empty link", "default: {role: [hub, '']}", `a link of a role's chain is empty`},
		{"an empty chain", "default: {role: []}", `role has no link in its chain`},
		{"an empty value", "default: {role: ''}", `role is empty`},
		{"null", "default: {role: }", `role must be a string`},
		{"a list where none may be", "default: {source: [aws]}", `source must be a string`},
		{"a number", "default: {session_name: 12}", `session_name must be a string; put 12 in quotes`},
		{"a source that is none", "default: {source: jenkins}", `source is "jenkins"; allowed are ` + strings.Join(token.Sources(), ", ")},
		{"a duration that is none", "default: {session_duration: 5m}", `session_duration is "5m"; allowed are 900 to 43200 seconds, or 15m to 12h`},
		{"a policy that is none", "default: {session_policy: push}", `session_policy is neither pull nor an IAM policy in JSON`},
		{"a creds_store with a path", "creds_store: ../evil", `creds_store is "../evil"; it must be the name of another helper`},
		{"ourselves as creds_store", "creds_store: ecr-oidc", `creds_store is "ecr-oidc"; it must be the name of another helper`},
		{"a list", "- default", `the file must be a mapping of keys to values`},
		{"a word", "default", `the file must be a mapping of keys to values`},
		{"two documents", "default: {role: x}\n---\npublic: {role: x}", `:2:1: there may be one document, with nothing before it but comments and one ---`},
		{"broken", "default: {role: x", `:1:10: `},
		{"a document after an empty one", "---\n---\nallowed_account_ids: []\n", `:2:1: there may be one document`},
		{"a directive", "%YAML 1.2\n---\ndefault: {role: x}", `:1:1: there may be one document`},
		{"text behind a marker", "--- {default: {role: x}}", `:1:1: there may be one document`},
		{"a long value is not quoted", "default: {source: " + strings.Repeat("x", 20_000) + "}", `source is invalid; allowed are auto, github`},
		{"a tab", "default:\n\trole: x", `:2:1: `},
		{"an anchor", "default: &d {role: x}", `an entry must be a mapping of keys to values`},
		{"an alias", "default: {role: &r x}\npublic: {role: *r}", `anchors, aliases and tags are not allowed`},
		{"a tag", "default: {role: !!str 12}", `anchors, aliases and tags are not allowed`},
		{"a merge key", "default: {<<: {role: x}}", `:1:11: the key must be a string in quotes`},
		{"billion laughs", "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]", `unknown key "a"`},
		{"deep brackets", strings.Repeat("[", 100_000), `it nests deeper than 32 levels`},
		{"deep lists", strings.Repeat("- ", 100_000) + "x", `it nests deeper than 32 levels`},
		{"10 MB", strings.Repeat("# comment\n", 1<<20), `it is larger than 256 KiB`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := planFrom(t, tt.text, nil)
			if err == nil || !strings.HasPrefix(err.Error(), "reading ") || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("%v, want %s", err, tt.want)
			}
			if strings.Contains(err.Error(), "\n") || len(err.Error()) > 800 {
				t.Errorf("more than a line: %q", err)
			}
		})
	}
}

func TestFileThatSaysNothing(t *testing.T) {
	for _, text := range []string{"", "# only a comment\n", "---\n", "\n\n", "\xef\xbb\xbf# from Notepad\r\n", strings.Repeat("# see [1\n", 40), "# head\n---\n"} {
		if p, err := planFrom(t, text, nil); err != nil || len(p.roles.ARNs) > 0 {
			t.Errorf("%q: %+v, %v", text, p, err)
		}
	}
	reg, _ := registry.Parse(host)
	if _, err := planWith(environ("DOCKER_CONFIG="+t.TempDir()), reg); err != nil {
		t.Errorf("no file beside config.json: %v", err)
	}
	if _, err := planWith(environ(), reg); err != nil {
		t.Errorf("no HOME: %v", err)
	}
	missing := filepath.Join(t.TempDir(), "none.yaml")
	if _, err := planWith(environ("ECR_OIDC_CONFIG="+missing), reg); err == nil || err.Error() != "reading ECR_OIDC_CONFIG: there is no file "+missing {
		t.Errorf("a file that was named and is not there: %v", err)
	}
}

// A file with a byte order mark, Windows' line ends, or a marker below comments is read.
func TestFileFromElsewhere(t *testing.T) {
	for _, text := range []string{"\xef\xbb\xbfdefault:\r\n  role: ci\r\n", "# head\n---\ndefault: {role: ci}\n", "\n# x\n\ndefault:\n    role: 'ci'\n"} {
		if p, err := planFrom(t, text, nil); err != nil || len(p.roles.ARNs) != 1 || p.roles.ARNs[0] != "arn:aws:iam::123456789012:role/ci" {
			t.Errorf("%q: %+v, %v", text, p.roles.ARNs, err)
		}
	}
}

// A variable of ours with an unknown value is an error even where something narrower hides it.
func TestHiddenVariables(t *testing.T) {
	for _, pair := range []string{"ECR_OIDC_SOURCE=gihub", "ECR_OIDC_ROLE=,", "ECR_OIDC_ROLE_PUBLIC=arn:x", "ECR_OIDC_SESSION_DURATION=1", "ECR_OIDC_SESSION_POLICY=push", "ECR_OIDC_EXTERNAL_ID=a b", "ECR_OIDC_SESSION_NAME=x"} {
		name, value, _ := strings.Cut(pair, "=")
		_, err := planFrom(t, `accounts: {"123456789012": {source: aws, role: ci, session_name: me, session_duration: 1h, session_policy: pull, external_id: x1}}`, map[string]string{name: value})
		if err == nil || !strings.HasPrefix(err.Error(), name+" ") {
			t.Errorf("%s: %v", pair, err)
		}
	}
}

func TestMalformedRoleVariables(t *testing.T) {
	for _, name := range []string{"ECR_OIDC_ROLE_12345", "ECR_OIDC_ROLE_1234567890123", "ECR_OIDC_ROLE_PROD", "ECR_OIDC_ROLE_"} {
		_, err := Read(environ(), []string{"PATH=/bin", name + "=x"})
		if err == nil || err.Error() != name+" names no account; it must be ECR_OIDC_ROLE_ and twelve digits, or ECR_OIDC_ROLE_PUBLIC" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Read(environ(), []string{"ECR_OIDC_ROLE=x", "ECR_OIDC_ROLE_123456789012=x", "ECR_OIDC_ROLE_PUBLIC=x", "ECR_OIDC_ROLES=x", "X"}); err != nil {
		t.Error(err)
	}
}

// The published schema knows the keys that the program knows.
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
	want := slices.Sorted(slices.Values(keys))
	if got := names(schema.Defs["entry"]); !slices.Equal(got, want) {
		t.Errorf("an entry has %v in the schema, %v in the program", got, want)
	}
	if got := names(schema.Defs["account"]); !slices.Equal(got, slices.Sorted(slices.Values(append(want, "regions")))) {
		t.Errorf("an account has %v in the schema", got)
	}
	if got := names(schema.object); !slices.Equal(got, []string{"accounts", "allowed_account_ids", "creds_store", "default", "public"}) {
		t.Errorf("the file has %v in the schema", got)
	}
}

// FuzzFile holds that no file makes the reader panic, and that an error is one line.
func FuzzFile(f *testing.F) {
	for _, s := range []string{documented, "", "default: {role: x}", "accounts: {012345670123: {role: x}}", "a: &a [*a]", "- - - x", "? x\n: y", "default: |\n  x", "\x00", "default: {role: \"\\x00\"}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 4096 { // the parser's time grows with the square; the size is bounded elsewhere
			return
		}
		if _, err := parse("f", b); err != nil && strings.ContainsAny(err.Error(), "\r\n") {
			t.Errorf("%q: %q", b, err)
		}
	})
}

// BenchmarkRead is what the file costs a cached get: none, and one of twenty accounts.
func BenchmarkRead(b *testing.B) {
	path := filepath.Join(b.TempDir(), "ecr-oidc.yaml")
	b.Run("none", func(b *testing.B) {
		for b.Loop() {
			if _, err := Read(environ("DOCKER_CONFIG="+filepath.Dir(path)), nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	text := "default: {role: ci}\naccounts:\n"
	for i := range 20 {
		text += "  \"1234567890" + string(rune('0'+i/10)) + string(rune('0'+i%10)) + "\": {role: ci, session_policy: pull}\n"
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	b.Run("twenty accounts", func(b *testing.B) {
		for b.Loop() {
			if _, err := Read(environ("DOCKER_CONFIG="+filepath.Dir(path)), nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}
