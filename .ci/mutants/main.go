// Command mutants changes the source in many small ways and reports the changes that no test detects.
//
//	go run ./.ci/mutants -n 200 -seed 1        # a sample of mutants against the tests of their package
//	go run ./.ci/mutants -n 200 -seed 1 -e2e   # and the survivors against the e2e tests
//	go run ./.ci/mutants -e2e -run TestScripts -id 12,40
//	go run ./.ci/mutants -C ../worktree -list
//
// No file changes: "go test -overlay" compiles the mutant in place of the source. The sample takes
// each line that can be mutated with the same probability. The same source, packages and seed give
// the same mutants; ids do not depend on the seed.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

type runner struct {
	dir, scratch string   // the module; a directory for overlays and for what tests write
	env          []string // of the go command
	e2e          bool
	run          string                   // the e2e tests to run, a regular expression
	timeouts     map[string]time.Duration // of a package's tests
}

func main() {
	r := runner{timeouts: map[string]time.Duration{}}
	flag.StringVar(&r.dir, "C", ".", "mutate the module in this `directory`")
	flag.BoolVar(&r.e2e, "e2e", false, "run the e2e tests for the survivors of their package's tests")
	flag.StringVar(&r.run, "run", "", "run only the e2e tests that match this `regexp`")
	n := flag.Int("n", 200, "number of mutants")
	seed := flag.Uint64("seed", 1, "seed of the sample")
	ids := flag.String("id", "", "test only the mutants with these `ids`, separated by commas")
	packages := flag.String("packages", "token,exchange,cache,helper,config,registry,dockerconfig",
		"directories below internal, separated by commas")
	list := flag.Bool("list", false, "list all mutants, test none")
	flag.Parse()
	if err := r.main(*n, *seed, *ids, *packages, *list); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func (r *runner) main(n int, seed uint64, ids, packages string, list bool) error {
	all, err := findMutants(r.dir, strings.Split(packages, ","))
	if err != nil {
		return err
	}
	if list {
		for _, m := range all {
			fmt.Println(m)
		}
		return nil
	}
	chosen := sample(all, seed)
	if ids != "" {
		chosen = nil
		for id := range strings.SplitSeq(ids, ",") {
			i, err := strconv.Atoi(id)
			if err != nil || i < 0 || i >= len(all) {
				return fmt.Errorf("no mutant %q; ids are 0 to %d", id, len(all)-1)
			}
			chosen = append(chosen, all[i])
		}
		n = len(chosen)
	}
	if err := r.prepare(); err != nil {
		return err
	}
	defer os.RemoveAll(r.scratch)
	return r.testAll(chosen, n)
}

// sample returns one mutant of each line in random order, then the other mutants in random order.
func sample(all []mutant, seed uint64) []mutant {
	random := rand.New(rand.NewPCG(seed, 0))
	all = slices.Clone(all)
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var first, rest []mutant
	seen := map[string]bool{}
	for _, m := range all {
		if line := m.position(); !seen[line] {
			seen[line] = true
			first = append(first, m)
		} else {
			rest = append(rest, m)
		}
	}
	return append(first, rest...)
}

// prepare gives the tests a home directory of their own, since a mutant may write anywhere in it.
func (r *runner) prepare() (err error) {
	if r.dir, err = filepath.Abs(r.dir); err != nil {
		return err
	}
	if r.scratch, err = os.MkdirTemp("", "mutants-"); err != nil {
		return err
	}
	names := []string{"GOCACHE", "GOPATH", "GOMODCACHE"} // are in the home directory by default
	out, err := exec.Command("go", append([]string{"env"}, names...)...).Output()
	if err != nil {
		return err
	}
	r.env = append(os.Environ(), "HOME="+r.scratch, "TMPDIR="+r.scratch)
	for i, value := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		r.env = append(r.env, names[i]+"="+value)
	}
	return nil
}

