// Package config reads the environment and one optional file, and returns the settings for one registry.
package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// Settings is what the user configured for one registry.
type Settings struct {
	Registry      registry.Registry
	Identity      token.Settings
	Role          Roles         // to assume ...
	PairRole      Roles         // ... and if AWS_ROLE_ARN beside AWS_WEB_IDENTITY_TOKEN_FILE counts
	Audience      string        // to request; "" leaves it to the source
	SessionName   string        // role session name, 2 to 64 characters; "" leaves it to the identity
	Duration      time.Duration // of the role session; 0 leaves it to AWS
	Policy        string        // session policy of the last role, as JSON; "" for none
	ExternalID    string        // for the roles that are assumed by AssumeRole
	Cache         bool          // whether to cache the login
	CacheDir      string        // where; "" for the default
	StoredLogins  bool          // whether a login that another tool stored is returned
	HTTPEndpoints bool          // whether custom endpoints may be http on other hosts
}

// Roles is a chain of roles. The first is assumed by web identity, the others by AssumeRole.
type Roles struct {
	ARNs []string // in the order in which they are assumed; empty when none is configured
	From string   // the variable or line that configured them, for messages
	Err  error    // what is wrong with them; the chain cannot be used then
}

// ErrNotAllowed is For's answer for a registry whose account allowed_account_ids leaves out: it is not ours.
var ErrNotAllowed = errors.New("the registry's account is not in allowed_account_ids")

// Config is what the user has set, for every registry.
type Config struct {
	env  token.Env
	file File
}

// Read reads our file, if there is one, and checks our variables. environ is all of them, as os.Environ has them. It
// calls nothing.
func Read(env token.Env, environ []string) (Config, error) {
	for _, name := range environ {
		name, value, _ := strings.Cut(name, "=")
		if account, ok := strings.CutPrefix(name, "ECR_OIDC_ROLE_"); ok && strings.TrimSpace(value) != "" && account != "PUBLIC" && !isAccount(account) {
			return Config{}, fmt.Errorf("%s names no account; it must be ECR_OIDC_ROLE_ and twelve digits, or ECR_OIDC_ROLE_PUBLIC", name)
		}
	}
	if err := checkVariables(env, environ); err != nil {
		return Config{}, err
	}
	file, err := readFile(env)
	return Config{env, file}, err
}

// For returns the settings for a registry. The error is ErrNotAllowed, or names the variable or the line and the allowed
// values. What is wrong with the roles is in their Err, because it may not matter for the identity. For makes no request.
func (c Config) For(reg registry.Registry) (p Settings, err error) {
	if c.file.Allowed != nil && !reg.Public && !c.file.Allowed[reg.Account] {
		return Settings{}, ErrNotAllowed
	}
	p = Settings{Registry: reg, CacheDir: c.env.Get("ECR_OIDC_CACHE_DIR"), Identity: c.identity(reg)}
	p.Role, p.PairRole = c.roles(reg, false), c.roles(reg, true)
	p.Identity.Role, p.Identity.PairRole = len(p.Role.ARNs) > 0, len(p.PairRole.ARNs) > 0
	if p.Cache, err = Switch(c.env, "ECR_OIDC_CACHE", true); err != nil {
		return Settings{}, err
	}
	if p.StoredLogins, err = Switch(c.env, "ECR_OIDC_STORED_LOGINS", true); err != nil {
		return Settings{}, err
	}
	if p.HTTPEndpoints, err = Switch(c.env, "ECR_OIDC_ALLOW_HTTP_ENDPOINTS", false); err != nil {
		return Settings{}, err
	}
	if _, err = Switch(c.env, "ECR_OIDC_DEBUG", false); err != nil { // read where lines are written; a mistake is said here
		return Settings{}, err
	}
	for _, set := range []struct {
		key, variable string
		to            func(text string)
	}{
		{"audience", "ECR_OIDC_AUDIENCE", func(s string) { p.Audience = s }},
		{"session_duration", "ECR_OIDC_SESSION_DURATION", func(s string) { p.Duration = duration(s) }},
		{"session_policy", "ECR_OIDC_SESSION_POLICY", func(s string) { p.Policy = policy(s, reg) }},
		{"external_id", "ECR_OIDC_EXTERNAL_ID", func(s string) { p.ExternalID = s }},
		{"session_name", "ECR_OIDC_SESSION_NAME", func(s string) { p.SessionName = s }},
	} {
		if value, by := c.setting(reg, set.key, set.variable); value.set() {
			set.to(value.Texts[0])
			p.Role.check(set.key, value, by, reg)
			p.PairRole.check(set.key, value, by, reg)
		}
	}
	if p.SessionName == "" {
		p.SessionName, err = sessionName(c.env)
	}
	return p, err
}

// level says how narrowly a setting was named. What names one account beats what names all; between equals, a variable
// beats the file.
type level int

const (
	unset level = iota
	byDefault
	byVariable
	byAccount
	byRegion
)

// setting finds the value of a key for a registry: the file's entry for its region, then for its account; the
// variable; the file's default.
func (c Config) setting(reg registry.Registry, key, variable string) (Value, level) {
	account := c.file.Accounts[reg.Account]
	if reg.Public {
		account = Account{Entry: c.file.Public}
	}
	if v := account.Regions[reg.Region][key]; v.set() {
		return v, byRegion
	}
	if v := account.Entry[key]; v.set() {
		return v, byAccount
	}
	if text := c.env.Get(variable); text != "" {
		return Value{Texts: []string{text}, From: variable}, byVariable
	}
	if v := c.file.Default[key]; v.set() {
		return v, byDefault
	}
	return Value{}, unset
}

// identity is what the user says about the source. What the file says of an account is said of that account alone, so
// the variables that name a token for all do not disagree with it: they do not count. What the file says by default
// counts only where no variable says anything.
func (c Config) identity(reg registry.Registry) token.Settings {
	source, by := c.setting(reg, "source", "ECR_OIDC_SOURCE")
	file, fileBy := c.setting(reg, "token_file", "ECR_OIDC_TOKEN_FILE")
	profile, _ := c.setting(reg, "profile", "ECR_OIDC_PROFILE")
	if source.set() && source.Texts[0] == "auto" { // takes back what is said more widely, and says nothing itself
		source, by = Value{}, unset
	}
	highest := max(by, fileBy)
	if c.env.Get("ECR_OIDC_TOKEN") != "" {
		highest = max(highest, byVariable)
	}
	settings := token.Settings{ForAccount: highest >= byAccount, Connection: c.env.Get("ECR_OIDC_AZURE_SERVICE_CONNECTION")}
	if source.set() && (by == highest || source.Texts[0] == "file" && highest == fileBy) {
		settings.Source, settings.SourceFrom = source.Texts[0], source.From
	}
	if file.set() && (fileBy == highest || settings.Source == "file") {
		settings.TokenFile, settings.TokenFileFrom = file.Texts[0], file.From
	}
	if profile.set() {
		settings.Profile, settings.ProfileFrom = profile.Texts[0], profile.From
	}
	return settings
}

// Switch reads a variable that is on or off; def is its value when it is unset or empty.
func Switch(env token.Env, name string, def bool) (bool, error) {
	switch v := env.Get(name); v {
	case "":
		return def, nil
	case "1", "true", "on":
		return true, nil
	case "0", "false", "off":
		return false, nil
	default:
		return def, fmt.Errorf("%s is %q; allowed are 1, 0, true, false, on, off", name, v)
	}
}
