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
	Registry           registry.Registry
	Identity           token.Settings
	Role               RoleChain     // to assume ...
	WebIdentityRole    RoleChain     // ... and if AWS_ROLE_ARN beside AWS_WEB_IDENTITY_TOKEN_FILE counts
	Audience           string        // to request; "" leaves it to the source
	SessionName        string        // role session name, 2 to 64 characters; "" leaves it to the identity
	SessionDuration    time.Duration // of the role session; 0 leaves it to AWS
	SessionPolicy      string        // session policy of the last role, as JSON; "" for none
	ExternalID         string        // for the roles that are assumed by AssumeRole
	CacheEnabled       bool          // whether to cache the login
	CacheDir           string        // where; "" for the default
	StoredLogins       bool          // whether a login that another tool stored is returned
	AllowHTTPEndpoints bool          // whether custom endpoints may be http on other hosts
}

// RoleChain is a chain of roles. The first is assumed by web identity, the others by AssumeRole.
type RoleChain struct {
	ARNs []string // in the order in which they are assumed; empty when none is configured
	From string   // the variable or line that configured them, for messages
	Err  error    // what is wrong with them; the chain cannot be used then
}

// ErrNotAllowed is For's answer for a registry whose account allowed_account_ids leaves out: it is not ours.
var ErrNotAllowed = errors.New("the registry's account is not in allowed_account_ids")

// Config is what the user configured for every registry.
type Config struct {
	env       token.Env
	variables Entry            // for all accounts
	accounts  map[string]Entry // variables for one account
	public    Entry            // variables for the public registry
	file      File
}

// Read reads and checks our variables and our file, if there is one. environ is the whole
// environment, as os.Environ returns it. The error names the variable or the line, and the allowed
// values. Read makes no request.
func Read(env token.Env, environ []string) (Config, error) {
	c := Config{env: env, variables: Entry{}, accounts: map[string]Entry{}, public: Entry{}}
	for _, v := range variables {
		if err := c.variables.set(v.key, v.name, env.Get(v.name)); err != nil {
			return Config{}, err
		}
	}
	for _, pair := range environ {
		if err := c.setForAccount(pair); err != nil {
			return Config{}, err
		}
	}
	var err error
	c.file, err = readFile(env)
	return c, err
}

// variables are those that hold a setting for all accounts, with its key in the file.
var variables = []struct{ name, key string }{
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

// setForAccount adds a variable to the entry of its account, if it is one for an account or for the
// public registry.
func (c Config) setForAccount(pair string) error {
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
		return fmt.Errorf("%s names no account; it must be ECR_OIDC_ROLE_ and twelve digits, or "+
			"ECR_OIDC_ROLE_PUBLIC", name)
	case !isAccount(account):
		return fmt.Errorf("%s names no account; it must be ECR_OIDC_PROFILE_ and twelve digits", name)
	case c.accounts[account] == nil:
		c.accounts[account] = Entry{}
	}
	return c.accounts[account].set(key, name, value)
}

// set checks the value of a variable, and adds it; "" means that the variable is not set.
func (e Entry) set(key, variable, text string) error {
	if text == "" {
		return nil
	}
	texts := []string{text}
	if key == "role" {
		texts = links(text)
	}
	if err := check(key, texts, quoted); err != nil {
		return fmt.Errorf("%s %w", variable, err)
	}
	e[key] = Value{Texts: texts, From: variable}
	return nil
}

