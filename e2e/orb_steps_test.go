package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// orbStep is a compiled step of the orb. A step of CircleCI itself, such as checkout, has only a name.
type orbStep struct {
	name, script string
	env          map[string]string
	onFail       bool // "when: on_fail": the step runs only if an earlier step fails
}

// orbSteps compiles a command or a job of the orb, as CircleCI does, without the steps that run only if
// another step fails.
func orbSteps(t *testing.T, kind, name string, params map[string]any) []orbStep {
	t.Helper()
	return slices.DeleteFunc(allOrbSteps(t, kind, name, params), func(s orbStep) bool { return s.onFail })
}

// allOrbSteps is like orbSteps, and includes the steps that run only if another step fails.
func allOrbSteps(t *testing.T, kind, name string, params map[string]any) (compiled []orbStep) {
	t.Helper()
	part := orbPart(t, kind, name)
	values := part.with(t, name, params)
	var walk func(steps []any)
	walk = func(steps []any) {
		for _, step := range steps {
			name, params := oneStep(t, step)
			switch name {
			case "install", "configure", "doctor":
				for parameter, value := range params {
					params[parameter] = substitute(t, value, values)
				}
				compiled = append(compiled, allOrbSteps(t, "commands", name, params)...)
			case "when":
				if evalCondition(t, params["condition"], values) {
					walk(params["steps"].([]any))
				}
			case "run":
				s := orbStep{
					name:   params["name"].(string),
					script: params["command"].(string),
					env:    map[string]string{},
					onFail: params["when"] == "on_fail",
				}
				for variable, value := range params["environment"].(map[string]any) {
					s.env[variable] = fmt.Sprint(substitute(t, value, values))
				}
				compiled = append(compiled, s)
			default:
				name = strings.TrimSpace(name + " " + formatParameters(params))
				compiled = append(compiled, orbStep{name: name})
			}
		}
	}
	walk(part.Steps)
	return compiled
}

// formatParameters returns the parameters of a step as "name=value name=value".
func formatParameters(params map[string]any) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(params)) {
		all = append(all, fmt.Sprint(name, "=", params[name]))
	}
	return strings.Join(all, " ")
}
