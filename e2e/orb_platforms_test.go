package e2e

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// newOrbStubJob returns a job with a docker that records its arguments, and a helper of an older release
// that does.
func newOrbStubJob(t *testing.T, shell []string) *orbJob {
	t.Helper()
	tools := newToolDir(t, "xargs", "printf")
	if len(shell) > 1 {
		tools = busybox(t)
	}
	const record = `{ printf '%s' "${0##*/}"; for a; do printf ' %s' "$a"; done; echo; } >>"$HOME/calls"`
	stub(t, tools, program, `[ "$1" = configure ] || exit 1
`+record)
	stub(t, tools, "docker", `case "$1 $2" in
"buildx version") [ -z "${NO_BUILDX:-}" ]; exit ;;
"version --format") echo linux/amd64; exit ;;
"buildx inspect" | "context inspect") grep -q "docker ${1} create .*$3\b" "$HOME/calls"; exit ;;
esac
`+record)
	return newOrbJob(t, shell, tools)
}

// calls runs the steps of the job push after install, and returns the calls and the errors.
func (j *orbJob) calls(params map[string]any) (calls, stderr string) {
	j.t.Helper()
	os.Remove(filepath.Join(j.home, "calls"))
	for _, s := range orbSteps(j.t, "jobs", "push", params) {
		if s.script == "" || strings.HasPrefix(s.name, "Install") {
			continue
		}
		if _, errs, err := j.step(s.env, s.script); err != nil {
			stderr += errs
		}
	}
	b, _ := os.ReadFile(filepath.Join(j.home, "calls"))
	return string(b), stderr
}

// TestOrbPushBuildx checks the commands that build and push with buildx.
func TestOrbPushBuildx(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		const (
			configure = program + " configure -- " + defaultHost + "\n"
			binfmt    = "docker run --privileged --rm tonistiigi/binfmt:qemu-v10.2.3 --install all\n"
			builder   = "docker context create ecr-oidc-engine\n" +
				"docker buildx create --name ecr-oidc --driver docker-container ecr-oidc-engine\n"
			build = "docker buildx build --builder ecr-oidc --push "
			image = "--tag " + defaultHost + "/app:1 --tag " + defaultHost + "/app:2 -- .\n"
			both  = "linux/amd64,linux/arm64"
		)
		j := newOrbStubJob(t, shell)
		j.env["PLATFORMS"] = both
		for _, tt := range []struct {
			name   string
			params map[string]any
			want   string
		}{
			{"platforms", map[string]any{"platforms": "$PLATFORMS", "extra_build_args": "--provenance=false"},
				binfmt + builder + build + "--platform " + both + " --provenance=false " + image},
			{"platform of the engine", map[string]any{"platforms": "linux/amd64"},
				builder + build + "--platform linux/amd64 " + image},
			{"no emulation", map[string]any{"platforms": both, "binfmt_image": ""},
				builder + build + "--platform " + both + " " + image},
			{"another image for emulation", map[string]any{"platforms": both, "binfmt_image": defaultHost + "/binfmt"},
				strings.Replace(binfmt, "tonistiigi/binfmt:qemu-v10.2.3", defaultHost+"/binfmt", 1) + builder +
					build + "--platform " + both + " " + image},
			{"buildx alone", map[string]any{"buildx": true}, builder + build + image},
			{"neither", nil, "docker build " + image +
				"docker push -- " + defaultHost + "/app:1\ndocker push -- " + defaultHost + "/app:2\n"},
		} {
			params := map[string]any{"image": defaultHost + "/app", "tag": "1,2"}
			maps.Copy(params, tt.params)
			if calls, stderr := j.calls(params); calls != configure+tt.want || stderr != "" {
				t.Errorf("%s: calls\n%swant\n%s%s", tt.name, calls, configure+tt.want, stderr)
			}
		}
		// A second build in the job uses the same builder.
		j.calls(map[string]any{"image": defaultHost + "/app", "buildx": true})
		steps := orbSteps(t, "jobs", "push", map[string]any{"image": defaultHost + "/app", "buildx": true})
		last := steps[len(steps)-1]
		if _, errs, err := j.step(last.env, last.script); err != nil {
			t.Errorf("second build: %v\n%s", err, errs)
		}
		if b, _ := os.ReadFile(filepath.Join(j.home, "calls")); strings.Count(string(b), " create") != 2 {
			t.Errorf("a second build created another builder:\n%s", b)
		}
		j.env["NO_BUILDX"] = "1"
		const want = "ecr-oidc/push: platforms and buildx require docker buildx, which this executor " +
			"does not have; use an image that has it, such as docker:29-cli\n"
		if _, stderr := j.calls(map[string]any{"image": defaultHost + "/app", "platforms": both}); stderr != want {
			t.Errorf("without buildx: %s", stderr)
		}
	})
}

