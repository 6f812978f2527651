package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// The official actions that this program's action replaces: the names of their checkouts in the
// directory of -actions.
const (
	configureAction = "configure-aws-credentials"
	loginAction     = "amazon-ecr-login"
)

// action is an action of GitHub Actions that runs on Node.
type action struct {
	main     string            // path of the main stage
	defaults map[string]string // default inputs; "" for expressions
}

var (
	inputName    = regexp.MustCompile(`^  ([A-Za-z0-9_-]+):\s*$`)
	inputDefault = regexp.MustCompile(`^    default: *(.*?)\s*$`)
	mainStage    = regexp.MustCompile(`(?m)^  main: *['"]?([^'"\n]+?)['"]?\s*$`)
)

// readAction reads the action.yml in a directory. It reads the form that this action and the official
// ones have, not every form of YAML.
func readAction(dir string) (action, error) {
	text, err := os.ReadFile(filepath.Join(dir, "action.yml"))
	if err != nil {
		return action{}, fmt.Errorf("reading an action: %w", err)
	}
	manifest := strings.ReplaceAll(string(text), "\r\n", "\n")
	m := mainStage.FindStringSubmatch(manifest)
	if m == nil {
		return action{}, fmt.Errorf("reading an action: %s has no main stage", filepath.Join(dir, "action.yml"))
	}
	a := action{main: filepath.Join(dir, filepath.FromSlash(m[1])), defaults: map[string]string{}}
	_, inputs, _ := strings.Cut(manifest, "\ninputs:\n")
	name := ""
	for line := range strings.Lines(inputs) {
		if line[0] != ' ' && line[0] != '\n' && line[0] != '#' {
			break // the next section
		}
		if m := inputName.FindStringSubmatch(line); m != nil {
			name = m[1]
		} else if m := inputDefault.FindStringSubmatch(line); m != nil && !strings.Contains(m[1], "${{") {
			a.defaults[name] = strings.Trim(m[1], `'"`)
		}
	}
	return a, nil
}

// copyAction copies this program's action to dir/action, and puts the built program in a tool cache.
// The action finds it there in every run.
func copyAction(ctx context.Context, dir, built string) error {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return fmt.Errorf("finding the action: %w", err)
	}
	from, to := strings.TrimSpace(string(root)), filepath.Join(dir, "action")
	manifest, err := os.ReadFile(filepath.Join(from, "action.yml"))
	if err != nil {
		return fmt.Errorf("copying the action: %w", err)
	}
	if err := os.CopyFS(filepath.Join(to, "action"), os.DirFS(filepath.Join(from, "action"))); err != nil {
		return fmt.Errorf("copying the action: %w", err)
	}
	if err := os.WriteFile(filepath.Join(to, "action.yml"), manifest, 0o600); err != nil {
		return fmt.Errorf("copying the action: %w", err)
	}
	a, err := readAction(to)
	if err != nil {
		return err
	}
	return fillToolCache(filepath.Join(dir, "tools"), a.defaults["version"], executable(built, program))
}

// fillToolCache puts the program in a runner's tool cache, in the layout of action/toolcache.js.
func fillToolCache(cache, version, file string) error {
	arch := cmp.Or(map[string]string{"amd64": "x64"}[runtime.GOARCH], runtime.GOARCH)
	dir := filepath.Join(cache, program, version, arch)
	content, err := os.ReadFile(file)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err == nil {
		err = errors.Join(os.WriteFile(filepath.Join(dir, filepath.Base(file)), content, 0o755),
			os.WriteFile(dir+".complete", fmt.Appendf(nil, "%x \n", sha256.Sum256(content)), 0o600))
	}
	if err != nil {
		return fmt.Errorf("filling the tool cache: %w", err)
	}
	return nil
}

