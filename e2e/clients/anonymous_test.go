//go:build clients

package clients

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// A host for which we have no login, here the public registry without a role: every client takes our "not found" for an
// answer and goes on without one, and says nothing of it.
func TestAnonymous(t *testing.T) {
	const public = "public.ecr.aws"
	const ref = public + "/app/image:v1"
	crane := need(t, "crane")
	publisher := newJob(t, trusted(), public).with("ECR_OIDC_ROLE_PUBLIC", role)
	layout := publisher.scratch("layout")
	image(t, layout, "public")
	publisher.ok(t, crane, "push", layout, ref)
	publisher.ok(t, crane, "tag", ref, "v2") // one that no engine has yet

	ours := func(t *testing.T) *job { return newJob(t, trusted(), public, host) }
	quiet := func(t *testing.T, j *job, program string, args ...string) {
		t.Helper()
		c, gets := counted(t, j)
		aws.ResetCalls()
		silent(t, c.ok(t, program, args...))
		if calls := gets(); !slices.ContainsFunc(calls, func(c string) bool { return strings.HasPrefix(c, "get "+public+" by ") }) {
			t.Errorf("it asked %q, want it to ask about %s", calls, public)
		}
	}

	eachDocker(t, func(t *testing.T, d docker) {
		j := ours(t).with("DOCKER_HOST", engine(t)).with("DOCKER_BUILDKIT", "0")
		quiet(t, j, d.path, "pull", ref)
		quiet(t, j, d.path, "build", "--pull", buildContext(t, j, "public"+d.major(), ref))
	})
	t.Run("docker-py", func(t *testing.T) {
		quiet(t, ours(t).with("DOCKER_HOST", engine(t)), dockerPy(t), "-c", "import docker; docker.from_env().images.pull('"+ref+"')")
	})
	t.Run("compose", func(t *testing.T) {
		docker, j := newestDocker(t), ours(t).with("DOCKER_HOST", engine(t))
		plugin(t, j, "docker-compose")
		file := j.scratch("compose.yaml")
		check(t, os.WriteFile(file, []byte("services: {app: {image: "+ref+"}}"), 0o600))
		quiet(t, j, docker, "compose", "--file", file, "pull")
	})
	t.Run("BuildKit", func(t *testing.T) {
		eachBuilder(t, trusted(), func(t *testing.T, j *job, b builder) {
			j.ok(t, "docker-credential-ecr-oidc", "configure", public)
			quiet(t, j, b.program, b.build(buildContext(t, j, "public", public+"/app/image:v2"), "")...)
		})
	})
	t.Run("podman", func(t *testing.T) {
		podman, store := need(t, "podman"), append(storage(t), "--cgroup-manager", "cgroupfs")
		local := func(args ...string) []string { return append(store[:len(store):len(store)], args...) }
		quiet(t, ours(t), podman, local("pull", ref)...)
		t.Run("remote", func(t *testing.T) {
			quiet(t, ours(t), podman, "--remote", "--url", podmanService(t, podman, local), "pull", ref)
		})
	})
	t.Run("buildah", func(t *testing.T) {
		quiet(t, ours(t), need(t, "buildah"), append(storage(t), "pull", ref)...)
	})
	t.Run("skopeo", func(t *testing.T) { quiet(t, ours(t), need(t, "skopeo"), "inspect", "docker://"+ref) })
	t.Run("crane", func(t *testing.T) { quiet(t, ours(t), crane, "digest", ref) })
	t.Run("regctl", func(t *testing.T) { quiet(t, ours(t), need(t, "regctl"), "image", "digest", ref) })
	t.Run("helm", func(t *testing.T) {
		helm := need(t, "helm")
		publisher.ok(t, helm, "push", chart(t, publisher, helm), "oci://"+public+"/app")
		quiet(t, ours(t), helm, "pull", "oci://"+public+"/app/demo")
	})
	t.Run("ko", func(t *testing.T) {
		ko := need(t, "ko")
		j := koJob(t, trusted()).with("KO_DEFAULTBASEIMAGE", ref)
		j.ok(t, "docker-credential-ecr-oidc", "configure", public)
		quiet(t, j, "sh", "-c", koBuild, ko)
	})
	t.Run("kaniko", func(t *testing.T) {
		kaniko := need(t, "kaniko")
		k, args := kanikoJob(t, ours(t), kaniko, ref)
		k = k.with("AWS_EC2_METADATA_DISABLED", "true") // the helpers that are built into it come after us
		silent(t, k.ok(t, "chroot", append(args, "--no-push")...))
	})
}
