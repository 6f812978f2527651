package helper

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/cache"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/exchange"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// newHelper returns a helper with these environment variables, each "NAME=value", and no others.
func newHelper(pairs ...string) Helper {
	vars := map[string]string{}
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		vars[name] = value
	}
	return Helper{
		Environ: pairs,
		Env: func(name string) (string, bool) {
			value, set := vars[name]
			return value, set
		},
		Debug: func(string, ...any) {},
	}
}

func loginInputFor(t testing.TB, h Helper, host string) exchange.LoginInput {
	t.Helper()
	reg, ok := registry.Parse(host)
	if !ok {
		t.Fatalf("%s is not ECR", host)
	}
	settings, err := h.settings(reg)
	if err != nil {
		t.Fatal(err)
	}
	in, _, err := h.newLoginInput(settings)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func keyFor(t *testing.T, h Helper, host string) string {
	t.Helper()
	return h.cacheKey(loginInputFor(t, h, host))
}

// The profile is part of the key only for the "aws" source. The external ID is part of the key only if
// it is sent to AWS.
func TestCacheKeyIdentity(t *testing.T) {
	h := newHelper("ECR_OIDC_TOKEN=x.y.z-long-enough-to-be-a-token")
	aws, err := token.Identify(newHelper().Env, token.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	oidc, err := token.Identify(h.Env, token.Settings{HasRole: true})
	if err != nil {
		t.Fatal(err)
	}
	one := exchange.LoginInput{Identity: aws, Roles: config.RoleChain{ARNs: []string{"one"}}}
	explicit := one
	explicit.Identity.Explicit = true
	if h.cacheKey(explicit) == h.cacheKey(one) {
		t.Error("an explicit source has the key of a detected one")
	}
	profile := one
	profile.Settings.Identity.Profile = "dev"
	if h.cacheKey(profile) == h.cacheKey(one) {
		t.Error("another profile has the same key")
	}
	external := func(in exchange.LoginInput) exchange.LoginInput { in.Settings.ExternalID = "x"; return in }
	oneOIDC := exchange.LoginInput{Identity: oidc, Roles: config.RoleChain{ARNs: []string{"one"}}}
	twoOIDC := exchange.LoginInput{Identity: oidc,
		Roles: config.RoleChain{ARNs: []string{"one", "two"}}}
	if h.cacheKey(external(oneOIDC)) != h.cacheKey(oneOIDC) {
		t.Error("an external ID that is not sent is part of the key")
	}
	if h.cacheKey(external(twoOIDC)) == h.cacheKey(twoOIDC) ||
		h.cacheKey(external(one)) == h.cacheKey(one) {
		t.Error("an external ID that is sent is not part of the key")
	}
}

// Every field of the settings changes the key, unless the test lists it with a reason. A new field
// fails this test until it is in the key or in the list.
func TestCacheKeySettings(t *testing.T) {
	excluded := map[string]string{
		"Registry.Host":    "a login is valid for a region",
		"Registry.Account": "a login is valid for a region",
		"Identity.Source":  "in the identity", "Identity.TokenFile": "in the identity",
		"Identity.Connection":         "in the identity",
		"Identity.AccountSpecific":    "in the identity",
		"Identity.HasRole":            "in the roles",
		"Identity.HasWebIdentityRole": "in the roles",
		"Identity.SourceFrom":         "for messages", "Identity.TokenFileFrom": "for messages",
		"Identity.ProfileFrom": "for messages",
		"Role.ARNs":            "in the request's roles", "Role.From": "for messages",
		"Role.Err":             "an error",
		"WebIdentityRole.ARNs": "in the request's roles",
		"WebIdentityRole.From": "for messages", "WebIdentityRole.Err": "an error",
		"CacheEnabled": "about the cache", "CacheDir": "about the cache",
		"StoredLogins":       "about another entry",
		"AllowHTTPEndpoints": "the endpoints themselves are in the key",
	}
	h := newHelper()
	id, err := token.Identify(h.Env, token.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	in := exchange.LoginInput{Identity: id, Roles: config.RoleChain{ARNs: []string{"one", "two"}}}
	before := h.cacheKey(in)
	if again := h.cacheKey(in); again != before || len(before) != 64 {
		t.Fatalf("two keys for a request: %s and %s", before, again)
	}
	var walk func(v reflect.Value, path string)
	walk = func(v reflect.Value, path string) {
		if v.Kind() == reflect.Struct {
			for i := range v.NumField() {
				walk(v.Field(i), strings.TrimPrefix(path+"."+v.Type().Field(i).Name,
					"."))
			}
			return
		}
		old := reflect.New(v.Type()).Elem()
		old.Set(v)
		change(t, v, path)
		if changed, want := h.cacheKey(in) != before, excluded[path] == ""; changed != want {
			t.Errorf("%s changes the key: %v, want %v", path, changed, want)
		}
		v.Set(old)
	}
	walk(reflect.ValueOf(&in.Settings).Elem(), "")
	for _, roles := range [][]string{nil, {"two", "one"}, {"one"}, {"one", "two", "two"},
		{"onetwo"}, {"one,two"}} {
		other := in
		other.Roles.ARNs = roles
		if h.cacheKey(other) == before {
			t.Errorf("the roles %q have the same key", roles)
		}
	}
}

// change sets v to another value.
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
		longer := reflect.MakeSlice(v.Type(), v.Len()+1,
			v.Len()+1) // append could share the array
		reflect.Copy(longer, v)
		change(t, longer.Index(v.Len()), path)
		v.Set(longer)
	case reflect.Interface:
		v.Set(reflect.ValueOf(errors.New("x")))
	default:
		t.Fatalf("%s is a %v, which change does not support", path, v.Kind())
	}
}

func TestCacheKeyRegistry(t *testing.T) {
	github := []string{"ACTIONS_ID_TOKEN_REQUEST_URL=https://x",
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN=request-token",
		"ECR_OIDC_ROLE=arn:aws:iam::123456789012:role/ci"}
	h := newHelper(github...)
	const host = "123456789012.dkr.ecr.eu-west-2.amazonaws.com"
	before := keyFor(t, h, host)
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
		if got := keyFor(t, h, other) == before; got != same {
			t.Errorf("%s shares the key: %v, want %v", other, got, same)
		}
	}
	// A role name is a role in the registry's account, so the key depends on the account.
	named := newHelper(append(github, "ECR_OIDC_ROLE=ci")...)
	if keyFor(t, named, host) == keyFor(t, named, "210987654321.dkr.ecr.eu-west-2.amazonaws.com") {
		t.Error("a role name has the same key for two accounts")
	}
}

