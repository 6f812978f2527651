// Package config turns the environment and one optional file into a plan for one registry: which roles, which source,
// how asked.
package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// Plan is everything that a get decides before it does any work. All of it but what says "not part of the question" is
// part of the question that the cache is asked, so a field that is added here changes the cache key by itself.
type Plan struct {
	Registry    registry.Registry
	Choice      token.Choice
	Place       token.Place
	Roles       []string      // ARNs, in the order in which they are assumed; empty when none is set
	Audience    string        // "" leaves it to the source
	SessionName string        // role session name, 2 to 64 characters
	Duration    time.Duration // of the role session; 0 leaves it to AWS
	Policy      string        // session policy of the last role, as JSON; "" for none
	ExternalID  string        // for the roles after the first, and all of them where the first is not by web identity

	RolesFrom string `json:"-"` // the variable or line that named the roles, for messages; not part of the question
	Cache     bool   `json:"-"` // whether to keep the password; not part of the question
	CacheDir  string `json:"-"` // where, when the user said so; not part of the question

	// Not part of the question either.
	StoredLogins  bool `json:"-"` // whether a login that another tool stored is returned
	HTTPEndpoints bool `json:"-"` // whether custom endpoints may be http on other hosts
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

// For makes the plan for a registry. The error is ErrNotAllowed, or names the variable or the line and what is allowed
// there. Nothing is called.
func (c Config) For(reg registry.Registry) (p Plan, err error) {
	if c.file.Allowed != nil && !reg.Public && !c.file.Allowed[reg.Account] {
		return Plan{}, ErrNotAllowed
	}
	p = Plan{Registry: reg, CacheDir: c.env.Get("ECR_OIDC_CACHE_DIR"), Choice: c.choice(reg)}
	if p.Place, err = token.Locate(c.env, p.Choice); err != nil {
		return Plan{}, err
	}
	if p.Roles, p.RolesFrom, err = c.roles(reg, p.Place); err != nil {
		return Plan{}, err
	}
	if p.Cache, err = Switch(c.env, "ECR_OIDC_CACHE", true); err != nil {
		return Plan{}, err
	}
	if p.StoredLogins, err = Switch(c.env, "ECR_OIDC_STORED_LOGINS", true); err != nil {
		return Plan{}, err
	}
	if p.HTTPEndpoints, err = Switch(c.env, "ECR_OIDC_ALLOW_HTTP_ENDPOINTS", false); err != nil {
		return Plan{}, err
	}
	if _, err = Switch(c.env, "ECR_OIDC_DEBUG", false); err != nil { // read where lines are written; a mistake is said here
		return Plan{}, err
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
		value, by := c.setting(reg, set.key, set.variable)
		if !value.set() {
			continue
		}
		if set.key == "session_policy" && len(p.Roles) == 0 {
			if reg.Public && by < byAccount { // which is left anonymous, and was not spoken of
				continue
			}
			return Plan{}, fmt.Errorf("%s sets a session policy, which needs a role, and none is set", value.From)
		}
		if set.key == "session_duration" && len(p.Roles) > 1 && duration(value.Texts[0]) > time.Hour {
			return Plan{}, fmt.Errorf("%s asks for %s, and AWS gives roles that are reached from another role an hour at most", value.From, value.Texts[0])
		}
		set.to(value.Texts[0])
	}
	if p.SessionName == "" {
		p.SessionName, err = sessionName(c.env, p.Place)
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

// choice is what the user says about the source. What the file says of an account is said of that account alone, so
// the variables that name a token for all do not disagree with it: they do not count. What the file says by default
// counts only where no variable says anything.
func (c Config) choice(reg registry.Registry) token.Choice {
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
	choice := token.Choice{OneAccount: highest >= byAccount}
	if source.set() && (by == highest || source.Texts[0] == "file" && highest == fileBy) {
		choice.Source, choice.From = source.Texts[0], source.From
	}
	if file.set() && (fileBy == highest || choice.Source == "file") {
		choice.TokenFile, choice.FileFrom = file.Texts[0], file.From
	}
	if profile.set() {
		choice.Profile, choice.ProfileFrom = profile.Texts[0], profile.From
	}
	return choice
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
