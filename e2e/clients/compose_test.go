//go:build clients

package clients

import (
	"os"
	"testing"
)

// Compose builds, pushes and pulls all its services at the same time, here six in two accounts: each account's role is
// earned once, however many ask.
func TestCompose(t *testing.T) {
	docker := newestDocker(t)
	j := twoAccounts(t).with("DOCKER_HOST", engine(t))
	compose := composeProject(t, j)
	c, gets := counted(t, j)
	aws.ResetCalls()
	for _, verb := range []string{"build", "push", "pull"} {
		before := len(gets())
		silent(t, c.ok(t, docker, append(compose, verb)...))
		t.Logf("%s: %d gets", verb, len(gets())-before)
	}
	asked(t, 2, 3, 2)

	t.Run("pull with nothing cached", func(t *testing.T) {
		j := j.with("RUNNER_TEMP", t.TempDir())
		aws.ResetCalls()
		silent(t, j.ok(t, docker, append(compose, "pull")...))
		asked(t, 2, 3, 2)
	})
	t.Run("one account refused", func(t *testing.T) {
		j := severalJob(t).with("DOCKER_HOST", engine(t))
		compose := composeProject(t, j)
		silent(t, j.ok(t, docker, append(compose, "build")...))
		saysRefusal(t, j.refused(t, docker, append(compose, "push")...))
		saysRefusal(t, j.refused(t, docker, append(compose, "pull")...))
		silent(t, j.ok(t, docker, append(compose, "pull", "good-a")...))
	})
}

// composeProject writes a project of three services in each account, and returns the command for it.
func composeProject(t *testing.T, j *job) []string {
	t.Helper()
	plugin(t, j, "docker-compose")
	plugin(t, j, "docker-buildx") // which builds for it
	services := map[string]any{}
	for _, s := range []string{"a", "b", "c"} {
		services["good-"+s] = map[string]any{"build": buildContext(t, j, "good-"+s, "scratch"), "image": good + "/app:compose-" + s}
		services["bad-"+s] = map[string]any{"build": buildContext(t, j, "bad-"+s, "scratch"), "image": bad + "/app:compose-" + s}
	}
	file := j.scratch("compose.yaml")
	check(t, os.WriteFile(file, marshal(t, map[string]any{"name": "ecr-oidc-clients", "services": services}), 0o600))
	return []string{"compose", "--progress", "plain", "--file", file}[:5:5]
}
