// Package testenv makes environments for tests.
package testenv

import "strings"

// Lookup returns a function like os.LookupEnv, for an environment that contains only these variables,
// each "NAME=value". The last value of a name counts.
func Lookup(variables ...string) func(name string) (string, bool) {
	values := map[string]string{}
	for _, variable := range variables {
		name, value, _ := strings.Cut(variable, "=")
		values[name] = value
	}
	return func(name string) (string, bool) {
		value, ok := values[name]
		return value, ok
	}
}
