//go:build clients

package clients

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestAnonymous checks registries without a login, here the public registry without a role. Every
// client treats the helper's "not found" as no credentials, continues anonymously and prints no
// error.
func TestAnonymous(t *testing.T) {
	const public = "public.ecr.aws"
	const ref = public + "/app/image:v1"
	crane := need(t, "crane")
	publisher := newJob(t, trustedJob(), public).withEnv("ECR_OIDC_ROLE_PUBLIC", role)
	layout := publisher.scratch("layout")
	image(t, layout, "public")
	publisher.run(t, crane, "push", layout, ref)
	publisher.run(t, crane, "tag", ref, "v2") // a tag that no engine has yet

	anonymousJob := func(t *testing.T) *job { return newJob(t, trustedJob(), public, host) }
	// runAnonymously runs a client. It checks that the client calls the helper and prints no error of it.
	runAnonymously := func(t *testing.T, j *job, program string, args ...string) {
		t.Helper()
		c, gets := withCallLog(t, j)
		aws.ResetCalls()
		wantNoHelperError(t, c.run(t, program, args...))
		if calls := gets(); !slices.ContainsFunc(calls,
			func(c string) bool { return strings.HasPrefix(c, "get "+public+" by ") }) {
			t.Errorf("calls of the helper: %q, want a get for %s", calls, public)
		}
	}

	eachDocker(t, func(t *testing.T, d docker) {
		j := anonymousJob(t).withEnv("DOCKER_HOST", engine(t)).withEnv("DOCKER_BUILDKIT", "0")
		runAnonymously(t, j, d.path, "pull", ref)
		runAnonymously(t, j, d.path, "build", "--pull", buildContext(t, j, "public"+d.major(), ref))
	})
	t.Run("docker-py", func(t *testing.T) {
		runAnonymously(t, anonymousJob(t).withEnv("DOCKER_HOST", engine(t)), dockerPy(t), "-c",
			"import docker; docker.from_env().images.pull('"+ref+"')")
	})
	t.Run("compose", func(t *testing.T) {
		docker, j := newestDocker(t), anonymousJob(t).withEnv("DOCKER_HOST", engine(t))
		plugin(t, j, "docker-compose")
		file := j.scratch("compose.yaml")
		check(t, os.WriteFile(file, []byte("services: {app: {image: "+ref+"}}"), 0o600))
		runAnonymously(t, j, docker, "compose", "--file", file, "pull")
	})
	t.Run("BuildKit", func(t *testing.T) {
		eachBuilder(t, trustedJob(), func(t *testing.T, j *job, b builder) {
			j.run(t, "docker-credential-ecr-oidc", "configure", public)
			dir := buildContext(t, j, "public", public+"/app/image:v2")
			runAnonymously(t, j, b.program, b.build(dir, "")...)
		})
	})
	t.Run("podman", func(t *testing.T) {
		podman, store := need(t, "podman"), append(storage(t), "--cgroup-manager", "cgroupfs")
		local := func(args ...string) []string { return append(store[:len(store):len(store)], args...) }
		runAnonymously(t, anonymousJob(t), podman, local("pull", ref)...)
		t.Run("remote", func(t *testing.T) {
			runAnonymously(t, anonymousJob(t), podman, "--remote", "--url", podmanService(t, podman, local),
				"pull", ref)
		})
	})
	t.Run("buildah", func(t *testing.T) {
		runAnonymously(t, anonymousJob(t), need(t, "buildah"), append(storage(t), "pull", ref)...)
	})
	t.Run("skopeo", func(t *testing.T) {
		runAnonymously(t, anonymousJob(t), need(t, "skopeo"), "inspect", "docker://"+ref)
	})
	t.Run("crane", func(t *testing.T) { runAnonymously(t, anonymousJob(t), crane, "digest", ref) })
	t.Run("regctl", func(t *testing.T) {
		runAnonymously(t, anonymousJob(t), need(t, "regctl"), "image", "digest", ref)
	})
	t.Run("helm", func(t *testing.T) {
		helm := need(t, "helm")
		publisher.run(t, helm, "push", chart(t, publisher, helm), "oci://"+public+"/app")
		runAnonymously(t, anonymousJob(t), helm, "pull", "oci://"+public+"/app/demo")
	})
	t.Run("ko", func(t *testing.T) {
		ko := need(t, "ko")
		j := koJob(t, trustedJob()).withEnv("KO_DEFAULTBASEIMAGE", ref)
		j.run(t, "docker-credential-ecr-oidc", "configure", public)
		runAnonymously(t, j, "sh", "-c", koBuild, ko)
	})
	t.Run("kaniko", func(t *testing.T) {
		kaniko := need(t, "kaniko")
		k, args := kanikoJob(t, anonymousJob(t), kaniko, ref)
		k = k.withEnv("AWS_EC2_METADATA_DISABLED", "true") // kaniko calls its built-in helpers after this one
		wantNoHelperError(t, k.run(t, "chroot", append(args, "--no-push")...))
	})
}
