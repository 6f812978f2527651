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

// TestOrbPush checks that the job builds with the given arguments, pushes every tag, and uses the
// role.
func TestOrbPush(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		tools := newToolDir(t, "curl", checksumTool, "xargs", "printf")
		if len(shell) > 1 {
			tools = busybox(t)
		}
		// The stub notes its arguments as the client would get them; for a push it asks the helper, as the client would.
		stub(t, tools, "docker", `{ printf '%s' "$1"; shift; for a; do printf '|%s' "$a"; done; echo; } >>"$HOME/docker"
case $a in */*:*) printf %s "${a%%/*}" | docker-credential-ecr-oidc get ;; esac`)
		j := newOrbJob(t, shell, tools)
		j.pathHas(filepath.Join(j.home, "bin"))
		j.env["CIRCLE_TAG"], j.env["TITLE"], j.env["REGION"] = "v1.2", "two words", "eu-west-2"
		const image = emulator.Account + ".dkr.ecr.${REGION}.amazonaws.com/app"
		issuer := "https://oidc.circleci.com/org/" + emulator.CircleOrg
		j.server.AddFederatedRole("arn:aws:iam::"+emulator.SpokeAccount+":role/circle", issuer,
			emulator.CircleOrg, "org/"+emulator.CircleOrg+"/*")
		run := func(given map[string]any) (names []string, docker string) {
			t.Helper()
			os.Remove(filepath.Join(j.home, "docker"))
			for _, s := range orbSteps(t, "jobs", "push", given) {
				names = append(names, s.name)
				if s.script == "" {
					continue
				}
				if out, errs, err := j.step(s.env, s.script); err != nil {
					t.Fatalf("%s: %v\n%s%s", s.name, err, out, errs)
				} else if s.name == "Build and push" && strings.Count(out, `"Username":"AWS"`) == 0 {
					t.Errorf("the push was not let in:\n%s%s", out, errs)
				}
			}
			b, err := os.ReadFile(filepath.Join(j.home, "docker"))
			if err != nil {
				t.Fatal(err)
			}
			return names, string(b)
		}
		ours := []string{"Install " + program, "Configure " + program, "Build and push"}
		names, docker := run(map[string]any{"image": image, "version": released})
		sha := j.env["CIRCLE_SHA1"]
		if want := "build|--tag|" + defaultHost + "/app:" + sha + "|--|.\npush|--|" + defaultHost + "/app:" + sha + "\n"; docker != want {
			t.Errorf("docker was run\n%swant\n%s", docker, want)
		}
		if want := slices.Concat([]string{"checkout", "setup_remote_docker"}, ours); !slices.Equal(names, want) {
			t.Errorf("steps %q, want %q", names, want)
		}
		names, docker = run(map[string]any{
			"image": image, "version": released, "tag": "$CIRCLE_TAG, latest", "path": "./image", "dockerfile": "image/Dockerfile.${CIRCLE_TAG}",
			"extra_build_args": `--build-arg "TITLE=$TITLE" --label 'a b'` + "\n  " + `--label=$(id) --build-arg C="x"\ y *`, "docker_layer_caching": true, "checkout": false,
			"registries": otherHost + "=circle", "role_arn": emulator.CircleRole,
		})
		if want := "build|--file|image/Dockerfile.v1.2|--build-arg|TITLE=two words|--label|a b|--label=$(id)|--build-arg|C=x y|*|--tag|" + defaultHost + "/app:v1.2|--tag|" + defaultHost + "/app:latest|--|./image\n" +
			"push|--|" + defaultHost + "/app:v1.2\npush|--|" + defaultHost + "/app:latest\n"; docker != want {
			t.Errorf("docker was run\n%swant\n%s", docker, want)
		}
		if want := slices.Concat([]string{"setup_remote_docker docker_layer_caching=true"}, ours); !slices.Equal(names, want) {
			t.Errorf("steps %q, want %q", names, want)
		}
		for _, given := range []map[string]any{{"remote_docker": false}, {"remote_docker": false, "docker_layer_caching": true}} {
			maps.Copy(given, map[string]any{"image": image, "version": released})
			if names, _ := run(given); !slices.Equal(names, slices.Concat([]string{"checkout"}, ours)) {
				t.Errorf("steps %q", names)
			}
		}
		for want, given := range map[string]map[string]any{
			"ecr-oidc/push: extra_build_args is --label 'x, which has an unclosed quote\n":                        {"extra_build_args": "--label 'x"},
			"ecr-oidc/push: extra_build_args needs the variable NOPE, which is not set or is empty in this job\n": {"extra_build_args": "--build-arg X=$NOPE"},
			"ecr-oidc/push: tag is empty; use a tag such as 1.0, or several separated by commas\n":                {"tag": " , "},
			"ecr-oidc/push: tag needs the variable CIRCLE_BRANCH2, which is not set or is empty in this job\n":    {"tag": "$CIRCLE_BRANCH2"},
		} {
			given["image"] = image
			steps := orbSteps(t, "jobs", "push", given)
			last := steps[len(steps)-1]
			if _, errs, err := j.step(last.env, last.script); err == nil || errs != want {
				t.Errorf("%v: %v\n%swant %s", given, err, errs, want)
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
		// calls compiles a job or command, runs its steps but install, and returns the calls and
		// the complaint.
		calls := func(kind, name string, given map[string]any) (made, complaint string) {
			t.Helper()
			os.Remove(filepath.Join(j.home, "calls"))
			for _, s := range orbSteps(t, kind, name, given) {
				if s.script == "" || strings.HasPrefix(s.name, "Install") {
					continue
				}
				if _, errs, err := j.step(s.env, s.script); err != nil {
					complaint += errs
				}
			}
			b, _ := os.ReadFile(filepath.Join(j.home, "calls"))
			return string(b), complaint
		}
		const host = defaultHost
		push := func(given map[string]any) (string, string) {
			t.Helper()
			maps.Copy(given, map[string]any{"image": host + "/app", "remote_docker": false, "checkout": false})
			return calls("jobs", "push", given)
		}
		for branch, want := range map[string]string{
			"feature,latest": "", "feature latest": "", "feature\tlatest": "", "feature\nlatest": "",
			"feature/latest": "", ".latest": "", "-latest": "",
			"latest": "build|--tag|" + host + "/app:1.0|--tag|" + host + "/app:latest|--|.\n" +
				"docker|push|--|" + host + "/app:1.0\ndocker|push|--|" + host + "/app:latest\n",
		} {
			j.env["CIRCLE_BRANCH"] = branch
			made, complaint := push(map[string]any{"tag": "1.0,$CIRCLE_BRANCH"})
			_, docker, _ := strings.Cut(made, "\ndocker|")
			if docker != want {
				t.Errorf("for the branch %q docker was run\n%swant\n%s", branch, docker, want)
			}
			const refused = "ecr-oidc/push: tag has $CIRCLE_BRANCH, which is not a valid tag in this job; allowed are " +
				"letters, digits, _ . - (not . or - first)\n"
			if want == "" && complaint != refused {
				t.Errorf("for the branch %q it says %q, want %q", branch, complaint, refused)
			}
		}

		j.env["CONTEXT"] = "--file=/etc/passwd"
		made, complaint := push(map[string]any{"path": "$CONTEXT", "tag": "1.0"})
		if !strings.Contains(made, "|--|--file=/etc/passwd\n") || complaint != "" {
			t.Errorf("docker was run\n%s%s", made, complaint)
		}

		// A branch in the name of the image chooses no role, and adds no registry.
		for _, tt := range []struct{ branch, want string }{
			{"x=arn:aws:iam::210987654321:role/admin", ""},
			{"x " + otherHost, ""},
			{"x\n" + otherHost, ""},
			{"x", "--role|ci|--|" + host},
		} {
			j.env["CIRCLE_BRANCH"] = tt.branch
			given := map[string]any{"registries": host + "/app-$CIRCLE_BRANCH", "role_arn": "ci"}
			made, complaint := calls("commands", "configure", given)
			if tt.want != "" {
				tt.want = program + "|configure|" + tt.want + "\n"
			}
			const refused = "ecr-oidc/configure: registries has " + host + "/app-$CIRCLE_BRANCH, and the " +
				"value of a variable in it contains a separator; list each registry and role\n"
			if made != tt.want || tt.want == "" && complaint != refused {
				t.Errorf("for the branch %q it ran %q and says %q, want %q", tt.branch, made, complaint, tt.want)
			}
		}
		for _, given := range []map[string]any{
			{"registries": host, "role_arn": "ci-$CIRCLE_BRANCH"},
			{"registries": host + "=ci-$CIRCLE_BRANCH"},
		} {
			j.env["CIRCLE_BRANCH"] = "x,admin"
			made, complaint := calls("commands", "configure", given)
			if made != "" || !strings.Contains(complaint, "ci-$CIRCLE_BRANCH") {
				t.Errorf("%v: it ran %q and says %q", given, made, complaint)
			}
			j.env["CIRCLE_BRANCH"] = "x"
			made, complaint = calls("commands", "configure", given)
			if made != program+"|configure|--role|ci-x|--|"+host+"\n" {
				t.Errorf("%v: it ran %q and says %q", given, made, complaint)
			}
		}
	})
}