// TestOrbAccounts checks that account_id and region are the registries of each account in each region, and
// that the job push pushes a repository to each.
func TestOrbAccounts(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		j := newOrbStubJob(t, shell)
		maps.Copy(j.env, map[string]string{"ACCOUNT": emulator.Account, "REGION": emulator.Region,
			"REGIONS": "eu-west-2,us-east-1"})
		const (
			virginia      = emulator.Account + ".dkr.ecr.us-east-1.amazonaws.com"
			otherVirginia = emulator.SpokeAccount + ".dkr.ecr.us-east-1.amazonaws.com"
			china         = emulator.Account + ".dkr.ecr.cn-north-1.amazonaws.com.cn"
		)
		for _, tt := range []struct {
			name   string
			params map[string]any
			want   string
		}{
			{"one registry", map[string]any{"image": "team/app", "account_id": "$ACCOUNT",
				"region": "${REGION}", "tag": "1,2"},
				program + " configure -- " + defaultHost + "\n" +
					"docker build --tag " + defaultHost + "/team/app:1 --tag " + defaultHost + "/team/app:2 -- .\n" +
					"docker push -- " + defaultHost + "/team/app:1\ndocker push -- " + defaultHost + "/team/app:2\n"},
			{"accounts and regions", map[string]any{"image": "app", "region": "eu-west-2 us-east-1", "tag": "1",
				"account_id": emulator.Account + ", " + emulator.SpokeAccount, "buildx": true,
				"registries": "a.example=x"},
				program + " configure --role x -- a.example\n" +
					program + " configure -- " + defaultHost + " " + virginia + " " +
					otherHost + " " + otherVirginia + "\n" +
					"docker context create ecr-oidc-engine\n" +
					"docker buildx create --name ecr-oidc --driver docker-container ecr-oidc-engine\n" +
					"docker buildx build --builder ecr-oidc --push" +
					" --tag " + defaultHost + "/app:1" +
					" --tag " + virginia + "/app:1" +
					" --tag " + otherHost + "/app:1" +
					" --tag " + otherVirginia + "/app:1 -- .\n"},
			{"image with its registry", map[string]any{"image": defaultHost + "/app", "account_id": "$ACCOUNT",
				"region": "cn-north-1", "tag": "1"},
				program + " configure -- " + china + " " + defaultHost + "\n" +
					"docker build --tag " + defaultHost + "/app:1 -- .\ndocker push -- " + defaultHost + "/app:1\n"},
		} {
			if calls, stderr := j.calls(tt.params); calls != tt.want || stderr != "" {
				t.Errorf("%s: calls\n%swant\n%s%s", tt.name, calls, tt.want, stderr)
			}
		}
		for _, tt := range []struct{ account, region, want string }{
			{emulator.Account, "", "account_id is 123456789012, and region is empty; set both"},
			{"", "eu-west-2", "region is eu-west-2, and account_id is empty; set both"},
			{"1234", "eu-west-2", "account_id has 1234, which is not an account ID; it must have twelve digits"},
			{"12345678901x", "eu-west-2",
				"account_id has 12345678901x, which is not an account ID; it must have twelve digits"},
			{emulator.Account, "London", "region has London, which is not a region; a region looks like eu-west-2"},
			{emulator.Account, "london", "region has london, which is not a region; a region looks like eu-west-2"},
			{emulator.Account, "$REGIONS",
				`region has \$REGIONS, and the value of a variable in it contains a separator; list each region`},
			{"$NOPE", "eu-west-2",
				"account_id needs the variable NOPE, which is not set or is empty in this job"},
		} {
			j.refused("configure", map[string]any{"account_id": tt.account, "region": tt.region}, tt.want)
		}
		for image, want := range map[string]string{
			"app": "which has no registry; use an image such as " + defaultHost +
				"/app, or set account_id and region\n",
			defaultHost + "/app,latest": "which contains a comma or white space\n",
		} {
			_, stderr := j.calls(map[string]any{"image": image})
			if !strings.HasSuffix(stderr, "ecr-oidc/push: image is "+image+", "+want) {
				t.Errorf("image %s: %s", image, stderr)
			}
		}
	})
}

// TestOrbHosts checks that the orb builds the same hosts as the helper's flags --account and --region.
func TestOrbHosts(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		j := newOrbStubJob(t, shell)
		const regions = "eu-west-2,us-gov-west-1,cn-north-1,eusc-de-east-1,us-iso-east-1,us-isob-east-1," +
			"eu-isoe-west-1,us-isof-south-1"
		j.command("configure", map[string]any{"account_id": emulator.Account, "region": regions})
		calls, err := os.ReadFile(filepath.Join(j.home, "calls"))
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Fields(string(calls))[3:]
		out, errs, err := j.step(map[string]string{"DOCKER_CONFIG": t.TempDir()}, "'"+filepath.Join(binDir(), program)+
			"' configure --dry-run --account "+emulator.Account+" --region "+regions)
		if err != nil {
			t.Fatalf("%v\n%s", err, errs)
		}
		var want []string
		for line := range strings.Lines(out) {
			_, host, _ := strings.Cut(line, "Docker uses ecr-oidc for ")
			want = append(want, strings.TrimSuffix(strings.TrimSpace(host), " (dry run)"))
		}
		if !slices.Equal(got, want) {
			t.Errorf("the orb builds\n%q\nthe helper\n%q", got, want)
		}
	})
}
