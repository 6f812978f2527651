package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/world"
)

// The docker that doctor asks for its version gets PATH and HOME, and nothing else of the job's environment.
func TestDoctorRunsDockerWithoutTheJobsEnvironment(t *testing.T) {
	t.Parallel()
	onUnix(t)
	j := patient(t, world.Options{})
	j.keys()
	maps.Copy(j.env, map[string]string{
		"GITHUB_TOKEN": "marked-token", "ACTIONS_RUNTIME_TOKEN": "marked-token", "ECR_OIDC_TOKEN": "", "DOCKER_AUTH_CONFIG": `{"auths": {}}`,
		"HTTPS_PROXY": "", "NPM_TOKEN": "marked-token",
	})
	dump := filepath.Join(j.dir, "docker-environment")
	docker := j.write(t, "bin/docker", fmt.Sprintf("#!/bin/sh\n/usr/bin/env >>'%s'\necho 'Docker version 29.1.3, build 0123456'\n", dump))
	if err := os.Chmod(docker, 0o755); err != nil {
		t.Fatal(err)
	}
	if out := j.doctor(t, usual); out.code != 0 || !strings.Contains(out.stdout, "version 29.1.3, which shows") {
		t.Fatalf("%+v", out)
	}
	text, err := os.ReadFile(dump)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		got[name] = value
	}
	for name, value := range got {
		shells := []string{"PWD", "OLDPWD", "SHLVL", "_"} // which a shell sets for itself
		if !slices.Contains(append(shells, "PATH", "HOME"), name) {
			t.Errorf("docker was run with %s=%.10s", name, value)
		}
	}
	if got["PATH"] != j.env["PATH"] || got["HOME"] != j.env["HOME"] {
		t.Errorf("PATH is %q, HOME is %q", got["PATH"], got["HOME"])
	}
}
