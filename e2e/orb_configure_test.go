package e2e

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// TestOrbConfigure checks that the program receives the parameters of configure and the variables
// of the job unchanged.
func TestOrbConfigure(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		tools := newToolDir(t)
		// The stub records each argument in a line, and "." at the end of a call.
		stub(t, tools, program, `[ "$1" = configure ] || exit 1 # as a release without check
shift; for a; do printf '%s\n' "$a"; done >>"$HOME/arguments"; echo . >>"$HOME/arguments"`)
		j := newOrbJob(t, shell, tools)
		maps.Copy(j.env, map[string]string{
			"AWS_ECR_REGISTRY_ID": emulator.Account,
			"ECR_REGION":          "eu-west-2",
			"EVIL":                "$(touch${IFS}$HOME/evil)`touch${IFS}$HOME/evil`;touch${IFS}$HOME/evil",
			"name":                "shadow",
			"entry":               "a.example",
			"host":                "repo",
			"HOSTS":               "a.example b.example",
		})
		for _, tt := range []struct {
			name   string
			params map[string]any
			want   string
		}{
			{
				name:   "registry",
				params: map[string]any{"registries": "a.example"},
				want:   "-- a.example .",
			},
			{
				name: "image names and URLs",
				params: map[string]any{
					"registries": "a.example/repo\n  https://b.example \t c.example/x/y\n",
				},
				want: "-- a.example b.example c.example .",
			},
			{
				name: "variables in registries",
				params: map[string]any{
					"registries": "${AWS_ECR_REGISTRY_ID}.dkr.ecr.$ECR_REGION.amazonaws.com $entry/$host",
				},
				want: "-- " + defaultHost + " a.example .",
			},
			{
				name: "variables in roles",
				params: map[string]any{
					"registries": "$entry=$name,${name}2 b.example",
					"role_arn":   "$name,x",
				},
				want: "--role shadow,shadow2 -- a.example . --role shadow,x -- b.example .",
			},
			{
				name: "default role in braces",
				params: map[string]any{
					"registries": "a.example",
					"role_arn":   "${ECR_ROLE_TO_ASSUME}",
				},
				want: "-- a.example .",
			},
			{
				name: "role",
				params: map[string]any{
					"registries": "a.example",
					"role_arn":   "arn:aws:iam::${AWS_ECR_REGISTRY_ID}:role/x",
				},
				want: "--role arn:aws:iam::123456789012:role/x -- a.example .",
			},
			{
				name: "roles of registries",
				params: map[string]any{
					"registries": "a.example=hub,spoke b.example " +
						"c.example/repo=arn:aws:iam::123456789012:role/path/x",
					"role_arn": "ci",
				},
				want: "--role hub,spoke -- a.example . " +
					"--role arn:aws:iam::123456789012:role/path/x -- c.example . " +
					"--role ci -- b.example .",
			},
			{
				name:   "roles of all registries",
				params: map[string]any{"registries": "a.example=x", "role_arn": "ci"},
				want:   "--role x -- a.example .",
			},
			{
				name: "all settings",
				params: map[string]any{
					"registries":          "a.example",
					"audience":            "sts.amazonaws.com",
					"session_name":        "job-$name",
					"session_duration":    "15m",
					"allowed_account_ids": "$AWS_ECR_REGISTRY_ID,210987654321",
				},
				want: "--audience sts.amazonaws.com --session-name job-shadow --session-duration 15m " +
					"--allowed-account-ids 123456789012,210987654321 -- a.example .",
			},
			{
				name:   "pattern",
				params: map[string]any{"registries": "*"},
				want:   "-- * .",
			},
			{
				name:   "flag as a registry",
				params: map[string]any{"registries": "--remove"},
				want:   "-- --remove .",
			},
		} {
			j.command("configure", tt.params)
			arguments, err := os.ReadFile(filepath.Join(j.home, "arguments"))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(strings.Fields(string(arguments)), " "); got != tt.want {
				t.Errorf("%s: configure %s\nwant %s", tt.name, got, tt.want)
			}
			os.Remove(filepath.Join(j.home, "arguments"))
		}
		for _, tt := range []struct {
			params map[string]any
			want   string
		}{
			{map[string]any{"registries": ""},
				"registries is empty; use a registry such as .*, or set account_id and region"},
			{map[string]any{"registries": "\n"}, "registries is empty; use a registry such as .*"},
			{map[string]any{"registries": "$HOSTS"},
				`registries has \$HOSTS, and the value of a variable in it contains a separator; .*`},
			{map[string]any{"registries": "a.example="}, "registries has a.example=, which has no role after ="},
			{map[string]any{"registries": "$NOPE.dkr.ecr.$ECR_REGION.amazonaws.com"},
				"registries needs the variable NOPE, which is not set or is empty in this job"},
			{map[string]any{"registries": "a.example", "role_arn": "$DEPLOY_ROLE"},
				"role_arn needs the variable DEPLOY_ROLE, which is not set or is empty in this job"},
			{map[string]any{"registries": "a.example", "role_arn": "${ROLE:-x}"},
				`role_arn has \$\{ROLE:-x\}; only a variable name is allowed between the braces`},
			{map[string]any{"registries": "a.example", "docker_config": "relative"},
				"docker_config is relative; it must begin with /"},
		} {
			j.refused("configure", tt.params, tt.want)
		}
		// No command in a parameter or in a variable is executed.
		j.command("configure", map[string]any{
			"registries":   "$EVIL a.example",
			"session_name": `$(touch "$HOME/evil")` + "`touch $HOME/evil`;touch $HOME/evil",
		})
		if _, err := os.Stat(filepath.Join(j.home, "evil")); err == nil {
			t.Error("a command in a parameter or variable was executed")
		}
		if _, err := os.Stat(filepath.Join(j.home, "arguments")); err != nil {
			t.Error(err)
		}
		os.Remove(filepath.Join(tools, program))
		j.refused("configure", map[string]any{"registries": "a.example"},
			program+" is not on PATH; run this orb's command install first; "+
				"without bash, set install_dir to a directory of PATH")
	})
}
