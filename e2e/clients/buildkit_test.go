//go:build clients

package clients

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

const buildkitAddress = "127.0.0.1:1234"

// builder is a way to build with BuildKit.
type builder struct {
	client    string // the process that asks for logins
	program   string
	platforms []string
}

// eachBuilder runs a subtest with BuildKit inside the Docker engine and with one of its own, through buildx and through
// buildctl. All of them ask on the client's machine: the builder has neither our binary nor the job's variables.
func eachBuilder(t *testing.T, ci map[string]string, f func(t *testing.T, j *job, b builder)) {
	both := []string{"linux/amd64", "linux/arm64"}
	t.Run("dockerd", func(t *testing.T) {
		docker := newestDocker(t)
		j := newJob(t, ci, host).with("DOCKER_HOST", engine(t))
		plugin(t, j, "docker-buildx")
		// An engine without containerd's image store builds for one platform at a time.
		f(t, j, builder{"docker-buildx", docker, both[:1]})
	})
	t.Run("buildkitd", func(t *testing.T) {
		j, docker := buildxRemote(t, newJob(t, ci, host))
		f(t, j, builder{"docker-buildx", docker, both})
	})
	t.Run("buildctl", func(t *testing.T) {
		buildctl := need(t, "buildctl")
		buildkitd(t)
		f(t, newJob(t, ci, host), builder{"buildctl", buildctl, both})
	})
}

// build is the command that builds a folder and, unless ref is empty, pushes the image.
func (b builder) build(dir, ref string) []string {
	platforms := strings.Join(b.platforms, ",")
	if b.client == "buildctl" {
		args := []string{"--addr", "tcp://" + buildkitAddress, "build", "--progress", "plain", "--frontend", "dockerfile.v0",
			"--local", "context=" + dir, "--local", "dockerfile=" + dir, "--opt", "platform=" + platforms}
		if ref != "" {
			args = append(args, "--output", "type=image,push=true,name="+ref)
		}
		return args
	}
	args := []string{"buildx", "build", "--progress", "plain", "--network", "none", "--platform", platforms}
	if ref != "" {
		args = append(args, "--push", "--tag", ref)
	}
	return append(args, dir)
}

// buildkitd starts one for this test.
func buildkitd(t *testing.T) {
	t.Helper()
	need(t, "runc")
	start(t, buildkitAddress, need(t, "buildkitd"), []string{"--addr", "tcp://" + buildkitAddress, "--root", t.TempDir(),
		"--oci-worker=true", "--containerd-worker=false", "--oci-worker-net=host"})
}

// buildxRemote gives a job the buildx plugin, and it a buildkitd to build with.
func buildxRemote(t *testing.T, j *job) (*job, string) {
	t.Helper()
	docker := newestDocker(t)
	plugin(t, j, "docker-buildx")
	buildkitd(t)
	j.ok(t, docker, "buildx", "create", "--use", "--driver", "remote", "tcp://"+buildkitAddress)
	return j, docker
}

// plugin gives a job a command of Docker's that is a program of its own.
func plugin(t *testing.T, j *job, name string) {
	t.Helper()
	path, dir := need(t, name), filepath.Join(j.home(), ".docker", "cli-plugins")
	check(t, os.MkdirAll(dir, 0o755))
	check(t, os.Symlink(path, filepath.Join(dir, name)))
}

func newestDocker(t *testing.T) string {
	t.Helper()
	if len(clis()) == 0 {
		skip(t, "docker", "no Docker CLI here")
	}
	newest := slices.MaxFunc(clis(), func(a, b docker) int { return strings.Compare(a.major(), b.major()) })
	t.Log("docker CLI", newest.version)
	return newest.path
}

// An image for two platforms comes back by digest for each, a private image is built from, and all of it takes one
// token, one role and one password.
func TestBuildKit(t *testing.T) {
	eachBuilder(t, trusted(), func(t *testing.T, j *job, b builder) {
		c, gets := counted(t, j)
		aws.Reset()
		name := filepath.Base(t.Name())
		base, app := host+"/app:base-"+name, host+"/app:"+name
		c.ok(t, b.program, b.build(buildContext(t, j, name, "scratch"), base)...)
		pulledByPlatform(t, j, base, b.platforms)
		c.ok(t, b.program, b.build(buildContext(t, j, "from-"+name, base), app)...)
		pulledByPlatform(t, j, app, b.platforms)
		asked(t, 1, 1, 1)

		calls := gets()
		t.Logf("%d gets for two builds", len(calls))
		for _, c := range calls {
			if c != "get "+host+" by "+b.client {
				t.Errorf("a call is %q, want %s to ask, for this host", c, b.client)
			}
		}
		a, err := j.get(host)
		check(t, err)
		j.leftNothing(t, a.Secret)
	})
}

// pulledByPlatform pulls each platform's image by its digest.
func pulledByPlatform(t *testing.T, j *job, ref string, platforms []string) {
	t.Helper()
	crane, repository := need(t, "crane"), ref[:strings.LastIndex(ref, ":")]
	for _, platform := range platforms {
		digest := lastLine(j.ok(t, crane, "digest", "--platform", platform, ref))
		dir := filepath.Join(t.TempDir(), "image")
		j.ok(t, crane, "pull", "--format", "oci", repository+"@"+digest, dir)
		if got := imageDigest(t, dir); got != digest {
			t.Errorf("%s: pulled %s, want %s", platform, got, digest)
		}
		var config struct{ OS, Architecture string }
		check(t, json.Unmarshal([]byte(j.ok(t, crane, "config", repository+"@"+digest)), &config))
		if got := config.OS + "/" + config.Architecture; got != platform {
			t.Errorf("the image for %s is one for %s", platform, got)
		}
	}
}

