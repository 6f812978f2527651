package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(b), "\r\n", "\n")
}

func TestPack(t *testing.T) {
	repository := fstest.MapFS{
		"orb/src/@orb.yml": {Data: []byte("version: 2.1\n")},
		"orb/src/commands/greet.yml": {
			Data: []byte(
				"steps:\n  - run:\n      name: Greet\n      command: <<include(scripts/greet.sh)>>\n",
			),
		},
		"orb/src/jobs/b.yml": {Data: []byte("steps:\r\n  - greet\r\n\r\n")},
		"orb/src/jobs/a.yml": {Data: []byte("steps:\n  - run: << include(../../hello.sh) >>\n")},
		"hello.sh":           {Data: []byte("#!/bin/sh\n\n\techo hello\n")},
		"orb/src/scripts/greet.sh": {
			Data: []byte("#!/bin/sh\n# shellcheck source-path=SCRIPTDIR\n. ./say.sh\n\nsay hello\n"),
		},
		"orb/src/scripts/say.sh": {
			Data: []byte("#!/bin/sh\n# For greet.sh.\n\nsay() {\n\techo \"$1\"\n}\n\n# end\n"),
		},
	}
	got, err := pack(repository)
	if err != nil {
		t.Fatal(err)
	}
	const want = `version: 2.1
commands:
  greet:
    steps:
      - run:
          name: Greet
          command: |
            #!/bin/sh
            say() {
            	echo "$1"
            }

            # end

            say hello
jobs:
  a:
    steps:
      - run: |
          #!/bin/sh

          	echo hello
  b:
    steps:
      - greet
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	wantInline := "orbs:\n  ecr-oidc:\n" + indent(strings.TrimPrefix(want, "version: 2.1\n"),
		"    ")
	if got := toInline(want); got != wantInline {
		t.Errorf("inline\n%s\nwant\n%s", got, wantInline)
	}
}

func TestPackErrors(t *testing.T) {
	const source = "# shellcheck source-path=SCRIPTDIR\n"
	tests := []struct{ name, command, script, want string }{
		{"part of a value", "echo <<include(scripts/x.sh)>>", "", "whole value"},
		{"missing file", "<<include(scripts/y.sh)>>", "", "scripts/y.sh"},
		{"file outside the repository", "<<include(../../../x.sh)>>", "", "../x.sh"},
		{"parameter in the script", "<<include(scripts/x.sh)>>", "cat <<EOF\nEOF\n",
			"scripts/x.sh contains <<"},
		{"missing sourced file", "<<include(scripts/x.sh)>>", source + ". ./y.sh\n",
			"scripts/y.sh"},
		{"parameter in the sourced file", "<<include(scripts/x.sh)>>",
			source + ". ./eof.sh\n", "scripts/x.sh contains <<"},
		{"sourced file with one paragraph", "<<include(scripts/x.sh)>>",
			source + ". ./one.sh\n", "only a header comment"},
		{"source without a directive", "<<include(scripts/x.sh)>>", ". ./eof.sh\n",
			`unsupported source command: ". ./eof.sh"`},
		{"indented source", "<<include(scripts/x.sh)>>", "f() {\n\t. ./eof.sh\n}\n",
			"unsupported source command"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := pack(fstest.MapFS{
				"orb/src/@orb.yml": {},
				"orb/src/commands/x.yml": {
					Data: []byte("steps:\n  - run:\n      command: " + tt.command + "\n"),
				},
				"orb/src/scripts/x.sh":   {Data: []byte(tt.script)},
				"orb/src/scripts/eof.sh": {Data: []byte("#!/bin/sh\n\ncat <<EOF\nEOF\n")},
				"orb/src/scripts/one.sh": {Data: []byte("#!/bin/sh\necho one\n")},
			})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// The packed orb contains install.sh, and each script that uses expand contains it once.
func TestPackSharesScripts(t *testing.T) {
	orb, err := pack(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(orb, indent(read(t, "../../install.sh"), "            ")) {
		t.Error("install.sh is not in the packed orb")
	}
	uses := strings.Count(orb, "$(expand image ") + strings.Count(orb, "$(expand docker_config ") +
		strings.Count(orb, "helper doctor ")
	if n := strings.Count(orb, " expand() (\n"); n != 3 || uses != 3 {
		t.Errorf("expand is defined %d times, for %d scripts that use it; want 3 and 3", n,
			uses)
	}
}

// CircleCI's compiler, unlike its schema, rejects parameters that are used but not declared, or
// declared but not used. Its review of orbs requires a description for each element and a name for
// each step. A script must not contain a parameter: the shell would run its value.
func TestOrbParts(t *testing.T) {
	declared := regexp.MustCompile(
		`(?m)^  (\w+):\n    type: \w+\n(?:    default: .*\n)?    description: >-\n      \S`,
	)
	used := regexp.MustCompile(`<< parameters\.(\w+) >>`)
	parts, err := filepath.Glob("../src/*/*.yml")
	if err != nil || len(parts) < 5 {
		t.Fatal(parts, err)
	}
	for _, name := range parts {
		text := read(t, name)
		if !strings.HasPrefix(text, "description: >-\n  ") {
			t.Errorf("%s does not begin with a description", name)
		}
		if filepath.Base(filepath.Dir(name)) == "examples" {
			continue
		}
		_, after, _ := strings.Cut(text, "\nparameters:\n")
		parameters := regexp.MustCompile(`(?m)^\w`).Split(after, 2)[0]
		var names []string
		for _, m := range declared.FindAllStringSubmatch(parameters, -1) {
			names = append(names, m[1])
		}
		if all := regexp.MustCompile(`(?m)^  \w+:$`).FindAllString(parameters,
			-1); len(all) != len(names) {
			t.Errorf("%s: %d parameters, %d with type and description", name, len(all),
				len(names))
		}
		for _, m := range used.FindAllStringSubmatch(text, -1) {
			if !slices.Contains(names, m[1]) {
				t.Errorf("%s uses %s, which is no parameter of it", name, m[1])
			}
		}
		for _, p := range names {
			if !strings.Contains(text, "<< parameters."+p+" >>") {
				t.Errorf("%s does not use its parameter %s", name, p)
			}
		}
		if runs := strings.Count(text, "- run:"); runs != strings.Count(text,
			"- run:\n      name: ") ||
			runs != strings.Count(text, "      command: <<include(") {
			t.Errorf("%s has a step without a name, or with a command that is no file",
				name)
		}
	}
	// The job passes every parameter of the commands on, under the same name.
	job := read(t, "../src/jobs/push.yml")
	for _, command := range []string{"install", "configure"} {
		_, steps, _ := strings.Cut(job, "\n  - "+command+":\n")
		for _, m := range declared.FindAllStringSubmatch(read(t,
			"../src/commands/"+command+".yml"), -1) {
			if m[1] != "registries" &&
				!strings.Contains(steps,
					"      "+m[1]+": << parameters."+m[1]+" >>\n") {
				t.Errorf("the job push does not hand %s on to %s", m[1], command)
			}
		}
	}
}

// docs/orb.md describes exactly the parameters of the orb, with their defaults.
func TestDocs(t *testing.T) {
	text := read(t, "../../docs/orb.md")
	section := func(title string) string {
		_, after, _ := strings.Cut(text, "\n## "+title+"\n")
		before, _, _ := strings.Cut(after, "\n## ")
		return before
	}
	row := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|.*\\| *(.*?) *\\|$")
	parameter := regexp.MustCompile(`(?m)^  (\w+):\n    type: \w+\n(?:    default: (.*)\n)?`)
	commands := read(t, "../src/commands/install.yml") + read(t, "../src/commands/configure.yml")
	for title, file := range map[string]string{"install": "commands/install.yml",
		"configure": "commands/configure.yml", "doctor": "commands/doctor.yml",
		"push": "jobs/push.yml"} {
		rows := map[string]string{}
		for _, m := range row.FindAllStringSubmatch(section(title), -1) {
			rows[m[1]] = m[2]
		}
		for _, m := range parameter.FindAllStringSubmatch(read(t, "../src/"+file), -1) {
			shown, ok := rows[m[1]]
			if title == "push" && !ok && strings.Contains(commands, "\n  "+m[1]+":\n") {
				continue // "all parameters of both commands"
			}
			if !ok || m[2] != "" && m[2] != `""` &&
				!strings.HasPrefix(shown, "`"+m[2]+"`") {
				t.Errorf("%s: parameter %s with default %s is shown with %q", title,
					m[1], m[2], shown)
			}
			delete(rows, m[1])
		}
		if len(rows) > 0 {
			t.Errorf("%s: docs/orb.md has parameters that are none: %v", title, rows)
		}
	}
	for _, name := range []string{"../../docs/orb.md", "../../docs/install.md"} {
		for _, m := range regexp.MustCompile(`\]\(([^)#:]+)[)#]`).FindAllStringSubmatch(read(t, name), -1) {
			if _, err := os.Stat(filepath.Join("../../docs", m[1])); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// check runs schema.py and returns its output.
func check(args ...string) (out string, exit int, err error) {
	cmd := exec.Command("python3", append([]string{"../schema.py"}, args...)...)
	b, err := cmd.CombinedOutput()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return string(b), failed.ExitCode(), nil
	}
	return string(b), 0, err
}

// The packed orb and a configuration with the inline orb match CircleCI's schema. Invalid ones do not.
func TestSchema(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a validator in Python (-short)")
	}
	if out, exit, err := check(); err != nil {
		t.Skipf("CircleCI's schema is not checked: %v", err)
	} else if exit == 77 {
		t.Skipf("%s", strings.TrimSpace(out))
	}
	orb, err := pack(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	const use = `version: 2.1
workflows:
  main:
    jobs:
      - ecr-oidc/push:
          image: 123456789012.dkr.ecr.eu-west-2.amazonaws.com/app
          executor:
            name: ecr-oidc/default
            image: docker:29-cli
`
	change := func(text, old, new string) string {
		t.Helper()
		changed := strings.Replace(text, old, new, 1)
		if changed == text {
			t.Fatalf("there is no %q to break", old)
		}
		return changed
	}
	tests := []struct {
		name, text string
		want       string // of what the checker prints; "" when the text is good
	}{
		{"orb", orb, ""},
		{"inline", use + toInline(orb), ""},
		{"parameter of no known type",
			change(orb, "        type: boolean\n", "        type: bool\n"), "bool"},
		{"command without steps",
			change(orb, "    steps:\n      - run:\n          name: Install",
				"    stepps:\n      - run:\n          name: Install"), "steps"},
		{"run without a command",
			change(orb, "          command: |", "          comand: |"), "run"},
		{"executor without an image", change(orb, "      - image: << parameters.image >>",
			"      - user: root"), "executors.default"},
		{"inline, with an unknown key of a step",
			use +
				toInline(change(orb, "docker_layer_caching: true", "layer_caching: true")),
			"setup_remote_docker"},
		{"configuration without a version", strings.TrimPrefix(use, "version: 2.1\n"),
			"'version' is a required property"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "circle.yml")
			if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			out, exit, err := check(file)
			if err != nil || tt.want == "" && exit != 0 || tt.want != "" &&
				(exit != 1 || !strings.Contains(out, tt.want)) {
				t.Errorf("exit status %d, %v; want %q\n%s", exit, err, tt.want, out)
			}
		})
	}
}
