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

// TestOrbPush checks that the job builds with the params arguments, pushes every tag, and uses the
// role.
func TestOrbPush(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		tools := newToolDir(t, "curl", checksumTool, "xargs", "printf")
		if len(shell) > 1 {
			tools = busybox(t)
		}
		// The stub records its arguments. For a push it gets a password from the helper, as Docker does.
		stub(t, tools, "docker", `{ printf '%s' "$1"; shift; for a; do printf '|%s' "$a"; done; echo; } >>"$HOME/docker"
case $a in */*:*) printf %s "${a%%/*}" | docker-credential-ecr-oidc get ;; esac`)
		j := newOrbJob(t, shell, tools)
		j.prependPath(filepath.Join(j.home, "bin"))
		j.env["CIRCLE_TAG"], j.env["TITLE"], j.env["REGION"] = "v1.2", "two words", "eu-west-2"
		const image = emulator.Account + ".dkr.ecr.${REGION}.amazonaws.com/app"
		issuer := "https://oidc.circleci.com/org/" + emulator.CircleOrg
		j.server.AddFederatedRole("arn:aws:iam::"+emulator.SpokeAccount+":role/circle", issuer,
			emulator.CircleOrg, "org/"+emulator.CircleOrg+"/*")
		run := func(params map[string]any) (names []string, docker string) {
			t.Helper()
			os.Remove(filepath.Join(j.home, "docker"))
			for _, s := range orbSteps(t, "jobs", "push", params) {
				names = append(names, s.name)
				if s.script == "" {
					continue
				}
				if out, errs, err := j.step(s.env, s.script); err != nil {
					t.Fatalf("%s: %v\n%s%s", s.name, err, out, errs)
				} else if s.name == "Build and push" && strings.Count(out, `"Username":"AWS"`) == 0 {
					t.Errorf("the push has no password:\n%s%s", out, errs)
				}
			}
			b, err := os.ReadFile(filepath.Join(j.home, "docker"))
			if err != nil {
				t.Fatal(err)
			}
			return names, string(b)
		}
		orbNames := []string{"Install " + program, "Configure " + program, "Build and push"}
		names, docker := run(map[string]any{"image": image, "version": released})
		sha := j.env["CIRCLE_SHA1"]
		want := "build|--tag|" + defaultHost + "/app:" + sha + "|--|.\n" +
			"push|--|" + defaultHost + "/app:" + sha + "\n"
		if docker != want {
			t.Errorf("docker was run\n%swant\n%s", docker, want)
		}
		wantNames := slices.Concat([]string{"checkout", "setup_remote_docker"}, orbNames)
		if !slices.Equal(names, wantNames) {
			t.Errorf("steps %q, want %q", names, wantNames)
		}
		names, docker = run(map[string]any{
			"image":      image,
			"version":    released,
			"tag":        "$CIRCLE_TAG, latest",
			"path":       "./image",
			"dockerfile": "image/Dockerfile.${CIRCLE_TAG}",
			"extra_build_args": `--build-arg "TITLE=$TITLE" --label 'a b'` + "\n  " +
				`--label=$(id) --build-arg C="x"\ y *`,
			"docker_layer_caching": true,
			"checkout":             false,
			"registries":           otherHost + "=circle",
			"role_arn":             emulator.CircleRole,
		})
		want = "build|--file|image/Dockerfile.v1.2" +
			"|--build-arg|TITLE=two words|--label|a b|--label=$(id)|--build-arg|C=x y|*" +
			"|--tag|" + defaultHost + "/app:v1.2|--tag|" + defaultHost + "/app:latest|--|./image\n" +
			"push|--|" + defaultHost + "/app:v1.2\n" +
			"push|--|" + defaultHost + "/app:latest\n"
		if docker != want {
			t.Errorf("docker was run\n%swant\n%s", docker, want)
		}
		wantNames = slices.Concat([]string{"setup_remote_docker docker_layer_caching=true"}, orbNames)
		if !slices.Equal(names, wantNames) {
			t.Errorf("steps %q, want %q", names, wantNames)
		}
		wantNames = slices.Concat([]string{"checkout"}, orbNames)
		for _, params := range []map[string]any{
			{"remote_docker": false},
			{"remote_docker": false, "docker_layer_caching": true},
		} {
			maps.Copy(params, map[string]any{"image": image, "version": released})
			if names, _ := run(params); !slices.Equal(names, wantNames) {
				t.Errorf("steps %q, want %q", names, wantNames)
			}
		}
		for _, tt := range []struct{ name, value, want string }{
			{"extra_build_args", "--label 'x",
				"extra_build_args is --label 'x, which has an unclosed quote"},
			{"extra_build_args", "--build-arg X=$NOPE",
				"extra_build_args needs the variable NOPE, which is not set or is empty in this job"},
			{"tag", " , ",
				"tag is empty; use a tag such as 1.0, or several separated by commas"},
			{"tag", "$CIRCLE_BRANCH2",
				"tag needs the variable CIRCLE_BRANCH2, which is not set or is empty in this job"},
		} {
			steps := orbSteps(t, "jobs", "push", map[string]any{"image": image, tt.name: tt.value})
			last := steps[len(steps)-1]
			_, errs, err := j.step(last.env, last.script)
			if err == nil || errs != "ecr-oidc/push: "+tt.want+"\n" {
				t.Errorf("%s %q: %v\n%swant %s", tt.name, tt.value, err, errs, tt.want)
			}
		}
	})
}

