// Package config resolves the settings for a registry from environment variables and ecr-oidc.yaml.
package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// Settings is the configuration for one registry.
type Settings struct {
	Registry registry.Registry
	Identity token.Settings

	// Role is the role chain to assume. WebIdentityRole is the chain to assume instead if the
	// identity is the token in AWS_WEB_IDENTITY_TOKEN_FILE, because AWS_ROLE_ARN belongs to that
	// token.
	Role, WebIdentityRole RoleChain

	Audience           string        // of the OIDC token; "" for the source's default
	SessionName        string        // 2 to 64 characters; "" for the identity's default
	SessionDuration    time.Duration // 0 for AWS's default
	SessionPolicy      string        // for the session of the last role, as JSON; "" for none
	ExternalID         string        // for the roles that are assumed by AssumeRole; "" for none
	CacheEnabled       bool          // logins are cached
	CacheDir           string        // directory of the cache entries; "" for the default
	StoredLogins       bool          // get returns logins that another tool stored
	AllowHTTPEndpoints bool          // custom endpoints on other hosts may use http
}

// RoleChain is a chain of roles. An OIDC token assumes the first role by web identity. All other roles
// are assumed by AssumeRole.
type RoleChain struct {
	ARNs []string // in the order in which they are assumed; empty if no role is configured
	From string   // the variable or the line of the file that sets the chain, for messages
	Err  error    // if not nil, the chain is invalid and must not be used
}

// ErrNotAllowed is the error for a registry whose account is not in allowed_account_ids.
var ErrNotAllowed = errors.New("the registry's account is not in allowed_account_ids")

// Config is the configuration for all registries.
type Config struct {
	env       token.Env
	variables Entry            // from variables for all accounts
	accounts  map[string]Entry // from variables for one account
	public    Entry            // from variables for the public registry
	file      File
}

// Read reads and validates the variables and the configuration file. environ is the whole
// environment, as returned by os.Environ. The error names the variable or the line, and the allowed
// values. A missing file is an error only if ECR_OIDC_CONFIG names it. Read makes no request.
func Read(env token.Env, environ []string) (Config, error) {
	c := Config{env: env, variables: Entry{}, accounts: map[string]Entry{}, public: Entry{}}
	for _, v := range variableKeys {
		if err := c.variables.set(v.key, v.name, env.Get(v.name)); err != nil {
			return Config{}, err
		}
	}
	for _, pair := range environ {
		if err := c.setAccountVariable(pair); err != nil {
			return Config{}, err
		}
	}
	var err error
	c.file, err = readConfigured(env)
	return c, err
}

// variableKeys lists the variables for all accounts, with the corresponding keys of the file.
var variableKeys = []struct{ name, key string }{
	{"ECR_OIDC_ROLE", "role"},
	{"ECR_OIDC_SOURCE", "source"},
	{"ECR_OIDC_AUDIENCE", "audience"},
	{"ECR_OIDC_TOKEN_FILE", "token_file"},
	{"ECR_OIDC_PROFILE", "profile"},
	{"ECR_OIDC_SESSION_NAME", "session_name"},
	{"ECR_OIDC_SESSION_DURATION", "session_duration"},
	{"ECR_OIDC_SESSION_POLICY", "session_policy"},
	{"ECR_OIDC_EXTERNAL_ID", "external_id"},
}

// setAccountVariable stores an environment variable, "NAME=value", if it is ECR_OIDC_ROLE_<account>,
// ECR_OIDC_PROFILE_<account> or ECR_OIDC_ROLE_PUBLIC. It ignores all other variables.
func (c Config) setAccountVariable(pair string) error {
	name, value, _ := strings.Cut(pair, "=")
	account, ok := strings.CutPrefix(name, "ECR_OIDC_ROLE_")
	key := "role"
	if !ok {
		account, ok = strings.CutPrefix(name, "ECR_OIDC_PROFILE_")
		key = "profile"
	}
	switch value = strings.TrimSpace(value); {
	case !ok || value == "":
		return nil
	case account == "PUBLIC" && key == "role":
		return c.public.set(key, name, value)
	case !isAccount(account) && key == "role":
		return fmt.Errorf("%s does not end with an account number; "+
			"use ECR_OIDC_ROLE_ and twelve digits, or ECR_OIDC_ROLE_PUBLIC", name)
	case !isAccount(account):
		return fmt.Errorf("%s does not end with an account number; "+
			"use ECR_OIDC_PROFILE_ and twelve digits", name)
	case c.accounts[account] == nil:
		c.accounts[account] = Entry{}
	}
	return c.accounts[account].set(key, name, value)
}

// set validates and stores the value of a variable. It ignores an empty value, which means that the
// variable is not set.
func (e Entry) set(key, variable, text string) error {
	if text == "" {
		return nil
	}
	texts := []string{text}
	if key == "role" {
		texts = splitChain(text)
	}
	if err := check(key, texts, quoteAny); err != nil {
		return fmt.Errorf("%s %w", variable, err)
	}
	e[key] = Value{Texts: texts, From: variable}
	return nil
}

