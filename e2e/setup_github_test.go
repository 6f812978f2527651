package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// workflow is the part of a GitHub workflow that the examples use.
type workflow struct {
	On struct {
		Call struct {
			Inputs map[string]struct{ Default string }
		} `yaml:"workflow_call"`
	}
	Jobs map[string]workflowJob
}

type workflowJob struct {
	Uses        string
	With        map[string]any
	Permissions map[string]string
	Env         map[string]string
	Steps       []workflowStep
}

type workflowStep struct {
	ID, Uses, Run string
	With          map[string]any
	Env           map[string]string
}

// onlyJob returns the only job of a workflow.
func (w workflow) onlyJob(t *testing.T) workflowJob {
	t.Helper()
	if len(w.Jobs) != 1 {
		t.Fatalf("%d jobs, want one", len(w.Jobs))
	}
	for _, j := range w.Jobs {
		return j
	}
	return workflowJob{}
}

// github runs the only job of a workflow. A reusable workflow that it calls is in the same directory.
// github returns the error of the step that failed.
func (e *example) github(file string, j emulator.GitHubJob) (*exampleJob, error) {
	e.t.Helper()
	var w workflow
	loadYAML(e.t, filepath.Join(e.dir, file), &w)
	job := w.onlyJob(e.t)
	inputs := map[string]string{}
	if job.Uses != "" {
		called, ref, ok := strings.Cut(job.Uses, "@")
		if !ok {
			e.t.Fatalf("%s has no ref", job.Uses)
		}
		if j.ReusableWorkflow == "" {
			j.ReusableWorkflow = called + "@refs/heads/" + ref
		}
		var reusable workflow
		loadYAML(e.t, filepath.Join(e.dir, filepath.Base(called)), &reusable)
		inner := reusable.onlyJob(e.t)
		for permission, level := range inner.Permissions {
			if job.Permissions[permission] != level {
				e.t.Fatalf("the caller does not grant %s: %s", permission, level)
			}
		}
		for name, in := range reusable.On.Call.Inputs {
			inputs[name] = in.Default
		}
		for name, value := range job.With {
			inputs[name] = fmt.Sprint(value)
		}
		job = inner
	}
	j.NoIDToken = job.Permissions["id-token"] != "write"
	r := e.job(e.server.GitHubRealHost(j))
	r.env["GITHUB_ENV"] = filepath.Join(r.home, "github-env")
	for name, value := range job.Env {
		r.env[name] = r.expand(value, inputs, r.env)
	}
	return r, r.steps(job.Steps, inputs)
}

var expression = regexp.MustCompile(`\$\{\{ *([^}]*?) *\}\}`)

var choice = regexp.MustCompile(`^(\S+) == '([^']*)' && (\S+) \|\| (\S+)$`)

// expand evaluates the expressions of GitHub that are the name of a value, or a comparison that selects
// one of two values.
func (r *exampleJob) expand(text string, inputs, env map[string]string) string {
	r.t.Helper()
	value := func(name string) string {
		r.t.Helper()
		context, key, _ := strings.Cut(name, ".")
		var value string
		var ok bool
		switch context {
		case "secrets", "vars":
			kind := map[string]string{"secrets": "secret", "vars": "variable"}[context]
			value, ok = r.settings[kind+" "+key]
		case "env":
			value, ok = env[key]
		case "inputs":
			value, ok = inputs[key]
		case "github":
			value, ok = r.env["GITHUB_"+strings.ToUpper(key)]
		case "steps":
			value, ok = r.outputs[name]
		}
		if !ok {
			r.t.Fatalf("%s has no value; secrets and variables are in the table of README", name)
		}
		return value
	}
	return expression.ReplaceAllStringFunc(text, func(m string) string {
		name := expression.FindStringSubmatch(m)[1]
		if c := choice.FindStringSubmatch(name); c != nil {
			if name = c[4]; value(c[1]) == c[2] {
				name = c[3]
			}
		}
		return value(name)
	})
}

