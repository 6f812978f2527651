package helper

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker-credential-helpers/credentials"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/cache"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/exchange"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// What is decided before anybody is asked, and whether there is anybody to ask then. Nothing is made by it.
func TestExamine(t *testing.T) {
	allowed := filepath.Join(t.TempDir(), "ecr-oidc.yaml")
	if err := os.WriteFile(allowed, []byte("allowed_account_ids: [\"210987654321\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var (
		missing *token.MissingError
		noRole  *token.NoRoleError
	)
	const role = "ECR_OIDC_ROLE=ci"
	github := []string{"ACTIONS_ID_TOKEN_REQUEST_URL=https://x", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=a-request-token-of-a-job", role}
	for _, tt := range []struct {
		name, host string
		env        []string
		settled    bool
		anonymous  bool
		err        any // a pointer to what it is, or what it says
		sts, ecr   string
	}{
		{name: "GitHub", host: host, env: github, sts: "https://sts.eu-west-2.amazonaws.com/", ecr: "https://api.ecr.eu-west-2.amazonaws.com/"},
		{name: "a machine", host: host, ecr: "https://api.ecr.eu-west-2.amazonaws.com/"},
		{name: "a machine, with a role", host: host, env: []string{role}, sts: "https://sts.eu-west-2.amazonaws.com/", ecr: "https://api.ecr.eu-west-2.amazonaws.com/"},
		{name: "public, with a role", host: "public.ecr.aws", env: append(github, "ECR_OIDC_ROLE_PUBLIC=arn:aws:iam::123456789012:role/ci"),
			sts: "https://sts.us-east-1.amazonaws.com/", ecr: "https://api.ecr-public.us-east-1.amazonaws.com/"},
		{name: "public", host: "public.ecr.aws", env: github, settled: true, anonymous: true},
		{name: "public, where nobody is", host: "public.ecr.aws", env: []string{"GITHUB_ACTIONS=true"}, settled: true, anonymous: true},
		{name: "not allowed", host: host, env: append(github, "ECR_OIDC_CONFIG="+allowed), settled: true, anonymous: true, err: config.ErrNotAllowed.Error()},
		{name: "a typo", host: host, env: append(github, "ECR_OIDC_SOURCE=typo"), settled: true, err: `ECR_OIDC_SOURCE is "typo"`},
		{name: "no token", host: host, env: []string{"GITHUB_ACTIONS=true", role}, settled: true, err: &missing},
		{name: "no role", host: host, env: github[:2], settled: true, err: &noRole},
		{name: "no such endpoint", host: host, env: append(github, "AWS_USE_FIPS_ENDPOINT=true"), settled: true, err: "AWS has no FIPS endpoint"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.name == "no such endpoint" {
				t.Setenv("AWS_USE_FIPS_ENDPOINT", "true") // where the SDK reads it
			}
			machine(t)
			dir := filepath.Join(t.TempDir(), "a", "c")
			h := helperIn(append(tt.env, "ECR_OIDC_CACHE_DIR="+dir)...)
			reg, ok := registry.Parse(tt.host)
			if !ok {
				t.Fatal(tt.host)
			}
			x := h.Examine(t.Context(), reg)
			if x.Done() != tt.settled || x.Anonymous != tt.anonymous || x.STS != tt.sts || x.ECR != tt.ecr || x.Registry != reg {
				t.Errorf("settled %v, anonymous %v, %q, %q", x.Done(), x.Anonymous, x.STS, x.ECR)
			}
			switch want := tt.err.(type) {
			case nil:
				if x.Err != nil {
					t.Error(x.Err)
				}
			case string:
				if x.Err == nil || !strings.Contains(x.Err.Error(), want) {
					t.Errorf("%v, want %s", x.Err, want)
				}
			default:
				if !errors.As(x.Err, want) {
					t.Errorf("%v", x.Err)
				}
			}
			if _, err := os.Stat(filepath.Dir(dir)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the cache was made: %v", err)
			}
		})
	}
}

// The failure of a moment ago is found where get would answer with it, and as what it was.
func TestExamineFindsAFailure(t *testing.T) {
	machine(t)
	h := helperIn()
	reg, _ := registry.Parse(host)
	r := requestFor(t, h, host)
	refused := &exchange.Error{Step: exchange.StepPassword, Code: "AccessDeniedException", Registry: reg}
	_, failure := h.cache(r).GetOrFetch(t.Context(), h.cacheKey(r), func(context.Context) (cache.Entry, *cache.Failure) {
		return cache.Entry{}, encodeError(refused)
	})
	if failure == nil {
		t.Fatal("it did not fail")
	}
	x := h.Examine(t.Context(), reg)
	var got *exchange.Error
	if left := time.Until(x.CachedErrUntil); !errors.As(x.CachedErr, &got) || got.Error() != refused.Error() || left <= 0 || left > finalTTL || x.Err != nil {
		t.Errorf("%v for %v, %v", x.CachedErr, left, x.Err)
	}
	if err := h.Erase(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	if x := h.Examine(t.Context(), reg); x.CachedErr != nil {
		t.Errorf("forgotten: %v", x.CachedErr)
	}
	if x := helperIn("ECR_OIDC_CACHE=off").Examine(t.Context(), reg); x.CachedErr != nil {
		t.Errorf("without a cache: %v", x.CachedErr)
	}
}

// What lies in the cache is found as it is, and a login that is kept settles the public registry.
func TestExamineLooksIntoTheCache(t *testing.T) {
	h := machine(t)
	at := func(host string) Examination {
		reg, _ := registry.Parse(host)
		return h.Examine(t.Context(), reg)
	}
	if x := at(host); !errors.Is(x.CacheErr, fs.ErrNotExist) || x.CacheDir != "" || x.Cached != nil || x.StoredLogin != nil {
		t.Errorf("before: %+v", x)
	}
	for _, name := range []string{host, "public.ecr.aws"} {
		if err := h.Store(t.Context(), &credentials.Credentials{ServerURL: name, Username: "AWS", Secret: "kept-for-" + name}); err != nil {
			t.Fatal(err)
		}
		x := at(name)
		if x.CacheErr != nil || x.CacheDir == "" || x.Cached != nil || x.StoredLogin == nil || x.StoredLogin.Secret != "kept-for-"+name {
			t.Errorf("%s: %+v", name, x)
		}
		if public := name == "public.ecr.aws"; x.Anonymous || x.Done() != public {
			t.Errorf("%s: anonymous %v, settled %v", name, x.Anonymous, x.Done())
		}
	}
	h = helperIn("ECR_OIDC_CACHE=off")
	if x := at(host); x.CacheErr == nil || x.CacheDir != "" || x.StoredLogin != nil {
		t.Errorf("off: %+v", x)
	}
}