// The layers' cache is one more image in the same registry.
func TestBuildKitCache(t *testing.T) {
	j, docker := buildxRemote(t, newJob(t, trusted(), host))
	aws.Reset()
	dir, cache := buildContext(t, j, "cached", "scratch"), "type=registry,ref="+host+"/app:cache"
	j.ok(t, docker, "buildx", "build", "--cache-to", cache+",mode=max", dir)
	j.ok(t, docker, "buildx", "prune", "--all", "--force")
	out := j.ok(t, docker, "buildx", "build", "--progress", "plain", "--cache-from", cache, "--push", "--tag", host+"/app:cached", dir)
	if !regexp.MustCompile(`(?m)^#\d+ CACHED$`).MatchString(out) {
		t.Error("the build did not take its layer from the registry")
	}
	asked(t, 1, 1, 1)
}

// Several targets at once, in the registries of two accounts: each account's role is earned once, the second by way of
// the first.
func TestBake(t *testing.T) {
	j, docker := buildxRemote(t, twoAccounts(t))
	c, gets := counted(t, j)
	platforms := []string{"linux/amd64", "linux/arm64"}
	refs := []string{good + "/app:bake0", bad + "/app:bake1", good + "/app:bake2", bad + "/app:bake3"}
	bake := bakeFile(t, j, refs, platforms)
	aws.Reset()
	c.ok(t, docker, bake...)
	t.Logf("%d gets for %d targets", len(gets()), len(refs))
	asked(t, 2, 3, 2)
	for _, ref := range refs {
		pulledByPlatform(t, j, ref, platforms)
	}
	t.Run("one account refused", func(t *testing.T) {
		j := severalJob(t).with("BUILDX_CONFIG", filepath.Join(j.home(), ".docker", "buildx"))
		plugin(t, j, "docker-buildx")
		saysRefusal(t, j.refused(t, docker, bakeFile(t, j, refs, platforms)...))
		silent(t, j.ok(t, docker, append(bakeFile(t, j, refs, platforms), "target0", "target2")...))
	})
}

// bakeFile writes a file with a target for each image, and returns the command that builds and pushes them.
func bakeFile(t *testing.T, j *job, refs, platforms []string) []string {
	t.Helper()
	targets, names := map[string]any{}, []string{}
	for i, ref := range refs {
		name := "target" + strconv.Itoa(i)
		names = append(names, name)
		targets[name] = map[string]any{"context": buildContext(t, j, name, "scratch"), "tags": []string{ref}, "platforms": platforms}
	}
	file := j.scratch("docker-bake.json")
	check(t, os.WriteFile(file, marshal(t, map[string]any{
		"target": targets, "group": map[string]any{"default": map[string]any{"targets": names}},
	}), 0o600))
	return []string{"buildx", "bake", "--file", file, "--progress", "plain", "--push", "--allow", "fs.read=" + j.env["TMPDIR"]}
}

// A refusal ends the build soon, with our line in BuildKit's error. BuildKit asks several times over, AWS is asked once.
// A build that needs no registry does not ask for it.
func TestBuildKitRefusal(t *testing.T) {
	eachBuilder(t, untrusted(), func(t *testing.T, j *job, b builder) {
		c, gets := counted(t, j)
		name := filepath.Base(t.Name())
		dir := buildContext(t, j, "refused-"+name, "scratch")
		aws.Reset()
		c.ok(t, b.program, b.build(dir, "")...)
		if n := len(gets()); n != 0 {
			t.Errorf("a build that needs no login asked %d times", n)
		}
		for what, args := range map[string][]string{
			"push": b.build(dir, host+"/app:refused"),
			"from": b.build(buildContext(t, j, "refused-from-"+name, host+"/app:none"), ""),
		} {
			before, began := len(gets()), time.Now()
			saysUntrusted(t, c.refused(t, b.program, args...))
			t.Logf("%s: %v, %d gets", what, time.Since(began), len(gets())-before)
		}
		asked(t, 1, 1, 0)
	})
}

// STS that never answers: the build ends when our own time is up once, not each time that BuildKit asks. Since April 2026
// BuildKit itself ends after a minute (moby/buildkit session/auth/auth.go), and would say that the session timed out.
func TestBuildKitHang(t *testing.T) {
	j, docker := buildxRemote(t, newJob(t, trusted(), host))
	c, gets := counted(t, j)
	aws.Fail("sts", emulator.Fault{Hang: true})
	t.Cleanup(aws.Heal)
	began := time.Now()
	out := c.refused(t, docker, "buildx", "build", "--progress", "plain", "--push", "--tag", host+"/app:hang", buildContext(t, j, "hang", "scratch"))
	took := time.Since(began)
	t.Logf("%v, %d gets", took, len(gets()))
	if took > 40*time.Second {
		t.Errorf("it took %v", took)
	}
	for _, want := range []string{"ecr-oidc: requesting role ci in " + emulator.Account, "no response in time"} {
		if !strings.Contains(out, want) {
			t.Errorf("the person does not see %q", want)
		}
	}
}
