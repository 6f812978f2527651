package helper

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/cache"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/exchange"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// cacheKey returns the key of the login that AWS would return for a request: a digest of everything
// that decides which one. One login is good for every registry of a region, so the registry's
// account and host are not part of it. cacheKey reads the environment and the state of files; it
// opens none.
func (h Helper) cacheKey(r exchange.Request) string {
	s, id := r.Settings, r.Identity
	key := struct {
		Region, Partition       string
		FIPS, DualStack, Public bool

		Source                        string
		CI, Explicit, KeysOnly, Pair  bool
		Audience, Profile, Token      string
		Credentials                   []string // what selects the AWS credentials
		Roles                         []string
		SessionName, Policy, External string
		Duration                      time.Duration
		Network                       []string
	}{
		Region: s.Registry.Region, Partition: s.Registry.Partition,
		FIPS: s.Registry.FIPS, DualStack: s.Registry.DualStack, Public: s.Registry.Public,
		Source: id.Name, CI: id.CI, Explicit: id.Explicit, KeysOnly: id.KeysOnly, Pair: id.WebIdentityPair,
		Audience: s.Audience, Token: id.Source.CacheKeyInput, Credentials: h.credentialsKey(id),
		Roles: r.Roles.ARNs, SessionName: s.SessionName, Policy: s.SessionPolicy, Duration: s.SessionDuration,
		Network: h.networkKey(),
	}
	if id.Name == "aws" && !id.KeysOnly {
		key.Profile = s.Identity.Profile
	}
	if !id.OIDC() || len(r.Roles.ARNs) > 1 { // else no AssumeRole is called with it
		key.External = s.ExternalID
	}
	b, err := json.Marshal(key)
	if err != nil { // strings, numbers and booleans
		panic(err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// networkKey returns what redirects requests, or decides which servers are trusted: a login that
// came from a test environment must not be returned without it. net/http reads the proxies in upper
// case first, then in lower case.
func (h Helper) networkKey() []string {
	return append(h.values("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_ECR",
		"AWS_ENDPOINT_URL_ECR_PUBLIC", "AWS_ENDPOINT_URL_SSO", "AWS_ENDPOINT_URL_SSO_OIDC",
		"AWS_ENDPOINT_URL_SIGNIN", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
		"AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT", "SSL_CERT_DIR"),
		cmp.Or(h.Env.Get("HTTPS_PROXY"), h.Env.Get("https_proxy")),
		cmp.Or(h.Env.Get("HTTP_PROXY"), h.Env.Get("http_proxy")),
		cmp.Or(h.Env.Get("NO_PROXY"), h.Env.Get("no_proxy")),
		fileState(h.Env.Get("AWS_CA_BUNDLE")), fileState(h.Env.Get("SSL_CERT_FILE")))
}

// credentialsKey returns the part of the cache key that identifies the AWS credentials: variables,
// and the state of AWS's files. It returns nil for an OIDC identity.
func (h Helper) credentialsKey(id token.Identity) []string {
	switch {
	case id.KeysOnly:
		return h.values("AWS_ACCESS_KEY_ID")
	case id.Name != "aws":
		return nil
	}
	configuration, credentials := exchange.ProfileFiles(h.Env)
	return append(h.values("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY",
		"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_LOGIN_CACHE_DIRECTORY",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
		"AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
		"AWS_EC2_METADATA_DISABLED", "AWS_EC2_METADATA_SERVICE_ENDPOINT",
		"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"),
		fileState(configuration), fileState(credentials))
}

// loginKey returns the cache key of a login that another tool stored for a registry's host.
func loginKey(reg registry.Registry) string { return "login " + reg.Host }

func (h Helper) values(names ...string) []string {
	values := make([]string, len(names))
	for i, name := range names {
		values[i] = h.Env.Get(name)
	}
	return values
}

// fileState describes a file: its path, size and modification time.
func fileState(path string) string {
	fi, err := os.Stat(path)
	if err != nil {
		return path
	}
	return fmt.Sprintf("%s %d %d", path, fi.Size(), fi.ModTime().UnixNano())
}

// cache opens the cache for a request; nil when there is none, which is no reason to fail.
func (h Helper) cache(r exchange.Request) *cache.Cache {
	store, err := h.openCache(r, cache.Open)
	if err != nil {
		h.Debug("no cache: %v", err)
	}
	return store
}

// openCache opens the cache with cache.Open, or with cache.OpenExisting for a caller that only reads.
//
// Only the "aws" source on a machine may have entries without a secret: every process of the user
// can use that profile anyway. All other entries need one, or the next job, or the next token in
// the same file, would find them.
func (h Helper) openCache(r exchange.Request,
	open func(dirs []string, secret []byte) (*cache.Cache, error)) (*cache.Cache, error) {
	if !r.Settings.CacheEnabled {
		return nil, fmt.Errorf("opening the cache: ECR_OIDC_CACHE says off")
	}
	if r.Identity.Secret == nil && (r.Identity.CI || r.Identity.Name != "aws") {
		return nil, fmt.Errorf("opening the cache: this job has no secret of its own to seal it with")
	}
	store, err := open(h.dirs(r.Settings), r.Identity.Secret)
	if err == nil {
		store.Debug = h.Debug
	}
	return store, err
}

// dirs returns the directories that may hold the cache, in order. The user id in the name keeps a
// container action that runs as root from creating the directory of its job.
func (h Helper) dirs(settings config.Settings) []string {
	if settings.CacheDir != "" {
		return []string{settings.CacheDir}
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
