// Package config turns the environment into a plan for one registry: which roles, which source, how asked.
package config

import (
	"fmt"
	"strconv"
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

	RolesFrom string `json:"-"` // the variable that named the roles, for messages; not part of the question
	Cache     bool   `json:"-"` // whether to keep the password; not part of the question
	CacheDir  string `json:"-"` // where, when the user said so; not part of the question
}

// For makes the plan for a registry. The error names the variable and what is allowed in it; no file is read and
// nothing is called.
func For(env token.Env, reg registry.Registry) (Plan, error) {
	p := Plan{
		Registry: reg,
		Choice: token.Choice{
			Source:    env.Get("ECR_OIDC_SOURCE"),
			TokenFile: env.Get("ECR_OIDC_TOKEN_FILE"),
			Profile:   env.Get("ECR_OIDC_PROFILE"),
		},
		Audience: env.Get("ECR_OIDC_AUDIENCE"),
		CacheDir: env.Get("ECR_OIDC_CACHE_DIR"),
	}
	var err error
	if p.Place, err = token.Locate(env, p.Choice); err != nil {
		return Plan{}, err
	}
	if p.Roles, p.RolesFrom, err = roles(env, reg, p.Place); err != nil {
		return Plan{}, err
	}
	if p.Cache, err = Switch(env, "ECR_OIDC_CACHE", true); err != nil {
		return Plan{}, err
	}
	if _, err = Switch(env, "ECR_OIDC_DEBUG", false); err != nil { // read where lines are written; a mistake is said here
		return Plan{}, err
	}
	if p.Duration, err = duration(env, "ECR_OIDC_SESSION_DURATION"); err != nil {
		return Plan{}, err
	}
	p.SessionName, err = sessionName(env, p.Place)
	return p, err
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

// duration reads a role session's length, which AWS allows from 15 minutes to 12 hours (AssumeRole, API reference).
func duration(env token.Env, name string) (time.Duration, error) {
	v := env.Get(name)
	if v == "" {
		return 0, nil
	}
	if _, err := strconv.Atoi(v); err == nil {
		v += "s"
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < 15*time.Minute || d > 12*time.Hour || d != d.Truncate(time.Second) {
		return 0, fmt.Errorf("%s is %q; allowed are 900 to 43200 seconds, or 15m to 12h", name, env.Get(name))
	}
	return d, nil
}