// TestOrbValuesAreNotSplit checks that the value of a variable is one tag, one registry or one
// role. The name of a branch cannot push another tag, choose another role or add an option to
// docker build.
func TestOrbValuesAreNotSplit(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		tools := newToolDir(t, "xargs", "printf")
		if len(shell) > 1 {
			tools = busybox(t)
		}
		record := `{ printf '%s' "${0##*/}"; for a; do printf '|%s' "$a"; done; echo; } >>"$HOME/calls"`
		stub(t, tools, "docker", record)
		stub(t, tools, program, `[ "$1" = configure ] || exit 1 # as a release without check
`+record)
		j := newOrbJob(t, shell, tools)
		// calls compiles a job or command, runs its steps except install, and returns the calls and
		// the error.
		calls := func(kind, name string, params map[string]any) (made, stderr string) {
			t.Helper()
			os.Remove(filepath.Join(j.home, "calls"))
			for _, s := range orbSteps(t, kind, name, params) {
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
		const host = defaultHost
		push := func(params map[string]any) (string, string) {
			t.Helper()
			maps.Copy(params, map[string]any{"image": host + "/app", "remote_docker": false, "checkout": false})
			return calls("jobs", "push", params)
		}
		for branch, want := range map[string]string{
			"feature,latest": "", "feature latest": "", "feature\tlatest": "", "feature\nlatest": "",
			"feature/latest": "", ".latest": "", "-latest": "",
			"latest": "build|--tag|" + host + "/app:1.0|--tag|" + host + "/app:latest|--|.\n" +
				"docker|push|--|" + host + "/app:1.0\ndocker|push|--|" + host + "/app:latest\n",
		} {
			j.env["CIRCLE_BRANCH"] = branch
			made, stderr := push(map[string]any{"tag": "1.0,$CIRCLE_BRANCH"})
			_, docker, _ := strings.Cut(made, "\ndocker|")
			if docker != want {
				t.Errorf("branch %q: docker was run\n%swant\n%s", branch, docker, want)
			}
			const refused = "ecr-oidc/push: tag has $CIRCLE_BRANCH, which is not a valid tag in this job; " +
				"allowed are letters, digits, _ . - (not . or - first)\n"
			if want == "" && stderr != refused {
				t.Errorf("branch %q: error %q, want %q", branch, stderr, refused)
			}
		}

		j.env["CONTEXT"] = "--file=/etc/passwd"
		made, stderr := push(map[string]any{"path": "$CONTEXT", "tag": "1.0"})
		if !strings.Contains(made, "|--|--file=/etc/passwd\n") || stderr != "" {
			t.Errorf("docker was run\n%s%s", made, stderr)
		}

		// A branch in the name of the image cannot choose a role or add a registry.
		for _, tt := range []struct{ branch, want string }{
			{"x=arn:aws:iam::210987654321:role/admin", ""},
			{"x " + otherHost, ""},
			{"x\n" + otherHost, ""},
			{"x", "--role|ci|--|" + host},
		} {
			j.env["CIRCLE_BRANCH"] = tt.branch
			params := map[string]any{"registries": host + "/app-$CIRCLE_BRANCH", "role_arn": "ci"}
			made, stderr := calls("commands", "configure", params)
			if tt.want != "" {
				tt.want = program + "|configure|" + tt.want + "\n"
			}
			const refused = "ecr-oidc/configure: registries has " + host + "/app-$CIRCLE_BRANCH, and the " +
				"value of a variable in it contains a separator; list each registry and role\n"
			if made != tt.want || tt.want == "" && stderr != refused {
				t.Errorf("branch %q: calls %q, error %q, want calls %q", tt.branch, made, stderr, tt.want)
			}
		}
		for _, params := range []map[string]any{
			{"registries": host, "role_arn": "ci-$CIRCLE_BRANCH"},
			{"registries": host + "=ci-$CIRCLE_BRANCH"},
		} {
			j.env["CIRCLE_BRANCH"] = "x,admin"
			made, stderr := calls("commands", "configure", params)
			if made != "" || !strings.Contains(stderr, "ci-$CIRCLE_BRANCH") {
				t.Errorf("%v: calls %q, error %q", params, made, stderr)
			}
			j.env["CIRCLE_BRANCH"] = "x"
			made, stderr = calls("commands", "configure", params)
			if made != program+"|configure|--role|ci-x|--|"+host+"\n" {
				t.Errorf("%v: calls %q, error %q", params, made, stderr)
			}
		}
	})
}