// Environment variables that affect the request or its destination change the key. Others do not.
func TestCacheKeyEnvironment(t *testing.T) {
	const host = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	github := []string{"ACTIONS_ID_TOKEN_REQUEST_URL=https://x",
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN=request-token", "ECR_OIDC_ROLE=ci"}
	keys := []string{"GITHUB_ACTIONS=true", "AWS_ACCESS_KEY_ID=ASIA1"}
	pod := []string{"AWS_WEB_IDENTITY_TOKEN_FILE=/t",
		"AWS_ROLE_ARN=arn:aws:iam::123456789012:role/pod"}
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
		{"machine", nil, "AWS_ACCESS_KEY=x", true},
		{"machine", nil, "AWS_EC2_METADATA_DISABLED=true", true},
		{"machine", nil, "AWS_EC2_METADATA_SERVICE_ENDPOINT=http://x", true},
		{"machine", nil, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE=IPv6", true},
		{"machine", nil, "AWS_CONTAINER_AUTHORIZATION_TOKEN=x", true},
		{"machine", nil, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=/x", true},
		{"machine", nil, "AWS_CONFIG_FILE=/x", true},
		{"machine", nil, "AWS_SHARED_CREDENTIALS_FILE=/x", true},
		{"machine", nil, "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://x", true},
		{"machine", nil, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/x", true},
		{"machine", nil, "ECR_OIDC_ROLE=ci", true},
	}
	for _, tt := range tests {
		if got := keyFor(t, newHelper(tt.base...), host) != keyFor(t,
			newHelper(append(tt.base, tt.add)...), host); got != tt.want {
			t.Errorf("%s: %s changes the key: %v, want %v", tt.name, tt.add, got, tt.want)
		}
	}

	// AWS's configuration files may select another identity after a change.
	h := newHelper()
	seen := map[string]string{keyFor(t, h, host): "no files"}
	step := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		id := keyFor(t, h, host)
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
		step(name+" created", os.WriteFile(path, []byte("a"), 0o600))
		step(name+" touched", os.Chtimes(path, old, old))
		err := os.WriteFile(path, []byte("ab"), 0o600)
		if err == nil {
			err = os.Chtimes(path, old, old)
		}
		step(name+" longer, same modification time", err)
	}
}

func TestCacheDirs(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CACHE_HOME", filepath.Join(home, "cache"))
	user, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	name := "ecr-oidc"
	if uid := os.Getuid(); uid >= 0 {
		name += "-" + strconv.Itoa(uid) // for container actions that run as root
	}
	for _, tt := range []struct {
		env  []string
		want []string
	}{
		{nil, []string{filepath.Join(user, name), filepath.Join(os.TempDir(), name)}},
		{[]string{"RUNNER_TEMP=" + home},
			[]string{filepath.Join(home, name), filepath.Join(user, name)}},
		{[]string{"RUNNER_TEMP="},
			[]string{filepath.Join(user, name), filepath.Join(os.TempDir(), name)}},
		{[]string{"RUNNER_TEMP=" + home, "ECR_OIDC_CACHE_DIR=/c"}, []string{"/c"}},
	} {
		h := newHelper(tt.env...)
		in := loginInputFor(t, h, "123456789012.dkr.ecr.us-east-1.amazonaws.com")
		if got := h.cacheDirs(in.Settings); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%q: %q, want %q", tt.env, got, tt.want)
		}
	}
}

// Without a secret, only the "aws" source outside a CI has a cache.
func TestOpenCache(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "c")
	tokenFile := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(tokenFile, []byte("token-of-this-build"), 0o600); err != nil {
		t.Fatal(err)
	}
	withCacheDir := func(pairs ...string) []string {
		return append(pairs, "ECR_OIDC_CACHE_DIR="+dir,
			"ECR_OIDC_ROLE=ci")
	}
	for _, tt := range []struct {
		name string
		env  []string
		want string // part of the error; "" if there is a cache
	}{
		{"machine without secret", withCacheDir(), ""},
		{"job with secret", withCacheDir("ACTIONS_ID_TOKEN_REQUEST_URL=https://x",
			"ACTIONS_ID_TOKEN_REQUEST_TOKEN=request-token-of-this-job"), ""},
		{"job without token", withCacheDir("GITHUB_ACTIONS=true"),
			"no secret to encrypt the cache with"},
		{"job with short secret", withCacheDir("ACTIONS_ID_TOKEN_REQUEST_URL=https://x",
			"ACTIONS_ID_TOKEN_REQUEST_TOKEN=short"), "no secret to encrypt the cache with"},
		{"token file", withCacheDir("ECR_OIDC_TOKEN_FILE=" + tokenFile), ""},
		{"token file in CI",
			withCacheDir("GITHUB_ACTIONS=true", "ECR_OIDC_TOKEN_FILE="+tokenFile), ""},
		{"unreadable token file", withCacheDir("ECR_OIDC_TOKEN_FILE=/none"),
			"no secret to encrypt the cache with"},
		{"short token", withCacheDir("ECR_OIDC_TOKEN=short"),
			"no secret to encrypt the cache with"},
		{"aws source in CI", withCacheDir("GITHUB_ACTIONS=true", "ECR_OIDC_SOURCE=aws"),
			"no secret to encrypt the cache with"},
		{"off", withCacheDir("ECR_OIDC_CACHE=off"), "ECR_OIDC_CACHE is off"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHelper(tt.env...)
			store,
				err := h.openCache(loginInputFor(t, h,
				"123456789012.dkr.ecr.us-east-1.amazonaws.com"), cache.Open)
			if tt.want == "" && (err != nil || store.Dir() != dir) || tt.want != "" &&
				(store != nil || err == nil || !strings.Contains(err.Error(),
					tt.want)) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}
