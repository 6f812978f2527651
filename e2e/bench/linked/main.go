// Command linked measures what a process of this program spends before it does anything: it builds programs that do
// nothing but link, one after the other, what this one links, and runs them in turn, with this program beside them.
//
//	go run ./e2e/bench/linked
//
// Package initialisation is what GODEBUG=inittrace=1 says; the time is that of a whole process, from its start to its end.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
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
	cmd   func() *exec.Cmd
	inits []time.Duration // all packages' together, of each run
	bytes int             // that they allocate
	took  []time.Duration
}

func main() {
	runs := flag.Int("runs", 200, "`N` runs of each program")
	flag.Parse()
	if flag.NArg() > 0 || *runs < 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*runs, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "linked:", err)
		os.Exit(1)
	}
}

func run(runs int, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "ecr-oidc-linked-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	programs, err := build(dir)
	if err != nil {
		return err
	}
	for range runs {
		for i := range programs {
			if err := programs[i].once(); err != nil {
				return err
			}
		}
	}
	fmt.Fprintf(out, "%s, %s/%s; medians of %d runs each, in turn\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runs)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "a process that\tinitialises packages in\tallocating\tand lasts")
	for _, p := range programs {
		fmt.Fprintf(table, "%s\t%.2f ms\t%d kB\t%.2f ms\n", p.name, ms(median(p.inits)), p.bytes/1000, ms(median(p.took)))
	}
	return table.Flush()
}

// build builds the programs, the last of them this one, with a login in its cache that it can answer with.
func build(dir string) ([]measured, error) {
	var programs []measured
	var source strings.Builder
	source.WriteString("package main\n")
	for i, step := range steps {
		for _, p := range step.packages {
			fmt.Fprintf(&source, "import _ %q\n", p)
		}
		folder := filepath.Join(dir, strconv.Itoa(i))
		file, binary := filepath.Join(folder, "main.go"), filepath.Join(folder, "linked.exe")
		if err := errors.Join(os.Mkdir(folder, 0o700), os.WriteFile(file, []byte(source.String()+"func main() {}\n"), 0o600), compile(binary, file)); err != nil {
			return nil, err
		}
		programs = append(programs, measured{name: "links " + step.name, cmd: func() *exec.Cmd { return bare(exec.Command(binary), dir) }})
	}
	binary := filepath.Join(dir, program+".exe")
	if err := compile(binary, "./cmd/"+program); err != nil {
		return nil, err
	}
	ours := func(stdin string, args ...string) *exec.Cmd {
		cmd := bare(exec.Command(binary, args...), dir)
		cmd.Stdin = strings.NewReader(stdin)
		return cmd
	}
	login, err := json.Marshal(map[string]string{"ServerURL": host, "Username": "AWS", "Secret": strings.Repeat("a password is long ", 120)})
	if err != nil {
		return nil, err
	}
	if text, err := ours(string(login), "store").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("storing a login: %w: %s", err, text)
	}
	return append(programs,
		measured{name: "is " + program + " version", cmd: func() *exec.Cmd { return ours("", "version") }},
		measured{name: "is " + program + " get, answered from the cache", cmd: func() *exec.Cmd { return ours(host, "get") }}), nil
}

// compile builds as releases are built.
func compile(binary, what string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, what)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", what, err, text)
	}
	return nil
}

// bare gives a process the environment of a job, and nothing else.
func bare(cmd *exec.Cmd, dir string) *exec.Cmd {
	cmd.Env = []string{
		"HOME=" + dir, "RUNNER_TEMP=" + dir, "GITHUB_ACTIONS=true", "GITHUB_REPOSITORY=acme/app", "GITHUB_RUN_ID=1",
		"ACTIONS_ID_TOKEN_REQUEST_URL=https://localhost/", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=the-request-token-of-this-job",
		"ECR_OIDC_ROLE=arn:aws:iam::123456789012:role/ci", "SystemRoot=" + os.Getenv("SystemRoot"),
	}
	return cmd
}

// once runs a program twice: for its time, and with the trace of its initialisation, which takes time itself.
func (m *measured) once() error {
	cmd := m.cmd()
	start := time.Now()
	err := cmd.Run()
	m.took = append(m.took, time.Since(start))
	if err != nil {
		return fmt.Errorf("running what %s: %w", m.name, err)
	}
	traced := m.cmd()
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
