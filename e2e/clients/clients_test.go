//go:build clients

package clients

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestClients pushes and pulls with every client in one job. They share one token, one role session
// and one password, and leave no secret on disk.
func TestClients(t *testing.T) {
	j := newJob(t, trustedJob(), host)
	aws.ResetCalls()

	eachDocker(t, func(t *testing.T, d docker) { pushAndPullDocker(t, j, d) })

	t.Run("skopeo", func(t *testing.T) {
		skopeo := need(t, "skopeo")
		src, dst, ref := j.scratch("skopeo"), j.scratch("skopeo-back"), "docker://"+host+"/app:skopeo"
		want := image(t, src, "skopeo")
		j.run(t, skopeo, "--insecure-policy", "copy", "oci:"+src+":v1", ref)
		j.run(t, skopeo, "--insecure-policy", "copy", ref, "oci:"+dst+":v1")
		if got := imageDigest(t, dst); got != want {
			t.Errorf("pulled %s, pushed %s", got, want)
		}
		if out := j.run(t, skopeo, "list-tags", "docker://"+host+"/app"); !strings.Contains(out, `"skopeo"`) {
			t.Error("list-tags does not show the tag")
		}
	})

	t.Run("podman", func(t *testing.T) {
		podman := append([]string{need(t, "podman")}, storage(t)...)
		podman = append(podman, "--cgroup-manager", "cgroupfs")
		buildPushPull(t, j, podman, "podman", "build")
	})

	t.Run("buildah", func(t *testing.T) {
		buildah := append([]string{need(t, "buildah")}, storage(t)...)
		buildPushPull(t, j, buildah, "buildah", "bud")
	})

	t.Run("crane", func(t *testing.T) {
		pushAndPullCrane(t, j, need(t, "crane"), host)
	})

	t.Run("shared login", func(t *testing.T) {
		a, err := j.get(host)
		check(t, err)
		wantCalls(t, 1, 1, 1)
		j.checkNoSecrets(t, a.Secret)

		b, err := os.ReadFile(j.dockerConfig())
		check(t, err)
		var got map[string]any
		check(t, json.Unmarshal(b, &got))
		if helpers, _ := got["credHelpers"].(map[string]any); len(got) != 1 || len(helpers) != 1 ||
			helpers[host] != "ecr-oidc" {
			t.Errorf("Docker's configuration is now %s", b)
		}
	})
}

// TestCircleCI pushes and pulls in a job of CircleCI, whose token is in a variable.
func TestCircleCI(t *testing.T) {
	crane := need(t, "crane")
	j := newJob(t, circleCIJob(), host)
	aws.ResetCalls()
	pushAndPullCrane(t, j, crane, host)
	wantCalls(t, 0, 1, 1)
	a, err := j.get(host)
	check(t, err)
	j.checkNoSecrets(t, a.Secret)
}

func pushAndPullCrane(t *testing.T, j *job, crane, registry string) {
	t.Helper()
	src, dst, ref := filepath.Join(t.TempDir(), "src"), filepath.Join(t.TempDir(), "dst"),
		registry+"/app:crane"
	want := image(t, src, "crane in "+t.Name())
	j.run(t, crane, "push", src, ref)
	j.run(t, crane, "pull", "--format", "oci", ref, dst)
	if got := imageDigest(t, dst); got != want {
		t.Errorf("pulled %s, pushed %s", got, want)
	}
	if got := lastLine(j.run(t, crane, "digest", ref)); got != want {
		t.Errorf("crane digest returned %s, pushed %s", got, want)
	}
}

// buildPushPull builds, pushes and pulls with podman or buildah like pushAndPullDocker.
func buildPushPull(t *testing.T, j *job, program []string, name, build string) {
	t.Helper()
	run := func(args ...string) string {
		t.Helper()
		return j.run(t, program[0], append(program[1:len(program):len(program)], args...)...)
	}
	base, app, file := host+"/app:"+name+"-base", host+"/app:"+name, j.scratch(name+"-digest")
	run(build, "--isolation", "chroot", "--tag", base, buildContext(t, j, name+"-base", "scratch"))
	run("push", base)
	run("rmi", "--all", "--force")

	run(build, "--isolation", "chroot", "--pull-always", "--tag", app, buildContext(t, j, name, base))
	run("push", "--digestfile", file, app)
	run("rmi", "--all", "--force")
	run("pull", app)
	pushed, err := os.ReadFile(file)
	check(t, err)
	if got := lastLine(run("images", "--format", "{{.Digest}}",
		app)); got != strings.TrimSpace(string(pushed)) {
		t.Errorf("pulled %s, pushed %s", got, pushed)
	}
}

// storage returns flags for a separate image store, with the storage driver that works on every
// file system.
func storage(t *testing.T) []string {
	// podman allows at most 50 characters for the path. This /run belongs to the namespace.
	run, err := os.MkdirTemp("/run", "")
	check(t, err)
	return []string{"--root", filepath.Join(t.TempDir(), "root"), "--runroot", run, "--storage-driver", "vfs"}
}

func lastLine(out string) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
