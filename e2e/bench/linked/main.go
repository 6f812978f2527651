// Command linked measures what a process of this program spends before it does anything: it builds programs that do
// nothing but link, one after the other, what this one links, and runs them in turn, with this program beside them.
//
//	go run ./e2e/bench/linked
//
// Package initialisation is what GODEBUG=inittrace=1 says; the time is that of a whole process, from its start to its end.
//
// What a change is worth is seen beside a tree without it, and what a setting is worth beside a get without it:
//
//	git worktree add ../before COMMIT
//	go run ./e2e/bench/linked -also ../before GOMAXPROCS=1 GODEBUG=containermaxprocs=0
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

const (
	program = "docker-credential-ecr-oidc"
	host    = "123456789012.dkr.ecr.eu-west-2.amazonaws.com"
)

// steps are what is linked, each in addition to those above it.
var steps = []struct {
	name     string
	packages []string
}{
	{"nothing", nil},
	{"net/http, encoding/json, regexp", []string{"net/http", "encoding/json", "regexp"}},
	{"+ the SDK's sts", []string{"github.com/aws/aws-sdk-go-v2/service/sts"}},
	{"+ ecr", []string{"github.com/aws/aws-sdk-go-v2/service/ecr"}},
	{"+ ecrpublic", []string{"github.com/aws/aws-sdk-go-v2/service/ecrpublic"}},
	{"+ sso, ssooidc, signin", []string{"github.com/aws/aws-sdk-go-v2/service/sso", "github.com/aws/aws-sdk-go-v2/service/ssooidc", "github.com/aws/aws-sdk-go-v2/service/signin"}},
	{"+ config, credentials, imds", []string{"github.com/aws/aws-sdk-go-v2/config", "github.com/aws/aws-sdk-go-v2/credentials", "github.com/aws/aws-sdk-go-v2/feature/ec2/imds"}},
	{"+ jwt, docker-credential-helpers", []string{"github.com/golang-jwt/jwt/v5", "github.com/docker/docker-credential-helpers/credentials"}},
	{"+ YAML", []string{"github.com/goccy/go-yaml/parser"}},
	{"+ cobra", []string{"github.com/spf13/cobra"}},
}

// measured is one program, and what came of it.
type measured struct {
	name  string
	run   int // so many have been
	cmd   func(binary string) *exec.Cmd
	file  func(copy int) string
	inits []time.Duration // all packages' together, of each run
	bytes int             // that they allocate
	took  []time.Duration
}

func main() {
	runs := flag.Int("runs", 200, "`N` runs of each program")
	also := flag.String("also", "", "`folder` of another tree of this program, to be measured too")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: linked [-runs N] [-also folder] [NAME=value ...]")
		flag.PrintDefaults()
	}
	flag.Parse()
	if *runs < 1 || slices.ContainsFunc(flag.Args(), func(arg string) bool { return strings.Index(arg, "=") < 1 }) {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*runs, *also, flag.Args(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "linked:", err)
		os.Exit(1)
	}
}

func run(runs int, also string, settings []string, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "ecr-oidc-linked-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	programs, err := build(dir, also, settings)
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(0, 0)) // who comes first, and who after whom, is measurable
	for range runs {
		for _, i := range random.Perm(len(programs)) {
			if err := programs[i].once(); err != nil {
				return err
			}
		}
	}
	fmt.Fprintf(out, "%s, %s/%s; medians of %d runs each, in random turns\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runs)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "a process that\tinitialises packages in\tallocating\tand lasts")
	for _, p := range programs {
		inits := "\t"
		if len(p.inits) > 0 {
			inits = fmt.Sprintf("%.2f ms\t%d kB", ms(median(p.inits)), p.bytes/1000)
		}
		fmt.Fprintf(table, "%s\t%s\t%.2f ms\n", p.name, inits, ms(median(p.took)))
	}
	return table.Flush()
}