func (r *exampleJob) steps(steps []workflowStep, inputs map[string]string) error {
	r.t.Helper()
	for _, s := range steps {
		env := map[string]string{}
		for name, value := range s.Env {
			env[name] = r.expand(value, inputs, r.env)
		}
		with := map[string]string{}
		for name, value := range s.With {
			with[name] = r.expand(fmt.Sprint(value), inputs, r.env)
		}
		action, _, _ := strings.Cut(s.Uses, "@")
		var err error
		switch action {
		case "":
			err = r.shell(env, r.expand(s.Run, inputs, r.env))
		case "actions/checkout":
			err = r.checkout()
		case "docker/setup-qemu-action", "docker/setup-buildx-action":
		case "docker/metadata-action":
			err = r.metadata(s.ID, with)
		case "docker/build-push-action":
			err = r.buildPush(env, with)
		case "ecr-oidc/docker-credential-ecr-oidc":
			err = r.action(with)
		default:
			r.t.Fatalf("the tests do not support %s", s.Uses)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// action emulates the action for the inputs that the examples use: it writes a Docker configuration for
// this job, with the helper and, if there is one, the role of each registry.
func (r *exampleJob) action(with map[string]string) error {
	r.t.Helper()
	var published struct{ Inputs map[string]any }
	loadYAML(r.t, "../action.yml", &published)
	for name := range with {
		if published.Inputs[name] == nil {
			r.t.Fatalf("the action has no input %s", name)
		}
		if !slices.Contains([]string{"registries", "role-to-assume", "check"}, name) {
			r.t.Fatalf("the tests do not support the action's input %s", name)
		}
	}
	r.env["DOCKER_CONFIG"] = filepath.Join(r.env["RUNNER_TEMP"], "docker")
	if err := os.MkdirAll(r.env["DOCKER_CONFIG"], 0o700); err != nil {
		return err
	}
	for line := range strings.Lines(with["registries"]) {
		host, role, _ := strings.Cut(strings.TrimSpace(line), "=")
		if role == "" {
			role = with["role-to-assume"]
		}
		args := []string{"configure"}
		if role != "" {
			args = append(args, "--role", role)
		}
		if err := r.exec(nil, program, append(args, host)...); err != nil {
			return err
		}
	}
	return nil
}

// metadata emulates docker/metadata-action with the rule that the examples use.
func (r *exampleJob) metadata(id string, with map[string]string) error {
	r.t.Helper()
	if with["tags"] != "type=sha,format=long" {
		r.t.Fatalf("the tests do not support the tags %q", with["tags"])
	}
	r.outputs["steps."+id+".outputs.tags"] = with["images"] + ":sha-" + r.env["GITHUB_SHA"]
	r.outputs["steps."+id+".outputs.labels"] = "org.opencontainers.image.revision=" + r.env["GITHUB_SHA"]
	return nil
}

// buildPush emulates docker/build-push-action: docker buildx build, in the environment of the job.
func (r *exampleJob) buildPush(env, with map[string]string) error {
	args := []string{"buildx", "build"}
	if with["platforms"] != "" {
		args = append(args, "--platform", with["platforms"])
	}
	if with["push"] == "true" {
		args = append(args, "--push")
	}
	for tag := range strings.FieldsSeq(with["tags"]) {
		args = append(args, "-t", tag)
	}
	return r.exec(env, "docker", append(args, with["context"])...)
}

// stepEnv returns the variables of the first step of a workflow that has a text in its commands or values.
func (r *exampleJob) stepEnv(file, text string) map[string]string {
	r.t.Helper()
	var w workflow
	loadYAML(r.t, filepath.Join(r.dir, file), &w)
	for _, s := range w.onlyJob(r.t).Steps {
		env := map[string]string{}
		for name, value := range s.Env {
			env[name] = r.expand(value, nil, r.env)
		}
		if strings.Contains(s.Run+strings.Join(slices.Sorted(maps.Values(env)), " "), text) {
			return env
		}
	}
	r.t.Fatalf("%s has no step with %q", file, text)
	return nil
}
