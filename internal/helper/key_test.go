package helper

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/cache"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// helperIn is a helper in an environment that holds these variables, each "NAME=value", and nothing else.
func helperIn(pairs ...string) Helper {
	vars := map[string]string{}
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		vars[name] = value
	}
	return Helper{
		Env: func(name string) (string, bool) {
			value, set := vars[name]
			return value, set
		},
		Debug: func(string, ...any) {},
	}
}

func planFor(t testing.TB, h Helper, host string) (config.Plan, token.Source) {
	t.Helper()
	reg, ok := registry.Parse(host)
	if !ok {
		t.Fatalf("%s is not ECR", host)
	}
	plan, err := h.plan(reg)
	if err != nil {
		t.Fatal(err)
	}
	source, _ := token.Identify(h.Env, plan.Place, plan.Choice, len(plan.Roles) > 0)
	return plan, source
}

func idOf(t *testing.T, h Helper, host string) string {
	t.Helper()
	plan, source := planFor(t, h, host)
	return h.cacheKey(plan, source)
}

// A profile is a question to the "aws" source alone, and an external id where somebody is asked with it.
func TestKeyOfWhatDecides(t *testing.T) {
	h := helperIn("ECR_OIDC_TOKEN=x.y.z-long-enough-to-be-a-token")
	aws := token.Source{Place: token.Place{Name: "aws"}}
	one, two := config.Plan{Roles: []string{"one"}}, config.Plan{Roles: []string{"one", "two"}}
	chosen := one
	chosen.Place.Chosen = true
	if h.cacheKey(chosen, aws) == h.cacheKey(one, aws) {
		t.Error("opening the machine's own credentials is the same question to the aws source")
	}
	profile := one
	profile.Choice.Profile = "dev"
	if h.cacheKey(profile, aws) == h.cacheKey(one, aws) {
		t.Error("another profile is the same question to the aws source")
	}
	oidc, err := token.Identify(h.Env, token.Place{Name: "env"}, token.Choice{}, true)
	if err != nil {
		t.Fatal(err)
	}
	external := func(p config.Plan) config.Plan { p.ExternalID = "x"; return p }
	if h.cacheKey(external(one), oidc) != h.cacheKey(one, oidc) {
		t.Error("an external id that nobody is asked with is another question")
	}
	if h.cacheKey(external(two), oidc) == h.cacheKey(two, oidc) || h.cacheKey(external(one), aws) == h.cacheKey(one, aws) {
		t.Error("an external id for a link is no question")
	}
}

// Every field of a plan that is not marked as no part of the question changes the key by itself, those that are added
// tomorrow included; the registry's host and account do not, since one password serves a region.
func TestKeyHasTheWholePlan(t *testing.T) {
	full := config.Plan{
		Registry: registry.Registry{Host: "h", Account: "a", Region: "r", Partition: "p"},
		Roles:    []string{"one", "two"}, Audience: "aud",
	}
	without := []string{"Plan.Registry.Host", "Plan.Registry.Account", "Plan.Choice.Source", "Plan.Choice.OneAccount", "Plan.Choice.Profile", "Plan.Place.Name"}
	h := helperIn()
	source := token.Source{Place: token.Place{Name: "github"}}
	before := h.cacheKey(full, source)
	if again := h.cacheKey(full, source); again != before || len(before) != 64 {
		t.Fatalf("one question, two keys: %s and %s", before, again)
	}
	var walk func(v reflect.Value, path string, part bool)
	walk = func(v reflect.Value, path string, part bool) {
		if v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[time.Time]() {
			for i := range v.NumField() {
				field := v.Type().Field(i)
				if !field.IsExported() {
					t.Errorf("%s.%s is not exported, so it is in no key", path, field.Name)
					continue
				}
				name := path + "." + field.Name
				walk(v.Field(i), name, part && field.Tag.Get("json") != "-" && !slices.Contains(without, name))
			}
			return
		}
		old := reflect.New(v.Type()).Elem()
		old.Set(v)
		change(t, v, path)
		if changed := h.cacheKey(full, source) != before; changed != part {
			t.Errorf("%s changes the key: %v, want %v", path, changed, part)
		}
		v.Set(old)
	}
	walk(reflect.ValueOf(&full).Elem(), "Plan", true)
	if h.cacheKey(full, source) != before {
		t.Error("the plan was not put back")
	}
	for _, roles := range [][]string{nil, {"two", "one"}, {"one"}, {"one", "two", "two"}, {"onetwo"}, {"one,two"}} {
		other := full
		other.Roles = roles
		if h.cacheKey(other, source) == before {
			t.Errorf("the roles %q have the same key", roles)
		}
	}
}

// change gives a value another one.
func change(t *testing.T, v reflect.Value, path string) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Slice:
		grown := reflect.MakeSlice(v.Type(), v.Len()+1, v.Len()+1) // a new one: the old one's array is shared
		reflect.Copy(grown, v)
		change(t, grown.Index(v.Len()), path)
		v.Set(grown)
	default:
		t.Fatalf("%s is a %v: teach this test to change it", path, v.Kind())
	}
}

