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

// builder is a client of BuildKit.
type builder struct {
	client    string // name of the process that calls the helper
	program   string
	platforms []string
}

// eachBuilder runs a subtest with BuildKit inside the Docker engine, and with a separate buildkitd
// through buildx and buildctl. In all cases the client calls the helper: the builder has neither
// the helper nor the job's variables.
func eachBuilder(t *testing.T, ci map[string]string, f func(t *testing.T, j *job, b builder)) {
	both := []string{"linux/amd64", "linux/arm64"}
	t.Run("dockerd", func(t *testing.T) {
		docker := newestDocker(t)
		j := newJob(t, ci, host).withEnv("DOCKER_HOST", engine(t))
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

// build returns the arguments that build a directory and, unless ref is empty, push the image.
func (b builder) build(dir, ref string) []string {
	platforms := strings.Join(b.platforms, ",")
	if b.client == "buildctl" {
		args := []string{"--addr", "tcp://" + buildkitAddress, "build", "--progress", "plain",
			"--frontend", "dockerfile.v0",
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

// buildkitd starts a buildkitd until the test ends.
func buildkitd(t *testing.T) {
	t.Helper()
	need(t, "runc")
	startServer(t, buildkitAddress, need(t, "buildkitd"),
		[]string{"--addr", "tcp://" + buildkitAddress, "--root", t.TempDir(),
			"--oci-worker=true", "--containerd-worker=false", "--oci-worker-net=host"})
}

// buildxRemote installs the buildx plugin in a job and configures it for a new buildkitd. It
// returns the job and the path of Docker's CLI.
func buildxRemote(t *testing.T, j *job) (*job, string) {
	t.Helper()
	docker := newestDocker(t)
	plugin(t, j, "docker-buildx")
	buildkitd(t)
	j.run(t, docker, "buildx", "create", "--use", "--driver", "remote", "tcp://"+buildkitAddress)
	return j, docker
}

// plugin installs a CLI plugin of Docker in a job's home.
func plugin(t *testing.T, j *job, name string) {
	t.Helper()
	path, dir := need(t, name), filepath.Join(j.home(), ".docker", "cli-plugins")
	check(t, os.MkdirAll(dir, 0o755))
	check(t, os.Symlink(path, filepath.Join(dir, name)))
}

func newestDocker(t *testing.T) string {
	t.Helper()
	if len(dockerCLIs()) == 0 {
		skip(t, "docker", "no Docker CLI here")
	}
	newest := slices.MaxFunc(dockerCLIs(),
		func(a, b docker) int { return strings.Compare(a.major(), b.major()) })
	t.Log("docker CLI", newest.version)
	return newest.path
}

// TestBuildKit builds and pushes an image for two platforms, and an image that is based on it. All
// builds share one token, one role session and one password.
func TestBuildKit(t *testing.T) {
	eachBuilder(t, trustedJob(), func(t *testing.T, j *job, b builder) {
		c, gets := withCallLog(t, j)
		aws.ResetCalls()
		name := filepath.Base(t.Name())
		base, app := host+"/app:base-"+name, host+"/app:"+name
		c.run(t, b.program, b.build(buildContext(t, j, name, "scratch"), base)...)
		pulledByPlatform(t, j, base, b.platforms)
		c.run(t, b.program, b.build(buildContext(t, j, "from-"+name, base), app)...)
		pulledByPlatform(t, j, app, b.platforms)
		wantCalls(t, 1, 1, 1)

		calls := gets()
		t.Logf("%d gets for two builds", len(calls))
		for _, c := range calls {
			if c != "get "+host+" by "+b.client {
				t.Errorf("call %q, want a get by %s for this host", c, b.client)
			}
		}
		a, err := j.get(host)
		check(t, err)
		j.checkNoSecrets(t, a.Secret)
	})
}

// pulledByPlatform checks that the image of each platform can be pulled by its digest.
func pulledByPlatform(t *testing.T, j *job, ref string, platforms []string) {
	t.Helper()
	crane, repository := need(t, "crane"), ref[:strings.LastIndex(ref, ":")]
	for _, platform := range platforms {
		digest := lastLine(j.run(t, crane, "digest", "--platform", platform, ref))
		dir := filepath.Join(t.TempDir(), "image")
		j.run(t, crane, "pull", "--format", "oci", repository+"@"+digest, dir)
		if got := imageDigest(t, dir); got != digest {
			t.Errorf("%s: pulled %s, want %s", platform, got, digest)
		}
		var config struct{ OS, Architecture string }
		check(t, json.Unmarshal([]byte(j.run(t, crane, "config", repository+"@"+digest)), &config))
		if got := config.OS + "/" + config.Architecture; got != platform {
			t.Errorf("the image for %s is for %s", platform, got)
		}
	}
}

// TestBuildKitCache stores and uses a build cache in the registry.
func TestBuildKitCache(t *testing.T) {
	j, docker := buildxRemote(t, newJob(t, trustedJob(), host))
	aws.ResetCalls()
	dir, cache := buildContext(t, j, "cached", "scratch"), "type=registry,ref="+host+"/app:cache"
	j.run(t, docker, "buildx", "build", "--cache-to", cache+",mode=max", dir)
	j.run(t, docker, "buildx", "prune", "--all", "--force")
	out := j.run(t, docker, "buildx", "build", "--progress", "plain", "--cache-from", cache, "--push",
		"--tag", host+"/app:cached", dir)
	if !regexp.MustCompile(`(?m)^#\d+ CACHED$`).MatchString(out) {
		t.Error("the build did not use the cache in the registry")
	}
	wantCalls(t, 1, 1, 1)
}

// TestBake builds several targets at the same time, in the registries of two accounts. Each
// account's role is assumed once, the second one by role chaining.
func TestBake(t *testing.T) {
	j, docker := buildxRemote(t, jobWithSpokeRole(t))
	c, gets := withCallLog(t, j)
	platforms := []string{"linux/amd64", "linux/arm64"}
	refs := []string{host + "/app:bake0", spokeHost + "/app:bake1", host + "/app:bake2",
		spokeHost + "/app:bake3"}
	bake := bakeFile(t, j, refs, platforms)
	aws.ResetCalls()
	c.run(t, docker, bake...)
	t.Logf("%d gets for %d targets", len(gets()), len(refs))
	wantCalls(t, 2, 3, 2)
	for _, ref := range refs {
		pulledByPlatform(t, j, ref, platforms)
	}
	t.Run("one account denied", func(t *testing.T) {
		j := jobWithoutSpokeRole(t).withEnv("BUILDX_CONFIG", filepath.Join(j.home(), ".docker", "buildx"))
		plugin(t, j, "docker-buildx")
		wantSpokeDenied(t, j.runFails(t, docker, bakeFile(t, j, refs, platforms)...))
		wantNoHelperError(t, j.run(t, docker, append(bakeFile(t, j, refs, platforms), "target0", "target2")...))
	})
}

// bakeFile writes a bake file with a target for each image, and returns the arguments that build
// and push them.
func bakeFile(t *testing.T, j *job, refs, platforms []string) []string {
	t.Helper()
	targets, names := map[string]any{}, []string{}
	for i, ref := range refs {
		name := "target" + strconv.Itoa(i)
		names = append(names, name)
		targets[name] = map[string]any{"context": buildContext(t, j, name, "scratch"),
			"tags": []string{ref}, "platforms": platforms}
	}
	file := j.scratch("docker-bake.json")
	check(t, os.WriteFile(file, marshal(t, map[string]any{
		"target": targets, "group": map[string]any{"default": map[string]any{"targets": names}},
	}), 0o600))
	return []string{"buildx", "bake", "--file", file, "--progress", "plain", "--push", "--allow",
		"fs.read=" + j.env["TMPDIR"]}
}

// TestBuildKitDenied checks that a denied build fails with the helper's error. BuildKit calls the
// helper several times, but the helper calls AWS only once. Builds without private images do not
// call the helper.
func TestBuildKitDenied(t *testing.T) {
	eachBuilder(t, untrustedJob(), func(t *testing.T, j *job, b builder) {
		c, gets := withCallLog(t, j)
		name := filepath.Base(t.Name())
		dir := buildContext(t, j, "refused-"+name, "scratch")
		aws.ResetCalls()
		c.run(t, b.program, b.build(dir, "")...)
		if n := len(gets()); n != 0 {
			t.Errorf("a build without private images called the helper %d times", n)
		}
		for what, args := range map[string][]string{
			"push": b.build(dir, host+"/app:refused"),
			"from": b.build(buildContext(t, j, "refused-from-"+name, host+"/app:none"), ""),
		} {
			before, start := len(gets()), time.Now()
			wantDenied(t, c.runFails(t, b.program, args...))
			t.Logf("%s: %v, %d gets", what, time.Since(start), len(gets())-before)
		}
		wantCalls(t, 1, 1, 0)
	})
}

// TestBuildKitHang checks a build while STS does not respond. It fails after one timeout of the
// helper, although BuildKit calls the helper several times. Since April 2026, BuildKit itself fails
// after a minute with a session timeout (moby/buildkit session/auth/auth.go).
func TestBuildKitHang(t *testing.T) {
	j, docker := buildxRemote(t, newJob(t, trustedJob(), host))
	c, gets := withCallLog(t, j)
	aws.AddFault("sts", emulator.Fault{Hang: true})
	t.Cleanup(aws.ClearFaults)
	start := time.Now()
	out := c.runFails(t, docker, "buildx", "build", "--progress", "plain", "--push", "--tag",
		host+"/app:hang", buildContext(t, j, "hang", "scratch"))
	took := time.Since(start)
	t.Logf("%v, %d gets", took, len(gets()))
	if took > 40*time.Second {
		t.Errorf("the build took %v", took)
	}
	for _, want := range []string{"ecr-oidc: requesting role ci in " + emulator.Account,
		"no response in time"} {
		if !strings.Contains(out, want) {
			t.Errorf("the output does not contain %q", want)
		}
	}
}