// For returns the settings for a registry. The error is ErrNotAllowed, or it names the variable or
// the line and the allowed values. An error in a role is not returned but stored in the RoleChain,
// because the identity may not need that role. For makes no request.
func (c Config) For(reg registry.Registry) (s Settings, err error) {
	if c.file.Allowed != nil && !reg.Public && !c.file.Allowed[reg.Account] {
		return Settings{}, ErrNotAllowed
	}
	l := c.layers(reg)
	s = Settings{
		Registry: reg,
		Identity: l.identity(c.env),
		CacheDir: c.env.Get("ECR_OIDC_CACHE_DIR"),
	}
	for _, v := range []struct {
		name string
		on   *bool
		def  bool
	}{
		{"ECR_OIDC_CACHE", &s.CacheEnabled, true},
		{"ECR_OIDC_STORED_LOGINS", &s.StoredLogins, true},
		{"ECR_OIDC_ALLOW_HTTP_ENDPOINTS", &s.AllowHTTPEndpoints, false},
		{"ECR_OIDC_DEBUG", new(bool), false}, // only validated here; package debuglog uses it
	} {
		if *v.on, err = Bool(c.env, v.name, v.def); err != nil {
			return Settings{}, err
		}
	}
	s.Audience = l.text("audience")
	s.SessionDuration = parseDuration(l.text("session_duration"))
	s.SessionPolicy = expandPolicy(l.text("session_policy"), reg)
	s.ExternalID = l.text("external_id")
	s.Role = c.roles(reg, l, ignorePair)
	s.WebIdentityRole = c.roles(reg, l, usePair)
	s.Identity.HasRole = len(s.Role.ARNs) > 0
	s.Identity.HasWebIdentityRole = len(s.WebIdentityRole.ARNs) > 0
	if s.SessionName = l.text("session_name"); s.SessionName == "" {
		s.SessionName, err = standardSessionName(c.env)
	}
	return s, err
}

// level is the scope of a setting, from the widest to the narrowest. A setting for one account
// overrides a setting for all accounts. For the same accounts, a variable overrides the file.
type level int

const (
	levelUnset           level = iota
	levelDefault               // default in the file
	levelVariable              // a variable for all accounts
	levelAccount               // the account's entry, or public, in the file
	levelRegion                // the entry of the account's region in the file
	levelAccountVariable       // a variable for the account, or for the public registry
)

// layers are the entries that apply to a registry, indexed by level.
type layers [levelAccountVariable + 1]Entry

func (c Config) layers(reg registry.Registry) layers {
	account, variables := c.file.Accounts[reg.Account], c.accounts[reg.Account]
	if reg.Public {
		account, variables = Account{Entry: c.file.Public}, c.public
	}
	return layers{
		levelDefault:         c.file.Default,
		levelVariable:        c.variables,
		levelAccount:         account.Entry,
		levelRegion:          account.Regions[reg.Region],
		levelAccountVariable: variables,
	}
}

// lookup returns the value of a key at the narrowest level that has it, and that level. If no level
// has it, the level is levelUnset.
func (l layers) lookup(key string) (Value, level) {
	for at := levelAccountVariable; at > levelUnset; at-- {
		if v, ok := l[at][key]; ok {
			return v, at
		}
	}
	return Value{}, levelUnset
}

// text returns the value of a key that is not a list, or "" if it is not set.
func (l layers) text(key string) string {
	v, at := l.lookup(key)
	if at == levelUnset {
		return ""
	}
	return v.Texts[0]
}

// identity returns the settings for the identity. The source, the token file and ECR_OIDC_TOKEN each
// select an identity. Only those at the narrowest level count, so a setting for one account does not
// conflict with a variable for all accounts, and a variable does not conflict with the file's
// default. The source "auto" cancels a source at a wider level. The source "file" and a token file
// belong together, at whatever levels they are.
func (l layers) identity(env token.Env) token.Settings {
	source, sourceLevel := l.lookup("source")
	file, fileLevel := l.lookup("token_file")
	profile, profileLevel := l.lookup("profile")
	if sourceLevel != levelUnset && source.Texts[0] == "auto" {
		sourceLevel = levelUnset
	}
	narrowest := max(sourceLevel, fileLevel)
	if env.Get("ECR_OIDC_TOKEN") != "" {
		narrowest = max(narrowest, levelVariable)
	}
	s := token.Settings{
		AccountSpecific: narrowest >= levelAccount,
		Connection:      env.Get("ECR_OIDC_AZURE_SERVICE_CONNECTION"),
	}
	if sourceLevel != levelUnset &&
		(sourceLevel == narrowest || source.Texts[0] == "file" && fileLevel == narrowest) {
		s.Source, s.SourceFrom = source.Texts[0], source.From
	}
	if fileLevel != levelUnset && (fileLevel == narrowest || s.Source == "file") {
		s.TokenFile, s.TokenFileFrom = file.Texts[0], file.From
	}
	if profileLevel != levelUnset {
		s.Profile, s.ProfileFrom = profile.Texts[0], profile.From
	}
	return s
}

// Bool returns the value of an on/off variable. It returns def if the variable is not set or empty,
// and an error that lists the allowed values if the value is invalid.
func Bool(env token.Env, name string, def bool) (bool, error) {
	switch v := env.Get(name); v {
	case "":
		return def, nil
	case "1", "true", "on":
		return true, nil
	case "0", "false", "off":
		return false, nil
	default:
		const format = "%s is %q; allowed values are 1, 0, true, false, on, off"
		return def, fmt.Errorf(format, name, v)
	}
}