func (r *runner) testAll(chosen []mutant, n int) error {
	counts := map[string]int{}
	for _, m := range chosen {
		if n == 0 {
			break
		}
		by, err := r.test(m)
		if err != nil {
			return err
		}
		kind, _, _ := strings.Cut(by, " ")
		counts[kind]++
		if kind == "invalid" {
			continue
		}
		n--
		fmt.Printf("%s\n\t%s\n", m, by)
	}
	fmt.Printf("%d killed by package tests, %d by e2e tests, %d by timeouts, %d survived\n",
		counts["package"], counts["e2e"], counts["timeout"], counts["survived"])
	fmt.Printf("%d not counted, because they did not compile\n", counts["invalid"])
	return nil
}

// test returns "invalid" for a mutant that does not compile, "survived", or what killed the mutant.
func (r *runner) test(m mutant) (string, error) {
	if string(m.source[m.start:m.end]) == m.text { // "_ = x" has no other left side
		return "invalid", nil
	}
	overlay, err := r.write(m)
	if err != nil {
		return "", err
	}
	pkg := "./" + filepath.ToSlash(filepath.Dir(m.file))
	if r.timeouts[pkg] == 0 {
		start := time.Now()
		if by := r.goTest("", pkg, "", 10*time.Minute); by != "" {
			return "", fmt.Errorf("the tests of %s fail without a mutant: %s", pkg, by)
		}
		r.timeouts[pkg] = time.Minute + 4*time.Since(start)
	}
	by := r.goTest(overlay, pkg, "", r.timeouts[pkg])
	switch {
	case by == "invalid" || strings.HasPrefix(by, "timeout"):
		return by, nil
	case by != "":
		return "package " + by, nil
	case !r.e2e:
		return "survived", nil
	}
	by = r.goTest(overlay, "./e2e", r.run, 15*time.Minute)
	if by == "" {
		return "survived e2e", nil
	}
	return "e2e " + by, nil
}

// write returns the name of an overlay file for "go build".
func (r *runner) write(m mutant) (string, error) {
	changed, overlay := filepath.Join(r.scratch, "mutant.go"), filepath.Join(r.scratch, "overlay.json")
	replace := map[string]string{filepath.Join(r.dir, m.file): changed}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	return overlay, errors.Join(err,
		os.WriteFile(changed, m.apply(), 0o600), os.WriteFile(overlay, text, 0o600))
}

var failure = regexp.MustCompile(`(?m)^ *--- FAIL: (\S+)`)

// goTest returns "" if the tests pass, and otherwise the name of a test that fails, "timeout" or
// "invalid". The overlay is in GOFLAGS for the go commands that e2e tests run.
func (r *runner) goTest(overlay, pkg, run string, timeout time.Duration) string {
	// The tests are compiled first.
	ctx, cancel := context.WithTimeout(context.Background(), timeout+5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-failfast", "-vet=off",
		"-parallel=8", // most tests wait
		"-timeout="+timeout.String(), "-run="+run, pkg)
	cmd.Dir, cmd.Env, cmd.WaitDelay = r.dir, r.env, time.Second
	if overlay != "" {
		cmd.Env = append(slices.Clip(r.env), "GOFLAGS=-overlay="+overlay)
	}
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		return ""
	case bytes.Contains(out, []byte("[build failed]")), bytes.Contains(out, []byte("[setup failed]")):
		return "invalid"
	case ctx.Err() != nil, bytes.Contains(out, []byte("panic: test timed out")):
		return "timeout"
	}
	var test string
	for _, found := range failure.FindAllSubmatch(out, -1) {
		if name := string(found[1]); test == "" || strings.HasPrefix(name, test+"/") {
			test = name // the innermost name comes last
		}
	}
	if test == "" {
		test = "(panic or exit: " + lastLine(out) + ")"
	}
	return test
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.TrimSpace(lines[max(0, len(lines)-3)])
}
