package e2e

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/build"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// circleConfig is the part of a CircleCI configuration that the examples use.
type circleConfig struct {
	Orbs      map[string]string
	Jobs      map[string]circleSteps
	Workflows map[string]struct{ Jobs []any }
}

// circleSteps is a job, or a command of an orb.
type circleSteps struct {
	Parameters  map[string]struct{ Default any }
	Environment map[string]string
	Steps       []any
}

const orbName = "ecr-oidc"

// packedOrb returns the orb that orb/pack prints.
var packedOrb = sync.OnceValues(func() ([]byte, error) {
	if err := build.Track("orb", "install.sh"); err != nil {
		return nil, err
	}
	pack := exec.Command("go", "run", "./orb/pack")
	pack.Dir, pack.Stderr = "..", os.Stderr
	return pack.Output()
})

// orbPart returns a command or a job of the packed orb.
func orbPart(t *testing.T, kind, name string) circleSteps {
	t.Helper()
	text, err := packedOrb()
	if err != nil {
		t.Fatalf("packing the orb: %v", err)
	}
	var orb struct{ Commands, Jobs map[string]circleSteps }
	if err := yaml.Unmarshal(text, &orb); err != nil {
		t.Fatalf("the packed orb: %v", err)
	}
	part, ok := map[string]map[string]circleSteps{"commands": orb.Commands, "jobs": orb.Jobs}[kind][name]
	if !ok {
		t.Fatalf("the orb has no %s in %s", name, kind)
	}
	return part
}

// circleci runs the only job of the only workflow of a configuration, with the steps of the packed orb.
// It skips the install command, because the binary under test is on PATH. It calls the functions in
// before with the job before the first step.
func (e *example) circleci(
	file string, job map[string]string, before ...func(*exampleJob),
) (*exampleJob, error) {
	e.t.Helper()
	var c circleConfig
	loadYAML(e.t, filepath.Join(e.dir, file), &c)
	if c.Orbs[orbName] != "ecr-oidc/ecr-oidc@0.1" || len(c.Workflows) != 1 {
		e.t.Fatalf("%s: orbs %q, %d workflows", file, c.Orbs, len(c.Workflows))
	}
	r := e.job(job)
	r.env["BASH_ENV"] = filepath.Join(r.home, ".bash_env")
	if err := os.WriteFile(r.env["BASH_ENV"], nil, 0o600); err != nil {
		e.t.Fatal(err)
	}
	for name, value := range e.settings { // the variables of the project
		if name, ok := strings.CutPrefix(name, "variable "); ok {
			if _, arguments := job[name]; !arguments {
				r.env[name] = value
			}
		}
	}
	for _, w := range c.Workflows {
		if len(w.Jobs) != 1 {
			e.t.Fatalf("%s: %d jobs in the workflow", file, len(w.Jobs))
		}
		name, arguments := oneStep(e.t, w.Jobs[0])
		part, inOrb := c.Jobs[name], false
		if fromOrb, ok := strings.CutPrefix(name, orbName+"/"); ok {
			part, inOrb = orbPart(e.t, "jobs", fromOrb), true
		}
		if part.Steps == nil {
			e.t.Fatalf("%s: there is no job %s", file, name)
		}
		maps.Copy(r.env, part.Environment)
		for _, change := range before {
			change(r)
		}
		delete(arguments, "filters")
		return r, r.circleSteps(part.Steps, part.with(e.t, name, arguments), inOrb)
	}
	return nil, nil
}

// oneStep returns the name and the arguments of a step, or of a job in a workflow.
func oneStep(t *testing.T, step any) (name string, arguments map[string]any) {
	t.Helper()
	switch s := step.(type) {
	case string:
		return s, map[string]any{}
	case map[string]any:
		for name, value := range s {
			switch v := value.(type) {
			case map[string]any:
				return name, v
			case string: // run: COMMAND
				return name, map[string]any{"command": v}
			}
		}
	}
	t.Fatalf("invalid step: %v", step)
	return "", nil
}

