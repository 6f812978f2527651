//go:build clients

package clients

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every client of one job pushes and pulls through us, on one token, one role
// and one password, and nothing secret is left behind.
func TestClients(t *testing.T) {
	j := newJob(t, trusted(), host)
	aws.ResetCalls()

	eachDocker(t, func(t *testing.T, d docker) { pushAndPullDocker(t, j, d) })

	t.Run("skopeo", func(t *testing.T) {
		skopeo := need(t, "skopeo")
		src, dst, ref := j.scratch("skopeo"), j.scratch("skopeo-back"), "docker://"+host+"/app:skopeo"
		want := image(t, src, "skopeo")
		j.ok(t, skopeo, "--insecure-policy", "copy", "oci:"+src+":v1", ref)
		j.ok(t, skopeo, "--insecure-policy", "copy", ref, "oci:"+dst+":v1")
		if got := imageDigest(t, dst); got != want {
			t.Errorf("pulled %s, pushed %s", got, want)
		}
		if out := j.ok(t, skopeo, "list-tags", "docker://"+host+"/app"); !strings.Contains(out, `"skopeo"`) {
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

	t.Run("one login", func(t *testing.T) {
		a, err := j.get(host)
		check(t, err)
		asked(t, 1, 1, 1)
		j.leftNothing(t, a.Secret)

		b, err := os.ReadFile(j.dockerConfig())
		check(t, err)
		var got map[string]any
		check(t, json.Unmarshal(b, &got))
		if helpers, _ := got["credHelpers"].(map[string]any); len(got) != 1 || len(helpers) != 1 || helpers[host] != "ecr-oidc" {
			t.Errorf("Docker's configuration is now %s", b)
		}
	})
}

// A job of CircleCI has its token in a variable.
func TestCircleCI(t *testing.T) {
	crane := need(t, "crane")
	j := newJob(t, circle(), host)
	aws.ResetCalls()
	pushAndPullCrane(t, j, crane, host)
	asked(t, 0, 1, 1)
	a, err := j.get(host)
	check(t, err)
	j.leftNothing(t, a.Secret)
}

func pushAndPullCrane(t *testing.T, j *job, crane, registry string) {
	t.Helper()
	src, dst, ref := filepath.Join(t.TempDir(), "src"), filepath.Join(t.TempDir(), "dst"), registry+"/app:crane"
	want := image(t, src, "crane in "+t.Name())
	j.ok(t, crane, "push", src, ref)
	j.ok(t, crane, "pull", "--format", "oci", ref, dst)
	if got := imageDigest(t, dst); got != want {
		t.Errorf("pulled %s, pushed %s", got, want)
	}
	if got := lastLine(j.ok(t, crane, "digest", ref)); got != want {
		t.Errorf("crane digest says %s, pushed %s", got, want)
	}
}

// buildPushPull does with podman and buildah what pushAndPullDocker does with
// Docker: an image, one built from it in the registry, and that one back.
func buildPushPull(t *testing.T, j *job, program []string, name, build string) {
	t.Helper()
	run := func(args ...string) string {
		t.Helper()
		return j.ok(t, program[0], append(program[1:len(program):len(program)], args...)...)
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
	if got := lastLine(run("images", "--format", "{{.Digest}}", app)); got != strings.TrimSpace(string(pushed)) {
		t.Errorf("pulled %s, pushed %s", got, pushed)
	}
}

// storage keeps images in a folder of their own, outside the job's, with the
// one driver that works everywhere.
func storage(t *testing.T) []string {
	run, err := os.MkdirTemp("/run", "") // podman takes 50 characters at most, and /run is the namespace's own
	check(t, err)
	return []string{"--root", filepath.Join(t.TempDir(), "root"), "--runroot", run, "--storage-driver", "vfs"}
}

func lastLine(out string) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
