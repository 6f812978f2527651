package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/dockerconfig"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/helper"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/oneline"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
)

// surroundings looks at Docker's side: its file, this program's place on PATH, its version.
func (d *doctor) surroundings() (s surroundings) {
	s.path, s.err = dockerconfig.Path(d.env.Get("DOCKER_CONFIG"))
	if s.err == nil {
		s.file, s.err = soon("reading "+s.path, func() (*dockerconfig.Edit, error) { return readDocker(s.path) })
	}
	s.variable = authConfig(d.env.Get("DOCKER_AUTH_CONFIG"))
	looks := []func() check{onPath}
	if runtime.GOOS == "darwin" {
		looks = append(looks, onApplicationsPath)
	}
	for _, look := range looks {
		c, err := soon("looking along it", func() (check, error) { return look(), nil })
		if err != nil {
			c = check{Name: "PATH", State: note, Text: err.Error(), Next: "take the folder that does not answer off it"}
		}
		s.checks = append(s.checks, c)
	}
	version, _ := soon("asking Docker", func() (string, error) { return run("docker", "--version"), nil })
	if c, ok := dockerVersion(version); ok {
		s.checks = append(s.checks, c)
	}
	for i := range s.checks {
		s.checks[i].common = true
	}
	return s
}

// moment is what a look beside a get may take, where a pipe or a dead mount would have it wait for ever.
const moment = 5 * time.Second

// soon returns what a look finds, or an error when it is not done within a moment.
func soon[T any](what string, look func() (T, error)) (T, error) {
	type result struct {
		found T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		found, err := look()
		done <- result{found, err}
	}()
	select {
	case r := <-done:
		return r.found, r.err
	case <-time.After(moment):
		var none T
		return none, fmt.Errorf("%s: not done within %v", what, moment)
	}
}

// readDocker reads Docker's file; one that is not there is an error.
func readDocker(path string) (*dockerconfig.Edit, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	}
	return dockerconfig.Read(path)
}

// docker says whether Docker asks us for this registry.
func (d *diagnosis) docker(x helper.Examination, s surroundings) {
	host := x.Registry.Host
	configure := "docker-credential-ecr-oidc configure " + host
	switch {
	case s.file == nil && errors.Is(s.err, fs.ErrNotExist):
		d.add("docker", note, "it does not ask this helper: %s", oneline.Clean(s.err.Error())).Next = configure
	case s.file == nil: // which configure could not write to either
		d.add("docker", note, "it cannot use this helper: %s", oneline.Clean(s.err.Error())).Next = "mend that file, and then: " + configure
	case s.file.Helper(host) == name:
		d.add("docker", good, "%s: credHelpers names %s for this registry", s.path, name)
	case s.file.Helper(host) != "":
		d.add("docker", note, "%s: credHelpers names %s for this registry, and not this helper", s.path, shown(s.file.Helper(host))).Next = configure
	case s.file.CredsStore() == name:
		d.add("docker", good, "%s: credsStore is %s", s.path, name)
	case s.file.CredsStore() != "":
		d.add("docker", note, "%s: credHelpers does not name this registry, so that Docker asks %s, its credsStore", s.path, shown(s.file.CredsStore())).Next = configure
	default:
		d.add("docker", note, "%s: credHelpers does not name this registry", s.path).Next = configure
	}
	if s.file != nil && slices.ContainsFunc(s.file.Logins(), func(key string) bool { return isHost(key, host) }) {
		d.add("docker", note, "%s: auths has an old login for this registry, which Docker before 29 uses after a refusal", s.path).Next = configure
	}
	if slices.ContainsFunc(s.variable, func(key string) bool { return isHost(key, host) }) {
		d.add("docker", note, "DOCKER_AUTH_CONFIG has a login for this registry, which Docker uses before it asks any helper").Next = "unset it, or take that login out of it"
	}
	d.Checks = append(d.Checks, s.checks...)
}

func isHost(key, host string) bool {
	reg, ok := registry.Parse(key)
	return ok && reg.Host == host
}

