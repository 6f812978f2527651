// Command pack joins the parts of the CircleCI orb in orb/src into one text, as "circleci orb pack" does, for machines
// that have Go and not CircleCI's program.
//
//	go run ./orb/pack > orb.yml
//	go run ./orb/pack -inline    # as the orbs: of a config.yml, for where no published orb may be used
package main

import (
	"bytes"
	"cmp"
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
	text, err := pack(os.DirFS(cmp.Or(flag.Arg(0), "orb/src")))
	if err == nil && *inline {
		text = inlined(text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
	os.Stdout.WriteString(text)
}

// pack returns @orb.yml followed by commands, executors, jobs and examples, of which each file is one, named as the
// file is.
func pack(src fs.FS) (string, error) {
	root, err := fs.ReadFile(src, "@orb.yml")
	if err != nil {
		return "", err
	}
	out := strings.TrimRight(string(root), "\n") + "\n"
	for _, kind := range []string{"commands", "executors", "jobs", "examples"} {
		files, err := fs.ReadDir(src, kind)
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
			part, err := fs.ReadFile(src, path.Join(kind, file.Name()))
			if err != nil {
				return "", err
			}
			text, err := included(src, string(part))
			if err != nil {
				return "", fmt.Errorf("%s/%s: %w", kind, file.Name(), err)
			}
			out += "  " + name + ":\n" + indented(text, "    ")
		}
	}
	return out, nil
}

// include is a value that is the text of a file: all of the value, as CircleCI's own program demands.
var include = regexp.MustCompile(`^( *(?:- )*)([A-Za-z_]+): <<\s*include\(([-\w/.]+)\)\s*>>$`)

// included puts the files in place of the includes, as block scalars.
func included(src fs.FS, text string) (string, error) {
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
		file, err := fs.ReadFile(src, m[3])
		if err != nil {
			return "", err
		}
		// CircleCI takes "<<" for the beginning of a parameter. Its program escapes it; ours are written without.
		if bytes.Contains(file, []byte("<<")) {
			return "", fmt.Errorf("%s has << in it, which begins a parameter in an orb", m[3])
		}
		fmt.Fprintf(&out, "%s%s: |\n%s", m[1], m[2], indented(string(file), strings.Repeat(" ", len(m[1])+2)))
	}
	return out.String(), nil
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
