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

// networkVariables redirect requests, or decide which servers are trusted: a login that came from a test environment must
// not be returned without it.
var networkVariables = []string{
	"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_ECR", "AWS_ENDPOINT_URL_ECR_PUBLIC",
	"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT",
	"AWS_ENDPOINT_URL_SSO", "AWS_ENDPOINT_URL_SSO_OIDC", "AWS_ENDPOINT_URL_SIGNIN", "SSL_CERT_DIR",
}

// proxyVariables are read in upper case, and in lower case if that is empty (golang.org/x/net/http/httpproxy).
var proxyVariables = [][2]string{
	{"HTTPS_PROXY", "https_proxy"}, {"HTTP_PROXY", "http_proxy"}, {"NO_PROXY", "no_proxy"},
}

// cacheKey returns the key of the login that AWS would return for a plan and its source: a digest of everything that
// decides which one. One login is good for every registry of a region, so the registry's account and host are not part
// of it. cacheKey reads the environment and the state of files; it opens none.
func (h Helper) cacheKey(plan config.Plan, source token.Source) string {
	reg := plan.Registry
	key := struct {
		Region, Partition       string
		FIPS, DualStack, Public bool

		Source                  string
		CI, Chosen, KeysOnly    bool
		Pair                    bool
		Audience, TokenFile     string
		Profile                 string
		Identity                []string // what selects the identity of an "aws" or a web-identity source
		Roles                   []string
		SessionName, Duration   string
		SessionPolicy, External string
		Network                 []string
		Proxies                 []string
		CertificateAuthorities  []string
	}{
		Region: reg.Region, Partition: reg.Partition, FIPS: reg.FIPS, DualStack: reg.DualStack, Public: reg.Public,
		Source: source.Name, CI: plan.Place.CI, Chosen: plan.Place.Chosen, KeysOnly: source.KeysOnly, Pair: plan.Place.Pair,
		Audience: plan.Audience, TokenFile: plan.Choice.TokenFile,
		Identity: h.identity(plan, source),
		Roles:    plan.Roles, SessionName: plan.SessionName, Duration: plan.Duration.String(), SessionPolicy: plan.Policy,
		Network:                h.values(networkVariables...),
		CertificateAuthorities: []string{fileState(h.Env.Get("AWS_CA_BUNDLE")), fileState(h.Env.Get("SSL_CERT_FILE"))},
	}
	if source.Name == "aws" && !source.KeysOnly {
		key.Profile = plan.Choice.Profile
	}
	if !source.OIDC() || len(plan.Roles) > 1 { // else no AssumeRole is called with it
		key.External = plan.ExternalID
	}
	for _, names := range proxyVariables {
		value := h.Env.Get(names[0])
		if value == "" {
			value = h.Env.Get(names[1])
		}
		key.Proxies = append(key.Proxies, value)
	}
	b, err := json.Marshal(key)
	if err != nil { // strings, numbers and booleans
		panic(err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// identity returns what selects the identity of a source that is not a token.
func (h Helper) identity(plan config.Plan, source token.Source) []string {
	switch {
	case source.KeysOnly:
		return h.values("AWS_ACCESS_KEY_ID")
	case plan.Place.Pair:
		return h.values("AWS_WEB_IDENTITY_TOKEN_FILE")
	case source.Name != "aws":
		return nil
	}
	configuration, credentials := exchange.Files(h.Env)
	return append(h.values("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_LOGIN_CACHE_DIRECTORY"),
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

// cache opens the cache for a plan; nil when there is none, which is no reason to fail.
func (h Helper) cache(plan config.Plan, source token.Source) *cache.Cache {
	store, err := h.openCache(plan, source, cache.Open)
	if err != nil {
		h.Debug("no cache: %v", err)
	}
	return store
}

// openCache opens the cache with cache.Open, or with cache.Find for a caller that only reads.
//
// Only the "aws" source on a machine may have entries without a secret: every process of the user can use that profile
// anyway. All other entries need one, or the next job, or the next token in the same file, would find them.
func (h Helper) openCache(plan config.Plan, source token.Source, open func(dirs []string, secret []byte) (*cache.Cache, error)) (*cache.Cache, error) {
	if !plan.Cache {
		return nil, fmt.Errorf("opening the cache: ECR_OIDC_CACHE says off")
	}
	if source.Secret == nil && (plan.Place.CI || source.Name != "aws") {
		return nil, fmt.Errorf("opening the cache: this job has no secret of its own to seal it with")
	}
	store, err := open(h.dirs(plan), source.Secret)
	if err == nil {
		store.Debug = h.Debug
	}
	return store, err
}

// dirs returns the directories that may hold the cache, in order. The user id in the name keeps a container action that
// runs as root from creating the directory of its job.
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
