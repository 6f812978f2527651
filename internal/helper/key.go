package helper

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/cache"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/exchange"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// question is everything that decides which password AWS would give. Its digest is the cache key.
type question struct {
	Plan      config.Plan // without the registry's host and account: one password serves a region's every registry
	Source    string
	KeysOnly  bool
	Endpoints []string // custom endpoints and variants: a get against a test endpoint must not answer a real one
	Selectors []string // what selects an "aws" or "file" source's identity
}

// question returns the cache key for a plan and its source. It reads the environment and, for an "aws" source, asks
// when the SDK's two files were changed; it opens nothing.
func (h Helper) question(plan config.Plan, source token.Source) string {
	q := question{Plan: plan, Source: source.Name, KeysOnly: source.KeysOnly}
	q.Plan.Registry.Host, q.Plan.Registry.Account = "", ""
	q.Plan.Choice.Source, q.Plan.Choice.OneAccount = "", false // what they decided is in Place
	if source.Name != "aws" || source.KeysOnly {
		q.Plan.Choice.Profile = ""
	}
	if source.OIDC() && len(plan.Roles) < 2 { // nobody is asked with it
		q.Plan.ExternalID = ""
	}
	q.Endpoints = h.values(
		"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_ECR", "AWS_ENDPOINT_URL_ECR_PUBLIC",
		"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT")
	switch {
	case source.KeysOnly:
		q.Selectors = h.values("AWS_ACCESS_KEY_ID")
	case plan.Place.Pair:
		q.Selectors = h.values("AWS_WEB_IDENTITY_TOKEN_FILE")
	case source.Name == "aws":
		q.Selectors = h.values("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN",
			"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_LOGIN_CACHE_DIRECTORY")
		config, secrets := exchange.Files(h.Env)
		q.Selectors = append(q.Selectors, state(config), state(secrets))
	}
	b, err := json.Marshal(q)
	if err != nil {
		panic(err) // plain values only
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// tokenQuestion is the cache key of the job's token: everything that decides which one the CI would give.
func (h Helper) tokenQuestion(plan config.Plan, source token.Source) string {
	return fmt.Sprintf("token %q", append(h.values("ACTIONS_ID_TOKEN_REQUEST_URL", "BUILDKITE_AGENT_ENDPOINT", "BUILDKITE_JOB_ID"),
		source.Name, source.Audience(plan.Audience)))
}

// keptLogin is the cache key of a login that a client stored for a registry's host.
func keptLogin(reg registry.Registry) string { return "login " + reg.Host }

func (h Helper) values(names ...string) []string {
	values := make([]string, len(names))
	for i, name := range names {
		values[i] = h.Env.Get(name)
	}
	return values
}

// state describes a file: its path, size and time.
func state(path string) string {
	fi, err := os.Stat(path)
	if err != nil {
		return path
	}
	return fmt.Sprintf("%s %d %d", path, fi.Size(), fi.ModTime().UnixNano())
}

// cache opens the cache for a plan; nil when there is to be none, which is no reason to fail.
func (h Helper) cache(plan config.Plan, source token.Source) *cache.Cache {
	store, why := h.openCache(plan, source, cache.Open)
	if why != nil {
		h.Debug("no cache: %v", why)
	}
	return store
}

// openCache opens the cache by cache.Open, or for who only looks by cache.Find.
func (h Helper) openCache(plan config.Plan, source token.Source, open func(dirs []string, secret []byte) (*cache.Cache, error)) (*cache.Cache, error) {
	if !plan.Cache {
		return nil, fmt.Errorf("opening the cache: ECR_OIDC_CACHE says off")
	}
	if plan.Place.CI && source.Secret == nil { // an unsealed entry would be there for the next job
		return nil, fmt.Errorf("opening the cache: this job has no secret of its own to seal it with")
	}
	store, err := open(h.dirs(plan), source.Secret)
	if err == nil {
		store.Debug = h.Debug
	}
	return store, err
}

// dirs lists where the cache may lie, in order. The user id in the name keeps a container action that runs as root
// from spoiling the directory for its job.
func (h Helper) dirs(plan config.Plan) []string {
	if plan.CacheDir != "" {
		return []string{plan.CacheDir}
	}
	name := "ecr-oidc"
	if uid := os.Getuid(); uid >= 0 {
		name += "-" + strconv.Itoa(uid)
	}
	var dirs []string
	if temp := h.Env.Get("RUNNER_TEMP"); temp != "" { // GitHub's runner empties it after the job
		dirs = append(dirs, filepath.Join(temp, name))
	}
	if user, err := os.UserCacheDir(); err == nil {
		dirs = append(dirs, filepath.Join(user, name))
	}
	if len(dirs) < 2 {
		dirs = append(dirs, filepath.Join(os.TempDir(), name))
	}
	return dirs
}
