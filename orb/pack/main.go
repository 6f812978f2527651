// Command pack prints the CircleCI orb in orb/src as one file. It runs in the root of the repository.
//
//	go run ./orb/pack > orb.yml
//	go run ./orb/pack -inline    # under "orbs:" of a config.yml, where published orbs are not allowed
//
// It extends "circleci orb pack": an include may name a file outside orb/src, such as install.sh, and a
// script may source a file that it shares with another script.
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
	inline := flag.Bool("inline", false, "print an inline orb, for \"orbs:\" in a config.yml")
	flag.Parse()
	text, err := pack(os.DirFS("."))
	if err == nil && *inline {
		text = toInline(text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
	os.Stdout.WriteString(text)
}

// src is the directory of the orb's source files.
const src = "orb/src"

// pack returns @orb.yml followed by the commands, executors, jobs and examples. Each of them is a
// file. The file name is its name.
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
			text, err := expandIncludes(repository, part)
			if err != nil {
				return "", fmt.Errorf("%s/%s: %w", kind, file.Name(), err)
			}
			out += "  " + name + ":\n" + indent(text, "    ")
		}
	}
	return out, nil
}

// include matches a value that is replaced by the content of a file. CircleCI requires that the
// include is the whole value. The path is relative to orb/src.
var include = regexp.MustCompile(`^( *(?:- )*)([A-Za-z_]+): <<\s*include\(([-\w/.]+)\)\s*>>$`)

// expandIncludes returns text with each include replaced by its script, as a block scalar.
func expandIncludes(repository fs.FS, text string) (string, error) {
	var out strings.Builder
	for line := range strings.Lines(text) {
		m := include.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			if strings.Contains(line, "include(") {
				return "", fmt.Errorf("an include must be the whole value: %q",
					strings.TrimSpace(line))
			}
			out.WriteString(line)
			continue
		}
		script, err := readScript(repository, path.Join(src, m[3]))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&out, "%s%s: |\n%s", m[1], m[2],
			indent(script, strings.Repeat(" ", len(m[1])+2)))
	}
	return out.String(), nil
}

// source matches the lines with which a script sources a file in its directory: a shellcheck
// directive and the command.
var source = regexp.MustCompile(`(?m)^# shellcheck source-path=SCRIPTDIR\n\. \./([-\w.]+)\n`)

// readScript returns a shell script with its source commands replaced by the content of the sourced
// files. The first paragraph of a sourced file, its header comment, is omitted.
func readScript(repository fs.FS, name string) (string, error) {
	file, err := readText(repository, name)
	if err != nil {
		return "", err
	}
	text := source.ReplaceAllStringFunc(file, func(lines string) string {
		shared,
			readErr := readText(repository,
			path.Join(path.Dir(name), source.FindStringSubmatch(lines)[1]))
		err = errors.Join(err, readErr)
		_, body, found := strings.Cut(shared, "\n\n")
		if readErr == nil && !found {
			err = fmt.Errorf("%s sources a file with only a header comment", name)
		}
		return body
	})
	if err != nil {
		return "", err
	}
	if line := regexp.MustCompile(`(?m)^\s*\. .*`).FindString(text); line != "" {
		return "", fmt.Errorf("%s has an unsupported source command: %q", name, line)
	}
	// "<<" begins a parameter in an orb. CircleCI's command escapes it. These scripts do not use it.
	if strings.Contains(text, "<<") {
		return "", fmt.Errorf("%s contains <<, which begins a parameter in an orb", name)
	}
	return text, nil
}

// readText returns a file with LF line endings. On Windows, git may check it out with CRLF.
func readText(repository fs.FS, name string) (string, error) {
	text, err := fs.ReadFile(repository, name)
	return strings.ReplaceAll(string(text), "\r\n", "\n"), err
}

// indent adds a prefix to each line that is not empty. The result ends with one newline.
func indent(text, prefix string) string {
	var out strings.Builder
	for line := range strings.Lines(strings.TrimRight(text, "\n") + "\n") {
		if line != "\n" {
			out.WriteString(prefix)
		}
		out.WriteString(line)
	}
	return out.String()
}

// toInline converts a packed orb to an inline orb for "orbs:" in a config.yml, which has only commands,
// executors and jobs.
func toInline(orb string) string {
	parts := regexp.MustCompile(`(?m)^(\w+):`).FindAllStringSubmatchIndex(orb, -1)
	out := "orbs:\n  ecr-oidc:\n"
	for i, at := range parts {
		end := len(orb)
		if i+1 < len(parts) {
			end = parts[i+1][0]
		}
		switch orb[at[2]:at[3]] {
		case "commands", "executors", "jobs":
			out += indent(orb[at[0]:end], "    ")
		}
	}
	return out
}