func TestKeyForOneRegion(t *testing.T) {
	github := []string{"ACTIONS_ID_TOKEN_REQUEST_URL=https://x", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=request-token", "ECR_OIDC_ROLE=arn:aws:iam::123456789012:role/ci"}
	h := helperIn(github...)
	const host = "123456789012.dkr.ecr.eu-west-2.amazonaws.com"
	before := idOf(t, h, host)
	for other, same := range map[string]bool{
		"https://" + strings.ToUpper(host) + "/v2/":         true,
		"210987654321.dkr.ecr.eu-west-2.amazonaws.com":      true,
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com":      false,
		"123456789012.dkr-ecr.eu-west-2.on.aws":             false,
		"123456789012.dkr.ecr-fips.eu-west-2.amazonaws.com": false,
		"public.ecr.aws": false,
		"210987654321.dkr.ecr-fips.us-east-1.amazonaws.com":  false,
		"123456789012.dkr.ecr.us-east-1.amazonaws.com/a/b:c": false,
	} {
		if got := idOf(t, h, other) == before; got != same {
			t.Errorf("%s shares the key: %v, want %v", other, got, same)
		}
	}
	// A bare name is a role in each registry's own account, so it is another question for each.
	named := helperIn(append(github, "ECR_OIDC_ROLE=ci")...)
	if idOf(t, named, host) == idOf(t, named, "210987654321.dkr.ecr.eu-west-2.amazonaws.com") {
		t.Error("a bare role name is one question for two accounts")
	}
}

// Each variable that decides what is asked, or of whom, changes the key; others do not.
func TestKeyAndTheEnvironment(t *testing.T) {
	const host = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	github := []string{"ACTIONS_ID_TOKEN_REQUEST_URL=https://x", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=request-token", "ECR_OIDC_ROLE=ci"}
	keys := []string{"GITHUB_ACTIONS=true", "AWS_ACCESS_KEY_ID=ASIA1"}
	pod := []string{"AWS_WEB_IDENTITY_TOKEN_FILE=/t", "AWS_ROLE_ARN=arn:aws:iam::123456789012:role/pod"}
	tests := []struct {
		name string
		base []string
		add  string
		want bool
	}{
		{"github", github, "AWS_ENDPOINT_URL=http://x", true},
		{"github", github, "AWS_ENDPOINT_URL_STS=http://x", true},
		{"github", github, "AWS_ENDPOINT_URL_ECR=http://x", true},
		{"github", github, "AWS_ENDPOINT_URL_ECR_PUBLIC=http://x", true},
		{"github", github, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true", true},
		{"github", github, "AWS_USE_FIPS_ENDPOINT=true", true},
		{"github", github, "AWS_USE_DUALSTACK_ENDPOINT=true", true},
		{"github", github, "ECR_OIDC_AUDIENCE=x", true},
		{"github", github, "ECR_OIDC_SESSION_NAME=xx", true},
		{"github", github, "ECR_OIDC_SESSION_DURATION=900", true},
		{"github", github, "ECR_OIDC_SOURCE=github", true},
		{"github", github, "ECR_OIDC_CACHE_DIR=/c", false},
		{"github", github, "ECR_OIDC_DEBUG=1", false},
		{"github", github, "ECR_OIDC_ALLOW_HTTP_ENDPOINTS=on", false},
		{"github", github, "ECR_OIDC_STORED_LOGINS=off", false},
		{"github", github, "AWS_PROFILE=x", false},
		{"github", github, "AWS_ACCESS_KEY_ID=x", false},
		{"github", github, "AWS_MAX_ATTEMPTS=9", false},
		{"github", github, "HTTPS_PROXY=http://proxy", true},
		{"github", github, "https_proxy=http://proxy", true},
		{"github", github, "HTTP_PROXY=http://proxy", true},
		{"github", github, "NO_PROXY=amazonaws.com", true},
		{"github", github, "AWS_CA_BUNDLE=/ca.pem", true},
		{"github", github, "SSL_CERT_FILE=/ca.pem", true},
		{"github", github, "SSL_CERT_DIR=/ca", true},
		{"keys", keys, "AWS_ACCESS_KEY_ID=ASIA2", true},
		{"keys", keys, "AWS_PROFILE=x", false},
		{"pod", pod, "AWS_WEB_IDENTITY_TOKEN_FILE=/t2", true},
		{"machine", nil, "AWS_ENDPOINT_URL_SSO=http://x", true},
		{"pod", pod, "ECR_OIDC_TOKEN_FILE=/t2", true},
		{"machine", nil, "AWS_PROFILE=x", true},
		{"machine", nil, "AWS_DEFAULT_PROFILE=x", true},
		{"machine", nil, "ECR_OIDC_PROFILE=x", true},
		{"machine", nil, "AWS_ACCESS_KEY_ID=x", true},
		{"machine", nil, "AWS_CONFIG_FILE=/x", true},
		{"machine", nil, "AWS_SHARED_CREDENTIALS_FILE=/x", true},
		{"machine", nil, "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://x", true},
		{"machine", nil, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/x", true},
		{"machine", nil, "ECR_OIDC_ROLE=ci", true},
	}
	for _, tt := range tests {
		if got := idOf(t, helperIn(tt.base...), host) != idOf(t, helperIn(append(tt.base, tt.add)...), host); got != tt.want {
			t.Errorf("%s: %s changes the key: %v, want %v", tt.name, tt.add, got, tt.want)
		}
	}

	// The SDK's own files may name another identity tomorrow.
	h := helperIn()
	seen := map[string]string{idOf(t, h, host): "no files"}
	step := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		id := idOf(t, h, host)
		if before, same := seen[id]; same {
			t.Errorf("%s: the key is the same as with %s", what, before)
		}
		seen[id] = what
	}
	aws := filepath.Join(home, ".aws")
	if err := os.Mkdir(aws, 0o700); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	for _, name := range []string{"config", "credentials"} {
		path := filepath.Join(aws, name)
		step(name+" made", os.WriteFile(path, []byte("a"), 0o600))
		step(name+" touched", os.Chtimes(path, old, old))
		err := os.WriteFile(path, []byte("ab"), 0o600)
		if err == nil {
			err = os.Chtimes(path, old, old)
		}
		step(name+" longer, as old as before", err)
	}
}

func TestDirs(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CACHE_HOME", filepath.Join(home, "cache"))
	user, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	name := "ecr-oidc"
	if uid := os.Getuid(); uid >= 0 {
		name += "-" + strconv.Itoa(uid) // a container action that runs as root must not spoil it for its job
	}
	for _, tt := range []struct {
		env  []string
		want []string
	}{
		{nil, []string{filepath.Join(user, name), filepath.Join(os.TempDir(), name)}},
		{[]string{"RUNNER_TEMP=" + home}, []string{filepath.Join(home, name), filepath.Join(user, name)}},
		{[]string{"RUNNER_TEMP="}, []string{filepath.Join(user, name), filepath.Join(os.TempDir(), name)}},
		{[]string{"RUNNER_TEMP=" + home, "ECR_OIDC_CACHE_DIR=/c"}, []string{"/c"}},
	} {
		h := helperIn(tt.env...)
		plan, _ := planFor(t, h, "123456789012.dkr.ecr.us-east-1.amazonaws.com")
		if got := h.dirs(plan); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%q: %q, want %q", tt.env, got, tt.want)
		}
	}
}

// Without a secret only the machine's own "aws" source has a cache: other entries would be there for the next job.
func TestOpenCache(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "c")
	tokenFile := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(tokenFile, []byte("token-of-this-build"), 0o600); err != nil {
		t.Fatal(err)
	}
	in := func(pairs ...string) []string { return append(pairs, "ECR_OIDC_CACHE_DIR="+dir, "ECR_OIDC_ROLE=ci") }
	for _, tt := range []struct {
		name string
		env  []string
		why  string // "" where there is a cache
	}{
		{"a machine, unsealed", in(), ""},
		{"a job, sealed", in("ACTIONS_ID_TOKEN_REQUEST_URL=https://x", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=request-token-of-this-job"), ""},
		{"a job without a token", in("GITHUB_ACTIONS=true"), "no secret of its own"},
		{"a job whose secret is short", in("ACTIONS_ID_TOKEN_REQUEST_URL=https://x", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=short"), "no secret of its own"},
		{"a token's file", in("ECR_OIDC_TOKEN_FILE=" + tokenFile), ""},
		{"a token's file in a CI", in("GITHUB_ACTIONS=true", "ECR_OIDC_TOKEN_FILE="+tokenFile), ""},
		{"a token's file that cannot be read", in("ECR_OIDC_TOKEN_FILE=/none"), "no secret of its own"},
		{"a token that is too short", in("ECR_OIDC_TOKEN=short"), "no secret of its own"},
		{"aws in a CI", in("GITHUB_ACTIONS=true", "ECR_OIDC_SOURCE=aws"), "no secret of its own"},
		{"off", in("ECR_OIDC_CACHE=off"), "ECR_OIDC_CACHE says off"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := helperIn(tt.env...)
			plan, source := planFor(t, h, "123456789012.dkr.ecr.us-east-1.amazonaws.com")
			store, err := h.openCache(plan, source, cache.Open)
			if tt.why == "" && (err != nil || store.Dir() != dir) || tt.why != "" && (store != nil || err == nil || !strings.Contains(err.Error(), tt.why)) {
				t.Errorf("%v, want %q", err, tt.why)
			}
		})
	}
}
