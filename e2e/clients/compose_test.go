//go:build clients

package clients

import (
	"os"
	"testing"
)

// TestCompose builds, pushes and pulls six services in two accounts at the same time. Each
// account's role is assumed once.
func TestCompose(t *testing.T) {
	docker := newestDocker(t)
	j := jobWithSpokeRole(t).withEnv("DOCKER_HOST", engine(t))
	compose := composeProject(t, j)
	c, gets := withCallLog(t, j)
	aws.ResetCalls()
	for _, verb := range []string{"build", "push", "pull"} {
		before := len(gets())
		wantNoHelperError(t, c.run(t, docker, append(compose, verb)...))
		t.Logf("%s: %d gets", verb, len(gets())-before)
	}
	wantCalls(t, 2, 3, 2)

	t.Run("pull with nothing cached", func(t *testing.T) {
		j := j.withEnv("RUNNER_TEMP", t.TempDir())
		aws.ResetCalls()
		wantNoHelperError(t, j.run(t, docker, append(compose, "pull")...))
		wantCalls(t, 2, 3, 2)
	})
	t.Run("one account denied", func(t *testing.T) {
		j := jobWithoutSpokeRole(t).withEnv("DOCKER_HOST", engine(t))
		compose := composeProject(t, j)
		wantNoHelperError(t, j.run(t, docker, append(compose, "build")...))
		wantSpokeDenied(t, j.runFails(t, docker, append(compose, "push")...))
		wantSpokeDenied(t, j.runFails(t, docker, append(compose, "pull")...))
		wantNoHelperError(t, j.run(t, docker, append(compose, "pull", "hub-a")...))
	})
}

// composeProject writes a project with three services per account, and returns the arguments that
// select it.
func composeProject(t *testing.T, j *job) []string {
	t.Helper()
	plugin(t, j, "docker-compose")
	plugin(t, j, "docker-buildx") // Compose builds with buildx
	services := map[string]any{}
	for _, s := range []string{"a", "b", "c"} {
		services["hub-"+s] = map[string]any{"build": buildContext(t, j, "hub-"+s, "scratch"),
			"image": host + "/app:compose-" + s}
		services["spoke-"+s] = map[string]any{"build": buildContext(t, j, "spoke-"+s, "scratch"),
			"image": spokeHost + "/app:compose-" + s}
	}
	file := j.scratch("compose.yaml")
	check(t, os.WriteFile(file, marshal(t,
		map[string]any{"name": "ecr-oidc-clients", "services": services}), 0o600))
	return []string{"compose", "--progress", "plain", "--file", file}[:5:5]
}