// build builds the programs, the last of them this one, with a login in its cache that it can answer with.
func build(dir, also string, settings []string) ([]measured, error) {
	var programs []measured
	var source strings.Builder
	source.WriteString("package main\n")
	for i, step := range steps {
		for _, p := range step.packages {
			fmt.Fprintf(&source, "import _ %q\n", p)
		}
		file := filepath.Join(dir, strconv.Itoa(i)+".go")
		if err := os.WriteFile(file, []byte(source.String()+"func main() {}\n"), 0o600); err != nil {
			return nil, err
		}
		linked, err := compile(dir, strconv.Itoa(i), ".", file)
		if err != nil {
			return nil, err
		}
		programs = append(programs, measured{name: "links " + step.name, file: linked, cmd: func(binary string) *exec.Cmd { return job(dir, binary, "") }})
	}
	ours, err := compile(dir, program, ".", "./cmd/"+program)
	if err != nil {
		return nil, err
	}
	login, err := json.Marshal(map[string]string{"ServerURL": host, "Username": "AWS", "Secret": strings.Repeat("a password is long ", 120)})
	if err != nil {
		return nil, err
	}
	if text, err := job(dir, ours(0), string(login), "store").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("storing a login: %w: %s", err, text)
	}
	get := func(more ...string) func(string) *exec.Cmd {
		return func(binary string) *exec.Cmd {
			cmd := job(dir, binary, host, "get")
			cmd.Env = append(cmd.Env, more...)
			return cmd
		}
	}
	programs = append(programs,
		measured{name: "is " + program + " version", file: ours, cmd: func(binary string) *exec.Cmd { return job(dir, binary, "", "version") }},
		measured{name: "is " + program + " get, answered from the cache", file: ours, cmd: get()})
	for _, setting := range settings {
		programs = append(programs, measured{name: "is that, with " + setting, file: ours, cmd: get(setting)})
	}
	if also != "" {
		other, err := compile(dir, "also", also, "./cmd/"+program)
		if err != nil {
			return nil, err
		}
		programs = append(programs, measured{name: "is that, of " + also, file: other, cmd: get()})
	}
	return programs, nil
}

// copies of each program are run by turns, all written alike: how the kernel keeps a file in memory is worth up to half a
// millisecond of what a process of it takes.
const copies = 4

// compile builds as releases are built, in a tree, and returns where each copy lies.
func compile(dir, name, tree, what string) (file func(copy int) string, err error) {
	built := filepath.Join(dir, "built", name+".exe")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", built, what)
	cmd.Dir, cmd.Env = tree, append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building %s in %s: %w\n%s", what, tree, err, text)
	}
	text, err := os.ReadFile(built)
	if err != nil {
		return nil, err
	}
	file = func(copy int) string { return filepath.Join(dir, fmt.Sprintf("%s-%d.exe", name, copy%copies)) }
	for n := range copies {
		err = errors.Join(err, os.WriteFile(file(n), text, 0o700))
	}
	return file, err
}

// job is a process with the environment of a job, and nothing else.
func job(dir, binary, stdin string, args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = []string{
		"HOME=" + dir, "RUNNER_TEMP=" + dir, "GITHUB_ACTIONS=true", "GITHUB_REPOSITORY=acme/app", "GITHUB_RUN_ID=1",
		"ACTIONS_ID_TOKEN_REQUEST_URL=https://localhost/", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=the-request-token-of-this-job",
		"ECR_OIDC_ROLE=arn:aws:iam::123456789012:role/ci", "SystemRoot=" + os.Getenv("SystemRoot"),
	}
	return cmd
}

// once runs a program twice: for its time, and with the trace of its initialisation, which takes time itself.
func (m *measured) once() error {
	binary := m.file(m.run)
	m.run++
	cmd := m.cmd(binary)
	start := time.Now()
	err := cmd.Run()
	m.took = append(m.took, time.Since(start))
	if err != nil {
		return fmt.Errorf("running what %s: %w", m.name, err)
	}
	traced := m.cmd(binary)
	if slices.ContainsFunc(traced.Env, func(v string) bool { return strings.HasPrefix(v, "GODEBUG=") }) {
		return nil // it has one setting of that name already
	}
	var trace bytes.Buffer
	traced.Env, traced.Stderr = append(traced.Env, "GODEBUG=inittrace=1"), &trace
	if err := traced.Run(); err != nil {
		return fmt.Errorf("tracing what %s: %w", m.name, err)
	}
	inits, allocated := sum(trace.String())
	m.inits, m.bytes = append(m.inits, inits), allocated
	return nil
}

// traced is a line of the runtime's: https://pkg.go.dev/runtime#hdr-Environment_Variables
var traced = regexp.MustCompile(`(?m)^init \S+ @\S+ ms, (\S+) ms clock, (\d+) bytes, \d+ allocs$`)

// sum adds up an initialisation's trace.
func sum(trace string) (all time.Duration, allocated int) {
	for _, m := range traced.FindAllStringSubmatch(trace, -1) {
		took, err := time.ParseDuration(m[1] + "ms")
		n, err2 := strconv.Atoi(m[2])
		if err == nil && err2 == nil {
			all, allocated = all+took, allocated+n
		}
	}
	return all, allocated
}

func median(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2]
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
