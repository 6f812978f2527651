// Command pack joins the parts of the CircleCI orb in orb/src into one text. It runs in the root of the repository.
//
//	go run ./orb/pack > orb.yml
//	go run ./orb/pack -inline    # under "orbs:" of a config.yml, where published orbs are not allowed
//
// It does what "circleci orb pack" does, and two things more: an include may name a file outside orb/src, such as
// install.sh, and a script may source a file that it shares with another script.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
)

func main() {
	inline := flag.Bool("inline", false, "print the orb inline, under \"orbs:\" of a config.yml")
	flag.Parse()
	text, err := pack(os.DirFS("."))
	if err == nil && *inline {
		text = inlined(text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
	os.Stdout.WriteString(text)
}

// src is the directory of the orb's parts in the repository.
const src = "orb/src"

// pack returns @orb.yml followed by the commands, executors, jobs and examples. Each is a file, whose name is its name.
func pack(repository fs.FS) (string, error) {
	head, err := readText(repository, path.Join(src, "@orb.yml"))
	if err != nil {
		return "", err
	}
	out := strings.TrimRight(head, "\n") + "\n"
	for _, kind := range []string{"commands", "executors", "jobs", "examples"} {
		files, err := fs.ReadDir(repository, path.Join(src, kind))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		out += kind + ":\n"
		for _, file := range files {
			name, ok := strings.CutSuffix(file.Name(), ".yml")
			if !ok {
				return "", fmt.Errorf("%s/%s does not end in .yml", kind, file.Name())
			}
			part, err := readText(repository, path.Join(src, kind, file.Name()))
			if err != nil {
				return "", err
			}
			text, err := included(repository, part)
			if err != nil {
				return "", fmt.Errorf("%s/%s: %w", kind, file.Name(), err)
			}
			out += "  " + name + ":\n" + indented(text, "    ")
		}
	}
	return out, nil
}

// include matches a value that is the text of a file. CircleCI requires that it is all of the value. The file's path is
// relative to orb/src.
var include = regexp.MustCompile(`^( *(?:- )*)([A-Za-z_]+): <<\s*include\(([-\w/.]+)\)\s*>>$`)

// included returns text with each include replaced by its script, as a block scalar.
func included(repository fs.FS, text string) (string, error) {
	var out strings.Builder
	for line := range strings.Lines(text) {
		m := include.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			if strings.Contains(line, "include(") {
				return "", fmt.Errorf("an include must be all of a value: %q", strings.TrimSpace(line))
			}
			out.WriteString(line)
			continue
		}
		script, err := readScript(repository, path.Join(src, m[3]))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&out, "%s%s: |\n%s", m[1], m[2], indented(script, strings.Repeat(" ", len(m[1])+2)))
	}
	return out.String(), nil
}

// source matches the lines by which a script sources a file in its own directory: shellcheck's directive and the command.
var source = regexp.MustCompile(`(?m)^# shellcheck source-path=SCRIPTDIR\n\. \./([-\w.]+)\n`)

// readScript returns a shell script with each file that it sources in place of the lines that do. The first paragraph of
// a sourced file is for the reader of the repository, and is left out.
func readScript(repository fs.FS, name string) (string, error) {
	file, err := readText(repository, name)
	if err != nil {
		return "", err
	}
	text := source.ReplaceAllStringFunc(file, func(lines string) string {
		shared, readErr := readText(repository, path.Join(path.Dir(name), source.FindStringSubmatch(lines)[1]))
		err = errors.Join(err, readErr)
		_, body, found := strings.Cut(shared, "\n\n")
		if readErr == nil && !found {
			err = fmt.Errorf("%s sources a file of one paragraph, which is left out", name)
		}
		return body
	})
	if err != nil {
		return "", err
	}
	if line := regexp.MustCompile(`(?m)^\s*\. .*`).FindString(text); line != "" {
		return "", fmt.Errorf("%s sources a file in another way: %q", name, line)
	}
	// "<<" begins a parameter in an orb. CircleCI's program escapes it; these scripts do without it.
	if strings.Contains(text, "<<") {
		return "", fmt.Errorf("%s contains <<, which begins a parameter in an orb", name)
	}
	return text, nil
}

// readText returns a file with the line ends of Unix, which git may have changed in a checkout on Windows.
func readText(repository fs.FS, name string) (string, error) {
	text, err := fs.ReadFile(repository, name)
	return strings.ReplaceAll(string(text), "\r\n", "\n"), err
}

// indented puts a prefix before each line that is not empty, and ends the text in one newline.
func indented(text, prefix string) string {
	var out strings.Builder
	for line := range strings.Lines(strings.TrimRight(text, "\n") + "\n") {
		if line != "\n" {
			out.WriteString(prefix)
		}
		out.WriteString(line)
	}
	return out.String()
}

// inlined turns a packed orb into the value of "orbs:" in a config.yml, with what such an orb may have.
func inlined(orb string) string {
	parts := regexp.MustCompile(`(?m)^(\w+):`).FindAllStringSubmatchIndex(orb, -1)
	out := "orbs:\n  ecr-oidc:\n"
	for i, at := range parts {
		end := len(orb)
		if i+1 < len(parts) {
			end = parts[i+1][0]
		}
		switch orb[at[2]:at[3]] {
		case "commands", "executors", "jobs":
			out += indented(orb[at[0]:end], "    ")
		}
	}
	return out
}
