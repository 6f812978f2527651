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

// Examine finds what a get decides without a request, and whether it needs a request. It creates no
// files.
func TestExamine(t *testing.T) {
	allowed := filepath.Join(t.TempDir(), "ecr-oidc.yaml")
	if err := os.WriteFile(allowed, []byte("allowed_account_ids: [\"210987654321\"]\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	var (
		missing *token.MissingError
		noRole  *token.NoRoleError
	)
	const role = "ECR_OIDC_ROLE=ci"
	github := []string{"ACTIONS_ID_TOKEN_REQUEST_URL=https://x",
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN=a-request-token-of-a-job", role}
	for _, tt := range []struct {
		name, host string
		env        []string
		noRequest  bool
		notFound   bool
		err        any // a pointer to the error's type, or a part of its text
		sts, ecr   string
	}{
		{name: "GitHub", host: host, env: github,
			sts: "https://sts.eu-west-2.amazonaws.com/",
			ecr: "https://api.ecr.eu-west-2.amazonaws.com/"},
		{name: "machine", host: host, ecr: "https://api.ecr.eu-west-2.amazonaws.com/"},
		{name: "machine with role", host: host, env: []string{role},
			sts: "https://sts.eu-west-2.amazonaws.com/",
			ecr: "https://api.ecr.eu-west-2.amazonaws.com/"},
		{name: "public registry with role", host: "public.ecr.aws",
			env: append(github, "ECR_OIDC_ROLE_PUBLIC=arn:aws:iam::123456789012:role/ci"),
			sts: "https://sts.us-east-1.amazonaws.com/",
			ecr: "https://api.ecr-public.us-east-1.amazonaws.com/"},
		{name: "public registry", host: "public.ecr.aws", env: github, noRequest: true,
			notFound: true},
		{name: "public registry without token", host: "public.ecr.aws",
			env: []string{"GITHUB_ACTIONS=true"}, noRequest: true, notFound: true},
		{name: "account not allowed", host: host,
			env: append(github, "ECR_OIDC_CONFIG="+allowed), noRequest: true,
			notFound: true, err: config.ErrNotAllowed.Error()},
		{name: "wrong setting", host: host, env: append(github, "ECR_OIDC_SOURCE=typo"),
			noRequest: true, err: `ECR_OIDC_SOURCE is "typo"`},
		{name: "no token", host: host, env: []string{"GITHUB_ACTIONS=true", role},
			noRequest: true, err: &missing},
		{name: "no role", host: host, env: github[:2], noRequest: true, err: &noRole},
		{name: "unknown endpoint", host: host,
			env: append(github, "AWS_USE_FIPS_ENDPOINT=true"), noRequest: true,
			err: "AWS has no FIPS endpoint"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.name == "unknown endpoint" {
				t.Setenv("AWS_USE_FIPS_ENDPOINT",
					"true") // the SDK reads the process environment
			}
			offlineHelper(t)
			dir := filepath.Join(t.TempDir(), "a", "c")
			h := newHelper(append(tt.env, "ECR_OIDC_CACHE_DIR="+dir)...)
			reg, ok := registry.Parse(tt.host)
			if !ok {
				t.Fatal(tt.host)
			}
			x := h.Examine(t.Context(), reg)
			if x.NoRequest() != tt.noRequest || x.NotFound != tt.notFound ||
				x.STS != tt.sts || x.ECR != tt.ecr || x.Registry != reg {
				t.Errorf("no request %v, not found %v, %q, %q", x.NoRequest(), x.NotFound,
					x.STS, x.ECR)
			}
			switch want := tt.err.(type) {
			case nil:
				if x.Err != nil {
					t.Errorf("Err = %v, want nil", x.Err)
				}
			case string:
				if x.Err == nil || !strings.Contains(x.Err.Error(), want) {
					t.Errorf("Err = %v, want %s", x.Err, want)
				}
			default:
				if !errors.As(x.Err, want) {
					t.Errorf("Err = %v, want a %T", x.Err, want)
				}
			}
			if _, err := os.Stat(filepath.Dir(dir)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the cache was created: %v", err)
			}
		})
	}
}

// Examine returns a cached failure that get would return, with its type.
func TestExamineCachedFailure(t *testing.T) {
	offlineHelper(t)
	h := newHelper()
	reg, _ := registry.Parse(host)
	in := loginInputFor(t, h, host)
	refused := &exchange.Error{Step: exchange.StepPassword, Code: "AccessDeniedException",
		Registry: reg}
	_, failure := h.cacheFor(in).GetOrFetch(t.Context(), h.cacheKey(in),
		func(context.Context) (cache.Entry, *cache.Failure) {
			return cache.Entry{}, encodeError(refused)
		})
	if failure == nil {
		t.Fatal("no failure")
	}
	x := h.Examine(t.Context(), reg)
	var got *exchange.Error
	remaining := time.Until(x.CachedErrUntil)
	if !errors.As(x.CachedErr, &got) || got.Error() != refused.Error() || remaining <= 0 ||
		remaining > finalTTL || x.Err != nil {
		t.Errorf("%v for %v, %v", x.CachedErr, remaining, x.Err)
	}
	if err := h.Erase(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	if x := h.Examine(t.Context(), reg); x.CachedErr != nil {
		t.Errorf("after Erase: %v", x.CachedErr)
	}
	if x := newHelper("ECR_OIDC_CACHE=off").Examine(t.Context(), reg); x.CachedErr != nil {
		t.Errorf("without a cache: %v", x.CachedErr)
	}
}

// Examine finds stored logins. For the public registry without a role, a stored login is all that get
// needs.
func TestExamineStoredLogin(t *testing.T) {
	h := offlineHelper(t)
	examine := func(host string) Examination {
		reg, _ := registry.Parse(host)
		return h.Examine(t.Context(), reg)
	}
	if x := examine(host); !errors.Is(x.CacheErr, fs.ErrNotExist) || x.CacheDir != "" ||
		x.Cached != nil || x.StoredLogin != nil {
		t.Errorf("before: %+v", x)
	}
	for _, name := range []string{host, "public.ecr.aws"} {
		if err := h.Store(t.Context(), &credentials.Credentials{ServerURL: name,
			Username: "AWS", Secret: "stored-for-" + name}); err != nil {
			t.Fatal(err)
		}
		x := examine(name)
		if x.CacheErr != nil || x.CacheDir == "" || x.Cached != nil ||
			x.StoredLogin == nil || x.StoredLogin.Secret != "stored-for-"+name {
			t.Errorf("%s: %+v", name, x)
		}
		if public := name == "public.ecr.aws"; x.NotFound || x.NoRequest() != public {
			t.Errorf("%s: not found %v, no request %v", name, x.NotFound, x.NoRequest())
		}
	}
	h = newHelper("ECR_OIDC_CACHE=off")
	if x := examine(host); x.CacheErr == nil || x.CacheDir != "" || x.StoredLogin != nil {
		t.Errorf("off: %+v", x)
	}
}
