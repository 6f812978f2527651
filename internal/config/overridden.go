package config

import (
	"slices"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
)

// Override is a setting that another setting for the same registry overrides.
type Override struct {
	Key                   string // of the file, as in entryKeys
	Overridden, Effective Value
}

// Overridden returns the settings that are set for a registry and not used, because another setting
// with another value overrides them. It omits a variable that a variable for the account overrides,
// and a line of the file that another line overrides: they are meant to be used together.
func (c Config) Overridden(reg registry.Registry) (found []Override) {
	l := c.layers(reg)
	isVariable := func(at level) bool { return at == levelVariable || at == levelAccountVariable }
	for _, key := range entryKeys {
		used, narrowest := l.lookup(key)
		for at := narrowest - 1; at > levelUnset; at-- {
			set, ok := l[at][key]
			if ok && !slices.Equal(set.Texts, used.Texts) && isVariable(at) != isVariable(narrowest) {
				found = append(found, Override{key, set, used})
			}
		}
	}
	return found
}

// Setting returns the effective value of a setting for a registry, from a variable or the file. key
// is the setting's key in the file. Setting returns false if the setting has no value.
func (c Config) Setting(reg registry.Registry, key string) (Value, bool) {
	v, at := c.layers(reg).lookup(key)
	return v, at != levelUnset
}
