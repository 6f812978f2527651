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

// cacheKey returns the cache key of a login: a digest of all inputs that determine which login AWS
// returns. A login is valid for all registries of a region, so the registry's account and host are
// not part of the key. cacheKey reads environment variables and the metadata of files. It opens no
// file.
func (h Helper) cacheKey(in exchange.LoginInput) string {
	s, id := in.Settings, in.Identity
	key := struct {
		Region, Partition       string
		FIPS, DualStack, Public bool

		Source                        string
		CI, Explicit, KeysOnly, Pair  bool
		Audience, Profile, TokenInput string
		Credentials                   []string // inputs that select the AWS credentials
		Roles                         []string
		SessionName, Policy, External string
		Duration                      time.Duration
		Network                       []string
	}{
		Region: s.Registry.Region, Partition: s.Registry.Partition,
		FIPS: s.Registry.FIPS, DualStack: s.Registry.DualStack, Public: s.Registry.Public,
		Source: id.Name, CI: id.CI, Explicit: id.Explicit, KeysOnly: id.KeysOnly,
		Pair: id.WebIdentityPair, Audience: s.Audience, TokenInput: id.TokenSource.CacheKeyInput,
		Credentials: h.credentialsKey(id), Roles: in.Roles.ARNs, SessionName: s.SessionName,
		Policy: s.SessionPolicy, Duration: s.SessionDuration, Network: h.networkKey(),
	}
	if id.Name == "aws" && !id.KeysOnly {
		key.Profile = s.Identity.Profile
	}
	if !id.OIDC() || len(in.Roles.ARNs) > 1 { // otherwise it is not sent
		key.External = s.ExternalID
	}
	b, err := json.Marshal(key)
	if err != nil { // strings, numbers and booleans
		panic(err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// networkKey returns the part of the cache key for endpoints, proxies and trusted certificates. It
// keeps logins of a test environment separate from logins of AWS. As in net/http, the upper-case
// name of a proxy variable takes precedence.
func (h Helper) networkKey() []string {
	return append(h.values("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_ECR",
		"AWS_ENDPOINT_URL_ECR_PUBLIC", "AWS_ENDPOINT_URL_SSO", "AWS_ENDPOINT_URL_SSO_OIDC",
		"AWS_ENDPOINT_URL_SIGNIN", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
		"AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT", "SSL_CERT_DIR"),
		cmp.Or(h.Env.Get("HTTPS_PROXY"), h.Env.Get("https_proxy")),
		cmp.Or(h.Env.Get("HTTP_PROXY"), h.Env.Get("http_proxy")),
		cmp.Or(h.Env.Get("NO_PROXY"), h.Env.Get("no_proxy")),
		fileMetadata(h.Env.Get("AWS_CA_BUNDLE")), fileMetadata(h.Env.Get("SSL_CERT_FILE")))
}

// credentialsKey returns the part of the cache key that identifies the AWS credentials: environment
// variables, and the metadata of AWS's configuration files. It is nil for an OIDC identity.
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
		fileMetadata(configuration), fileMetadata(credentials))
}

// storedLoginKey returns the cache key of a login that another tool stored for a registry's host.
func storedLoginKey(reg registry.Registry) string { return "login " + reg.Host }

func (h Helper) values(names ...string) []string {
	values := make([]string, len(names))
	for i, name := range names {
		values[i] = h.Env.Get(name)
	}
	return values
}

// fileMetadata returns the path, size and modification time of a file as text, or only the path if
// the metadata cannot be read.
func fileMetadata(path string) string {
	fi, err := os.Stat(path)
	if err != nil {
		return path
	}
	return fmt.Sprintf("%s %d %d", path, fi.Size(), fi.ModTime().UnixNano())
}

// cacheFor opens the cache for a login. It returns nil if that fails: a get works without a cache.
func (h Helper) cacheFor(in exchange.LoginInput) *cache.Cache {
	entries, err := h.openCache(in, cache.Open)
	if err != nil {
		h.Debug("no cache: %v", err)
	}
	return entries
}

// openCache opens the cache for a login. open is cache.Open, or cache.OpenExisting for callers that
// only read.
//
// Without a secret, the cache is used only for AWS credentials outside a CI, which all processes of
// the user can use anyway. With any other identity, a later job, or a later token in the same file,
// would find the entries.
func (h Helper) openCache(in exchange.LoginInput,
	open func(dirs []string, secret []byte) (*cache.Cache, error)) (*cache.Cache, error) {
	if !in.Settings.CacheEnabled {
		return nil, fmt.Errorf("opening the cache: ECR_OIDC_CACHE is off")
	}
	if in.Identity.CacheSecret == nil && (in.Identity.CI || in.Identity.Name != "aws") {
		return nil, fmt.Errorf("opening the cache: this job has no secret to encrypt the cache with")
	}
	entries, err := open(h.cacheDirs(in.Settings), in.Identity.CacheSecret)
	if err == nil {
		entries.Debug, entries.IgnoreCachedFailures = h.Debug, h.IgnoreCachedFailures
	}
	return entries, err
}

// cacheDirs returns the candidates for the cache directory, in order. Their name contains the user ID,
// because a container action that runs as root shares RUNNER_TEMP with its job. Without the ID, it
// would create a directory that the job's user cannot use.
func (h Helper) cacheDirs(settings config.Settings) []string {
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