// For returns the settings for a registry. The error is ErrNotAllowed, or names the variable or the
// line and the allowed values. What is wrong with the roles is in their Err, because it may not
// matter for the identity. For makes no request.
func (c Config) For(reg registry.Registry) (s Settings, err error) {
	if c.file.Allowed != nil && !reg.Public && !c.file.Allowed[reg.Account] {
		return Settings{}, ErrNotAllowed
	}
	in := c.layers(reg)
	s = Settings{Registry: reg, CacheDir: c.env.Get("ECR_OIDC_CACHE_DIR"), Identity: in.identity(c.env)}
	for _, v := range []struct {
		name string
		on   *bool
		def  bool
	}{
		{"ECR_OIDC_CACHE", &s.CacheEnabled, true},
		{"ECR_OIDC_STORED_LOGINS", &s.StoredLogins, true},
		{"ECR_OIDC_ALLOW_HTTP_ENDPOINTS", &s.AllowHTTPEndpoints, false},
		{"ECR_OIDC_DEBUG", new(bool), false},
		// read where lines are written; a wrong value is reported here
	} {
		if *v.on, err = Switch(c.env, v.name, v.def); err != nil {
			return Settings{}, err
		}
	}
	s.Audience = in.text("audience")
	s.SessionDuration = duration(in.text("session_duration"))
	s.SessionPolicy = policy(in.text("session_policy"), reg)
	s.ExternalID = in.text("external_id")
	s.Role, s.WebIdentityRole = c.roles(reg, in, withoutPair), c.roles(reg, in, withPair)
	s.Identity.HasRole, s.Identity.HasWebIdentityRole = len(s.Role.ARNs) > 0, len(s.WebIdentityRole.ARNs) > 0
	if s.SessionName = in.text("session_name"); s.SessionName == "" {
		s.SessionName, err = sessionName(c.env)
	}
	return s, err
}

// level tells how narrowly a setting was named. What names one account goes before what names all;
// at the same level, a variable goes before the file.
type level int

const (
	unset level = iota
	byDefault
	byVariable
	byAccount
	byRegion
	byAccountVariable
)

// layers are the entries that apply to a registry, by level.
type layers [byAccountVariable + 1]Entry

func (c Config) layers(reg registry.Registry) layers {
	account, variables := c.file.Accounts[reg.Account], c.accounts[reg.Account]
	if reg.Public {
		account, variables = Account{Entry: c.file.Public}, c.public
	}
	return layers{byDefault: c.file.Default, byVariable: c.variables, byAccount: account.Entry,
		byRegion: account.Regions[reg.Region], byAccountVariable: variables}
}

// find returns the value of a key at the narrowest level that has it.
func (in layers) find(key string) (Value, level) {
	for by := byAccountVariable; by > unset; by-- {
		if v, ok := in[by][key]; ok {
			return v, by
		}
	}
	return Value{}, unset
}

// text returns the value of a key that has one text; "" when it is not set.
func (in layers) text(key string) string {
	v, by := in.find(key)
	if by == unset {
		return ""
	}
	return v.Texts[0]
}

// identity returns the settings of the source. What names the account counts for that account
// alone, so the variables that name a token for all do not disagree with it: they do not count. The
// file's default counts only where no variable is set.
func (in layers) identity(env token.Env) token.Settings {
	source, by := in.find("source")
	file, fileBy := in.find("token_file")
	profile, profileBy := in.find("profile")
	if by != unset && source.Texts[0] == "auto" { // takes back what is set more widely
		by = unset
	}
	narrowest := max(by, fileBy)
	if env.Get("ECR_OIDC_TOKEN") != "" {
		narrowest = max(narrowest, byVariable)
	}
	s := token.Settings{
		AccountSpecific: narrowest >= byAccount,
		Connection:      env.Get("ECR_OIDC_AZURE_SERVICE_CONNECTION"),
	}
	if by != unset && (by == narrowest || source.Texts[0] == "file" && narrowest == fileBy) {
		s.Source, s.SourceFrom = source.Texts[0], source.From
	}
	if fileBy != unset && (fileBy == narrowest || s.Source == "file") {
		s.TokenFile, s.TokenFileFrom = file.Texts[0], file.From
	}
	if profileBy != unset {
		s.Profile, s.ProfileFrom = profile.Texts[0], profile.From
	}
	return s
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
