// Command notices writes down the licences of everything that is linked into a program: MIT and BSD want theirs to go along
// with binaries, Apache wants NOTICE files to.
//
//	go run ./packaging/notices -o THIRD_PARTY_LICENSES ./cmd/docker-credential-ecr-oidc
//
// It stops when a module has no licence, or one that nobody has looked at yet: new dependencies are read by a person.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func main() {
	out := flag.String("o", "/dev/stdout", "write them to this `FILE`")
	flag.Parse()
	text, err := notices(flag.Args(), []string{"linux", "darwin", "windows"})
	if err == nil {
		err = os.WriteFile(*out, []byte(text), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "notices:", err)
		os.Exit(1)
	}
}

// notices is the text for these packages, as they are linked on any of these systems.
func notices(packages, systems []string) (string, error) {
	found := map[string][]string{} // from a licence's text to who has it
	for _, system := range systems {
		linked, err := list(system, packages)
		if err != nil {
			return "", err
		}
		for _, p := range linked {
			if err := p.collect(found); err != nil {
				return "", err
			}
		}
	}
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("asking for GOROOT: %w", err)
	}
	root := strings.TrimSpace(string(goroot))
	standard := linkedPackage{module: "Go's standard library", root: root, dir: root}
	if err := standard.collect(found); err != nil {
		return "", err
	}
	return render(found), nil
}

// A linkedPackage is one package of another module, and where that module lies.
type linkedPackage struct{ module, root, dir string }

// list asks Go for the packages of other modules that are linked into ours.
func list(system string, packages []string) ([]linkedPackage, error) {
	const format = "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}\t{{.Dir}}\t{{$.Dir}}{{end}}{{end}}"
	var stderr bytes.Buffer
	cmd := exec.Command("go", append([]string{"list", "-deps", "-f", format}, packages...)...)
	cmd.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("listing what is linked on %s: %w: %s", system, err, stderr.String())
	}
	var linked []linkedPackage
	for line := range strings.Lines(string(out)) {
		if f := strings.Split(strings.TrimSpace(line), "\t"); len(f) == 3 {
			linked = append(linked, linkedPackage{f[0], f[1], f[2]})
		}
	}
	return linked, nil
}

var (
	licence = regexp.MustCompile(`(?i)^(licen[cs]e|copying)`)
	notice  = regexp.MustCompile(`(?i)^(notice|patents)`)
	// What marks the licences that may ship: Apache-2.0, MIT, BSD with two clauses or three.
	known = regexp.MustCompile(`Apache License\s+Version 2\.0|Permission is hereby granted, free of charge|Redistribution and use in source and binary forms`)
)

// collect adds what applies to a package: the licences and notices in its folder and in those above it, up to its
// module's. (A module can hold code of others in a folder with a licence of its own, as the AWS SDK does.)
func (p linkedPackage) collect(found map[string][]string) error {
	licences := 0
	for dir := p.dir; ; dir = filepath.Dir(dir) {
		files, err := os.ReadDir(dir)
		if err != nil {
			return fmt.Errorf("looking for the licence of %s: %w", p.module, err)
		}
		for _, f := range files {
			isLicence := licence.MatchString(f.Name())
			if f.IsDir() || !isLicence && !notice.MatchString(f.Name()) || filepath.Ext(f.Name()) == ".go" {
				continue
			}
			b, err := os.ReadFile(filepath.Join(dir, f.Name()))
			if err != nil {
				return fmt.Errorf("reading the licence of %s: %w", p.module, err)
			}
			text := strings.TrimSpace(strings.ReplaceAll(string(b), "\r\n", "\n"))
			if isLicence && !known.MatchString(text) {
				return fmt.Errorf("%s: %s is of no kind that may ship without being read first", p.module, filepath.Join(dir, f.Name()))
			}
			if isLicence {
				licences++
			}
			who := p.module
			if inner, err := filepath.Rel(p.root, dir); err == nil && inner != "." {
				who += ", " + filepath.ToSlash(inner)
			}
			if !slices.Contains(found[text], who) {
				found[text] = append(found[text], who)
			}
		}
		if dir == p.root {
			break
		}
		if len(dir) <= len(p.root) {
			return fmt.Errorf("%s is not below %s", p.dir, p.root)
		}
	}
	if licences == 0 {
		return errors.New(p.module + " has no licence")
	}
	return nil
}

// render orders by the first that has a text, so that the same dependencies give the same bytes.
func render(found map[string][]string) string {
	type entry struct{ who, text string }
	var all []entry
	for text, who := range found {
		slices.Sort(who)
		all = append(all, entry{strings.Join(who, "\n"), text})
	}
	slices.SortFunc(all, func(a, b entry) int { return strings.Compare(a.who+a.text, b.who+b.text) })
	var b strings.Builder
	b.WriteString("docker-credential-ecr-oidc is linked with the following, whose licences these are.\n")
	for _, e := range all {
		fmt.Fprintf(&b, "\n%s\n%s\n\n%s\n", strings.Repeat("-", 80), e.who, e.text)
	}
	return b.String()
}