// compareActions measures what a job does before its first pull has a login: this program's action
// with its check, and the first get, and, with -actions, the two official actions. Their last step
// runs "docker login". A program that only succeeds replaces it, so its time is not measured.
func (b *bench) compareActions() error {
	if _, err := exec.LookPath("node"); err != nil {
		fmt.Fprintln(os.Stderr, "bench: node is not on PATH: not measuring the action")
		return nil
	}
	ours, err := readAction(filepath.Join(b.dir, "action"))
	if err != nil {
		return err
	}
	newJob := func() job { return b.actionJob(nil) }
	runs := []runFunc{b.inNewJob(newJob, func(j job) (time.Time, error) {
		if err := j.runAction(b.ctx, ours, map[string]string{
			"registries": firstRegistry, "role-to-assume": emulator.CIRole,
		}); err != nil {
			return time.Time{}, err
		}
		return b.singleGet(firstRegistry)(j)
	})}
	if b.actions != "" {
		official, err := b.officialActions()
		if err != nil {
			return err
		}
		newJob := func() job {
			return b.actionJob(map[string]string{"NODE_EXTRA_CA_CERTS": filepath.Join(b.dir, "ca.pem")})
		}
		runs = append(runs, b.inNewJob(newJob, official))
	}
	got, err := interleave(b.runs, runs...)
	if err != nil {
		return err
	}
	const name = "action and first get"
	bars := []bar{{"ecr-oidc's action", got[0].median(), got[0].unexpectedCalls(githubCalls), true}}
	made := got[0].unexpectedCalls(githubCalls)
	calls := row{name: "  calls of " + name, helper: made.String(), bound: exactly(made, githubCalls)}
	var peer series
	if len(got) > 1 {
		peer = got[1]
		bars = append(bars, bar{"the two official actions", peer.median(),
			peer.unexpectedCalls(peer[0].calls), false})
		calls.peer = peer.unexpectedCalls(peer[0].calls).String()
	}
	b.addTimes(name, got[0], peer, b.boundRTTs(got[0], actionRTTs))
	b.add(calls)
	b.chart.groups = append(b.chart.groups, group{"The action's step, and the first pull", bars})
	return nil
}

// officialActions returns a run of the two official actions. Like on GitHub, the first one exports
// the credentials of a role session, which the second one uses.
func (b *bench) officialActions() (gets, error) {
	configure, err := readAction(filepath.Join(b.actions, configureAction))
	if err != nil {
		return nil, err
	}
	login, err := readAction(filepath.Join(b.actions, loginAction))
	if err != nil {
		return nil, err
	}
	return func(j job) (time.Time, error) {
		err := j.runAction(b.ctx, configure, map[string]string{
			"role-to-assume": emulator.CIRole, "aws-region": emulator.Region,
		})
		if err == nil {
			err = j.runAction(b.ctx, login, nil)
		}
		return time.Now(), err
	}, nil
}

// actionJob returns a job for actions. It has a tool cache with this program, and a docker that
// succeeds without doing anything. more has other variables.
func (b *bench) actionJob(more map[string]string) job {
	all := map[string]string{
		"RUNNER_TOOL_CACHE": filepath.Join(b.dir, "tools"), "PATH": filepath.Join(b.dir, "docker"),
	}
	maps.Copy(all, more)
	return b.job(program, b.server.GitHubRealHost(emulator.GitHubJob{}), all)
}

// writeDocker writes the program that replaces Docker in jobs with actions.
func writeDocker(dir string) error {
	err := os.MkdirAll(filepath.Join(dir, "docker"), 0o755)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "docker", "docker"), []byte("#!/bin/sh\nexit 0\n"), 0o755)
	}
	if err != nil {
		return fmt.Errorf("writing the replacement for docker: %w", err)
	}
	return nil
}

// runAction runs the main stage of an action as the runner does, and adds the variables that it
// exports to the job.
func (j *job) runAction(ctx context.Context, a action, inputs map[string]string) error {
	node, err := exec.LookPath("node")
	if err != nil {
		return err
	}
	files, err := os.MkdirTemp(filepath.Dir(j.temp), "files-")
	if err != nil {
		return fmt.Errorf("running an action: %w", err)
	}
	env := slices.Clone(j.env)
	for _, name := range []string{"ENV", "OUTPUT", "PATH", "STATE", "STEP_SUMMARY"} {
		file := filepath.Join(files, name)
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			return fmt.Errorf("running an action: %w", err)
		}
		env = append(env, "GITHUB_"+name+"="+file)
	}
	all := maps.Clone(a.defaults)
	maps.Copy(all, inputs)
	for name, value := range all {
		env = append(env, "INPUT_"+strings.ToUpper(strings.ReplaceAll(name, " ", "_"))+"="+value)
	}
	step := *j
	step.env = env
	if out, stderr, err := step.run(ctx, "", node, a.main); err != nil {
		return fmt.Errorf("running %s: %w: %s%s", a.main, err, out, stderr)
	}
	text, err := os.ReadFile(filepath.Join(files, "ENV"))
	if err != nil {
		return fmt.Errorf("running an action: %w", err)
	}
	j.env = append(slices.Clip(j.env), exported(string(text))...)
	return nil
}

// exported parses the file GITHUB_ENV: NAME=VALUE, or NAME<<DELIMITER and lines up to the delimiter.
func exported(text string) (env []string) {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		name, delimiter, multiline := strings.Cut(lines[i], "<<")
		switch {
		case multiline && !strings.Contains(name, "="):
			var value []string
			for i++; i < len(lines) && lines[i] != delimiter; i++ {
				value = append(value, lines[i])
			}
			env = append(env, name+"="+strings.Join(value, "\n"))
		case strings.Contains(lines[i], "="):
			env = append(env, lines[i])
		}
	}
	return env
}