// authConfig lists the registries that DOCKER_AUTH_CONFIG has logins for (docker/cli cli/config/configfile/file.go).
func authConfig(value string) (hosts []string) {
	var file struct {
		Auths map[string]json.RawMessage `json:"auths"`
	}
	if json.Unmarshal([]byte(value), &file) == nil {
		for host := range file.Auths {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// onPath says whether Docker, started from here, finds this program.
func onPath() check {
	path, err := exec.LookPath("docker-credential-" + name)
	if err != nil {
		return check{Name: "PATH", State: note, Text: "docker-credential-" + name + " is not on it, so Docker started from here does not find it", Next: "put its folder on PATH: " + folder()}
	}
	return check{Name: "PATH", State: good, Text: "Docker started from here finds " + path}
}

// onApplicationsPath is onPath for what is started from Finder or the Dock, such as Docker Desktop: those have launchd's
// PATH and not the shell's.
func onApplicationsPath() check {
	dirs := run("launchctl", "getenv", "PATH")
	if dirs == "" {
		dirs = "/usr/bin:/bin:/usr/sbin:/sbin"
	}
	for _, dir := range strings.Split(dirs, ":") {
		if fi, err := os.Stat(dir + "/docker-credential-" + name); err == nil && fi.Mode().IsRegular() {
			return check{Name: "PATH", State: good, Text: "applications find " + dir + "/docker-credential-" + name}
		}
	}
	return check{
		Name: "PATH", State: note, Text: "applications (Docker Desktop, an IDE) do not find docker-credential-" + name + " on theirs: " + shown(dirs),
		Next: "put it, or a link to it, into /usr/local/bin, and let launchd know of that folder: sudo launchctl config user path /usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
	}
}

// folder is where this program lies.
func folder() string {
	path, err := os.Executable()
	if err != nil {
		return "where it lies"
	}
	return filepath.Dir(path)
}

// dockerVersion says what this Docker does with a refusal's line: since 28.5 (push) and 29.0 (pull) it is in its error.
// Podman's "docker" says another name.
func dockerVersion(said string) (check, bool) {
	m := regexp.MustCompile(`^Docker version (\d+)\.(\d+)(\.\d+)?`).FindStringSubmatch(said)
	if m == nil {
		return check{}, false
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	number := m[1] + "." + m[2] + m[3]
	switch {
	case major >= 29:
		return check{Name: "docker", State: good, Text: "version " + number + ", which shows a refusal in its own error"}, true
	case major == 28 && minor >= 5:
		return check{Name: "docker", State: good, Text: "version " + number + ", which shows a refusal in its own error of a push; of a pull, look above \"no basic auth credentials\""}, true
	}
	return check{Name: "docker", State: good, Text: "version " + number + ", which hides a refusal in its own error; look above \"no basic auth credentials\""}, true
}

// run returns what a command prints on stdout, without the space around it. It returns "" when the command
// is not there, fails, prints more than a few lines or is not done within 3 seconds. The command's
// environment has no secret.
func run(command string, args ...string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	var stdout fewLines
	cmd := exec.CommandContext(ctx, command, args...)
	cmd.Stdout, cmd.Env, cmd.WaitDelay = &stdout, minimalEnv(), time.Second
	if err := cmd.Run(); err != nil {
		return ""
	}
	return strings.TrimSpace(string(stdout))
}

// minimalEnv returns the variables that docker and launchctl need: the search path, the home folder and,
// on Windows, the system folder and the extensions of programs. The job's tokens and keys are not among
// them.
func minimalEnv() []string {
	names := []string{"PATH", "HOME"}
	if runtime.GOOS == "windows" {
		names = []string{"PATH", "USERPROFILE", "SystemRoot", "PATHEXT"}
	}
	env := []string{} // nil would be the whole environment
	for _, name := range names {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// fewLines keeps what is written to it, up to 16 KiB, and fails beyond that.
type fewLines []byte

func (b *fewLines) Write(p []byte) (int, error) {
	if len(*b)+len(p) > 16<<10 {
		return 0, errors.New("too much output")
	}
	*b = append(*b, p...)
	return len(p), nil
}
