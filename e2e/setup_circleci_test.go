package e2e

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/build"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// circleConfig is as much of a CircleCI configuration as the examples use.
type circleConfig struct {
	Orbs      map[string]string
	Jobs      map[string]circleSteps
	Workflows map[string]struct{ Jobs []any }
}

// circleSteps are a job's, or an orb's command's.
type circleSteps struct {
	Parameters  map[string]struct{ Default any }
	Environment map[string]string
	Steps       []any
}

const ourOrb = "ecr-oidc"

// packedOrb returns our orb as orb/pack prints it.
var packedOrb = sync.OnceValues(func() ([]byte, error) {
	if err := build.Track("orb", "install.sh"); err != nil {
		return nil, err
	}
	pack := exec.Command("go", "run", "./orb/pack")
	pack.Dir, pack.Stderr = "..", os.Stderr
	return pack.Output()
})

// orbPart reads a command or a job of our orb from the packed orb.
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

// circleci runs the one job of a configuration's one workflow: its own steps, and those of our orb from the packed orb.
// Only install is left out: what it would install is the binary under test, which is on PATH. What comes before the job
// changes its machine.
func (e *example) circleci(file string, job map[string]string, before ...func(*exampleJob)) (*exampleJob, error) {
	e.t.Helper()
	var c circleConfig
	loadYAML(e.t, filepath.Join(e.dir, file), &c)
	if c.Orbs[ourOrb] != "ecr-oidc/ecr-oidc@0.1" || len(c.Workflows) != 1 {
		e.t.Fatalf("%s: orbs %q, %d workflows", file, c.Orbs, len(c.Workflows))
	}
	r := e.job(job)
	r.env["BASH_ENV"] = filepath.Join(r.home, ".bash_env")
	if err := os.WriteFile(r.env["BASH_ENV"], nil, 0o600); err != nil {
		e.t.Fatal(err)
	}
	for name, value := range e.settings { // the project's variables
		if name, ok := strings.CutPrefix(name, "variable "); ok {
			if _, given := job[name]; !given {
				r.env[name] = value
			}
		}
	}
	for _, w := range c.Workflows {
		if len(w.Jobs) != 1 {
			e.t.Fatalf("%s: %d jobs in the workflow", file, len(w.Jobs))
		}
		name, given := oneStep(e.t, w.Jobs[0])
		part, ours := c.Jobs[name], false
		if fromOrb, ok := strings.CutPrefix(name, ourOrb+"/"); ok {
			part, ours = orbPart(e.t, "jobs", fromOrb), true
		}
		if part.Steps == nil {
			e.t.Fatalf("%s: there is no job %s", file, name)
		}
		maps.Copy(r.env, part.Environment)
		for _, change := range before {
			change(r)
		}
		delete(given, "filters")
		return r, r.circleSteps(part.Steps, part.with(e.t, name, given), ours)
	}
	return nil, nil
}

// oneStep takes a step apart, or a job in a workflow: a name, or a name with what it is given.
func oneStep(t *testing.T, step any) (name string, given map[string]any) {
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
	t.Fatalf("this is no step: %v", step)
	return "", nil
}

// with returns the parameters' values: those given, and the others' defaults.
func (p circleSteps) with(t *testing.T, name string, given map[string]any) map[string]any {
	t.Helper()
	values := map[string]any{}
	for parameter, declared := range p.Parameters {
		values[parameter] = declared.Default
	}
	for parameter, value := range given {
		if _, ok := p.Parameters[parameter]; !ok {
			t.Fatalf("%s has no parameter %s", name, parameter)
		}
		values[parameter] = value
	}
	return values
}

var circleParameter = regexp.MustCompile(`<< *parameters\.(\w+) *>>`)

// filled puts the parameters' values into a text. A text that is a parameter and nothing else has its type.
func filled(t *testing.T, text any, values map[string]any) any {
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

func (r *exampleJob) circleSteps(steps []any, values map[string]any, ours bool) error {
	r.t.Helper()
	for _, step := range steps {
		name, given := oneStep(r.t, step)
		if ours && (name == "install" || name == "configure" || name == "doctor") { // the orb's own names need no prefix inside it
			name = ourOrb + "/" + name
		}
		var err error
		switch {
		case name == "checkout":
			err = r.checkout()
		case name == "setup_remote_docker":
		case name == "when":
			if holds(r.t, given["condition"], values) {
				err = r.circleSteps(given["steps"].([]any), values, ours)
			}
		case name == "run" && given["when"] == "on_fail": // no earlier step has failed here
		case name == "run":
			env := map[string]string{}
			if all, ok := given["environment"].(map[string]any); ok {
				for variable, value := range all {
					env[variable] = fmt.Sprint(filled(r.t, value, values))
				}
			}
			err = r.shell(env, given["command"].(string))
		case strings.HasPrefix(name, ourOrb+"/"):
			part := orbPart(r.t, "commands", strings.TrimPrefix(name, ourOrb+"/"))
			for parameter, value := range given {
				given[parameter] = filled(r.t, value, values)
			}
			inner := part.with(r.t, name, given)
			if name != ourOrb+"/install" {
				err = r.circleSteps(part.Steps, inner, true)
			}
		default:
			r.t.Fatalf("these tests do not know the step %s", name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// holds evaluates a condition of "when".
func holds(t *testing.T, condition any, values map[string]any) bool {
	t.Helper()
	if m, ok := condition.(map[string]any); ok {
		if all, ok := m["and"].([]any); ok {
			for _, c := range all {
				if !holds(t, c, values) {
					return false
				}
			}
			return true
		}
		if c, ok := m["not"]; ok {
			return !holds(t, c, values)
		}
		t.Fatalf("these tests do not know the condition %v", m)
	}
	switch v := filled(t, condition, values).(type) {
	case bool:
		return v
	case string:
		return v != ""
	}
	return false
}

// command puts a "circleci" on the job's PATH that mints tokens, as CircleCI's own does in a job, and notes what it was
// asked.
func (r *exampleJob) command(job emulator.CircleJob) {
	r.t.Helper()
	bin := filepath.Join(r.home, "bin")
	note := filepath.Join(bin, "asked")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		r.t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\necho \"$@\" >>'%s'\nprintf '%%s\\n' '%s'\n", note, r.server.CircleToken(job))
	if err := os.WriteFile(filepath.Join(bin, "circleci"), []byte(script), 0o755); err != nil {
		r.t.Fatal(err)
	}
	r.env["PATH"] = bin + string(os.PathListSeparator) + r.env["PATH"]
}

// asked is what the job's circleci command was asked, "" for nothing.
func (r *exampleJob) asked() string {
	b, err := os.ReadFile(filepath.Join(r.home, "bin", "asked"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