// with returns the values of the parameters: the arguments, and defaults for the others.
func (p circleSteps) with(t *testing.T, name string, arguments map[string]any) map[string]any {
	t.Helper()
	values := map[string]any{}
	for parameter, declared := range p.Parameters {
		values[parameter] = declared.Default
	}
	for parameter, value := range arguments {
		if _, ok := p.Parameters[parameter]; !ok {
			t.Fatalf("%s has no parameter %s", name, parameter)
		}
		values[parameter] = value
	}
	return values
}

var circleParameter = regexp.MustCompile(`<< *parameters\.(\w+) *>>`)

// substitute replaces the parameters in a text with their values. For a text that is only a parameter, it
// returns the value with its type.
func substitute(t *testing.T, text any, values map[string]any) any {
	t.Helper()
	s, ok := text.(string)
	if !ok {
		return text
	}
	value := func(m string) any {
		v, ok := values[circleParameter.FindStringSubmatch(m)[1]]
		if !ok || v == nil {
			t.Fatalf("%s has no value", m)
		}
		return v
	}
	if circleParameter.FindString(s) == s && s != "" {
		return value(s)
	}
	return circleParameter.ReplaceAllStringFunc(s, func(m string) string { return fmt.Sprint(value(m)) })
}

func (r *exampleJob) circleSteps(steps []any, values map[string]any, inOrb bool) error {
	r.t.Helper()
	for _, step := range steps {
		name, arguments := oneStep(r.t, step)
		// Inside the orb, its commands have no prefix.
		if inOrb && slices.Contains([]string{"install", "configure", "doctor"}, name) {
			name = orbName + "/" + name
		}
		var err error
		switch {
		case name == "checkout":
			err = r.checkout()
		case name == "setup_remote_docker":
		case name == "when":
			if evalCondition(r.t, arguments["condition"], values) {
				err = r.circleSteps(arguments["steps"].([]any), values, inOrb)
			}
		case name == "run" && arguments["when"] == "on_fail": // no earlier step has failed here
		case name == "run":
			env := map[string]string{}
			if all, ok := arguments["environment"].(map[string]any); ok {
				for variable, value := range all {
					env[variable] = fmt.Sprint(substitute(r.t, value, values))
				}
			}
			err = r.shell(env, arguments["command"].(string))
		case strings.HasPrefix(name, orbName+"/"):
			part := orbPart(r.t, "commands", strings.TrimPrefix(name, orbName+"/"))
			for parameter, value := range arguments {
				arguments[parameter] = substitute(r.t, value, values)
			}
			inner := part.with(r.t, name, arguments)
			if name != orbName+"/install" {
				err = r.circleSteps(part.Steps, inner, true)
			}
		default:
			r.t.Fatalf("the tests do not support the step %s", name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// evalCondition returns the result of a condition of "when".
func evalCondition(t *testing.T, condition any, values map[string]any) bool {
	t.Helper()
	if m, ok := condition.(map[string]any); ok {
		if all, ok := m["and"].([]any); ok {
			for _, c := range all {
				if !evalCondition(t, c, values) {
					return false
				}
			}
			return true
		}
		if c, ok := m["not"]; ok {
			return !evalCondition(t, c, values)
		}
		t.Fatalf("the tests do not support the condition %v", m)
	}
	switch v := substitute(t, condition, values).(type) {
	case bool:
		return v
	case string:
		return v != ""
	}
	return false
}

// addCircleciCommand adds a program "circleci" to PATH that prints a token, as the one of CircleCI does
// in a job, and records its arguments.
func (r *exampleJob) addCircleciCommand(job emulator.CircleJob) {
	r.t.Helper()
	bin := filepath.Join(r.home, "bin")
	calls := filepath.Join(bin, "calls")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		r.t.Fatal(err)
	}
	script := fmt.Sprintf(
		"#!/bin/sh\necho \"$@\" >>'%s'\nprintf '%%s\\n' '%s'\n",
		calls,
		r.server.CircleToken(job),
	)
	if err := os.WriteFile(filepath.Join(bin, "circleci"), []byte(script), 0o755); err != nil {
		r.t.Fatal(err)
	}
	r.env["PATH"] = bin + string(os.PathListSeparator) + r.env["PATH"]
}

// circleciCalls returns the arguments of the calls of the circleci command; "" if there were none.
func (r *exampleJob) circleciCalls() string {
	b, err := os.ReadFile(filepath.Join(r.home, "bin", "calls"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
