// Command notices writes the licenses of all packages that are linked into a program. The MIT and BSD
// licenses must accompany binaries, and so must the NOTICE files of Apache-2.0.
//
//	go run ./packaging/notices -o THIRD_PARTY_LICENSES ./cmd/docker-credential-ecr-oidc
//
// It fails if a module has no license or an unknown one: a person must read the license of a new
// dependency.
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
	out := flag.String("o", "/dev/stdout", "write the licenses to this `FILE`")
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

// notices returns the text for the packages, as linked on these systems.
func notices(packages, systems []string) (string, error) {
	found := map[string][]string{} // license text → modules
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
		return "", fmt.Errorf("reading GOROOT: %w", err)
	}
	root := strings.TrimSpace(string(goroot))
	standard := linkedPackage{module: "Go's standard library", root: root, dir: root}
	if err := standard.collect(found); err != nil {
		return "", err
	}
	return render(found), nil
}

// linkedPackage is a package of another module. root is the module's directory.
type linkedPackage struct{ module, root, dir string }

// list returns the packages of other modules that packages import, directly or indirectly.
func list(system string, packages []string) ([]linkedPackage, error) {
	const format = "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}\t{{.Dir}}\t{{$.Dir}}{{end}}{{end}}"
	var stderr bytes.Buffer
	cmd := exec.Command("go", append([]string{"list", "-deps", "-f", format}, packages...)...)
	cmd.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("listing linked packages for %s: %w: %s", system, err,
			stderr.String())
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
	license = regexp.MustCompile(`(?i)^(licen[cs]e|copying)`)
	notice  = regexp.MustCompile(`(?i)^(notice|patents)`)
	// Phrases of the accepted licenses: Apache-2.0, MIT, BSD-2-Clause, BSD-3-Clause.
	known = regexp.MustCompile(`Apache License\s+Version 2\.0|Permission is hereby granted, free of charge|Redistribution and use in source and binary forms`)
)

// collect adds the licenses and notices in the package's directory and its parents, up to the
// module's directory. A module may contain third-party code in a directory with its own license, as
// the AWS SDK does.
func (p linkedPackage) collect(found map[string][]string) error {
	licenses := 0
	for dir := p.dir; ; dir = filepath.Dir(dir) {
		files, err := os.ReadDir(dir)
		if err != nil {
			return fmt.Errorf("finding the license of %s: %w", p.module, err)
		}
		for _, f := range files {
			isLicense := license.MatchString(f.Name())
			if f.IsDir() || !isLicense && !notice.MatchString(f.Name()) ||
				filepath.Ext(f.Name()) == ".go" {
				continue
			}
			b, err := os.ReadFile(filepath.Join(dir, f.Name()))
			if err != nil {
				return fmt.Errorf("reading the license of %s: %w", p.module, err)
			}
			text := strings.TrimSpace(strings.ReplaceAll(string(b), "\r\n", "\n"))
			if isLicense && !known.MatchString(text) {
				return fmt.Errorf("%s: %s is not an accepted license", p.module,
					filepath.Join(dir, f.Name()))
			}
			if isLicense {
				licenses++
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
			return fmt.Errorf("%s is not in %s", p.dir, p.root)
		}
	}
	if licenses == 0 {
		return errors.New(p.module + " has no license")
	}
	return nil
}

// render returns all texts, sorted by module, so that the output depends only on the dependencies.
func render(found map[string][]string) string {
	type entry struct{ who, text string }
	var all []entry
	for text, who := range found {
		slices.Sort(who)
		all = append(all, entry{strings.Join(who, "\n"), text})
	}
	slices.SortFunc(all,
		func(a, b entry) int { return strings.Compare(a.who+a.text, b.who+b.text) })
	var b strings.Builder
	b.WriteString("docker-credential-ecr-oidc contains the following software under these licenses.\n")
	for _, e := range all {
		fmt.Fprintf(&b, "\n%s\n%s\n\n%s\n", strings.Repeat("-", 80), e.who, e.text)
	}
	return b.String()
}
