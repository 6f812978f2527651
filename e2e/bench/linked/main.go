// Command linked measures the startup cost of the program's dependencies. It builds variants that
// only link packages, each with more packages than the one before, and runs them and this program
// alternately.
//
//	go run ./e2e/bench/linked
//
// It reports the time of package initialization, as GODEBUG=inittrace=1 prints it, and the duration
// of the whole process.
//
// It can also measure another tree of this program, and a get with other environment variables:
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

// steps are the linked packages. Each step links the packages of all steps before it, too.
var steps = []struct {
	name     string
	packages []string
}{
	{"empty program", nil},
	{"net/http, encoding/json, regexp", []string{"net/http", "encoding/json", "regexp"}},
	{"+ sts of the AWS SDK", []string{"github.com/aws/aws-sdk-go-v2/service/sts"}},
	{"+ ecr", []string{"github.com/aws/aws-sdk-go-v2/service/ecr"}},
	{"+ ecrpublic", []string{"github.com/aws/aws-sdk-go-v2/service/ecrpublic"}},
	{"+ sso, ssooidc, signin", []string{
		"github.com/aws/aws-sdk-go-v2/service/sso",
		"github.com/aws/aws-sdk-go-v2/service/ssooidc",
		"github.com/aws/aws-sdk-go-v2/service/signin",
	}},
	{"+ config, credentials, imds", []string{
		"github.com/aws/aws-sdk-go-v2/config",
		"github.com/aws/aws-sdk-go-v2/credentials",
		"github.com/aws/aws-sdk-go-v2/feature/ec2/imds",
	}},
	{"+ jwt, docker-credential-helpers", []string{
		"github.com/golang-jwt/jwt/v5",
		"github.com/docker/docker-credential-helpers/credentials",
	}},
	{"+ YAML", []string{"github.com/goccy/go-yaml/parser"}},
	{"+ cobra", []string{"github.com/spf13/cobra"}},
}

// variant is a measured program or a way to run it.
type variant struct {
	name      string
	runs      int // so far
	command   func(binary string) *exec.Cmd
	binary    func(copy int) string
	inits     []time.Duration // package initialization of each run
	allocated int             // bytes allocated by package initialization
	durations []time.Duration // of each process
}

func main() {
	runs := flag.Int("runs", 200, "`N` runs of each program")
	also := flag.String("also", "", "`directory` of another tree of this program, to measure it as well")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: linked [-runs N] [-also directory] [NAME=value ...]")
		flag.PrintDefaults()
	}
	flag.Parse()
	if *runs < 1 || slices.ContainsFunc(flag.Args(),
		func(arg string) bool { return strings.Index(arg, "=") < 1 }) {
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
	variants, err := build(dir, also, settings)
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(0, 0)) // the order affects the results, so it is random
	for range runs {
		for _, i := range random.Perm(len(variants)) {
			if err := variants[i].measure(); err != nil {
				return err
			}
		}
	}
	fmt.Fprintf(out, "%s, %s/%s; medians of %d runs each, in random order\n\n", runtime.Version(),
		runtime.GOOS, runtime.GOARCH, runs)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "program\tpackage initialization\tallocated\tprocess")
	for _, v := range variants {
		inits := "\t"
		if len(v.inits) > 0 {
			inits = fmt.Sprintf("%.2f ms\t%d kB", ms(median(v.inits)), v.allocated/1000)
		}
		fmt.Fprintf(table, "%s\t%s\t%.2f ms\n", v.name, inits, ms(median(v.durations)))
	}
	return table.Flush()
}

// build builds the variants, and stores a login for the gets of this program.
func build(dir, also string, settings []string) ([]variant, error) {
	var variants []variant
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
		variants = append(variants, variant{name: step.name, binary: linked,
			command: func(binary string) *exec.Cmd { return job(dir, binary, "") }})
	}
	helper, err := compile(dir, program, ".", "./cmd/"+program)
	if err != nil {
		return nil, err
	}
	login, err := json.Marshal(map[string]string{"ServerURL": host, "Username": "AWS",
		"Secret": strings.Repeat("a password is long ", 120)})
	if err != nil {
		return nil, err
	}
	if text, err := job(dir, helper(0), string(login), "store").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("storing a login: %w: %s", err, text)
	}
	get := func(more ...string) func(string) *exec.Cmd {
		return func(binary string) *exec.Cmd {
			cmd := job(dir, binary, host, "get")
			cmd.Env = append(cmd.Env, more...)
			return cmd
		}
	}
	variants = append(variants,
		variant{name: program + " version", binary: helper,
			command: func(binary string) *exec.Cmd { return job(dir, binary, "", "version") }},
		variant{name: program + " get, cached", binary: helper, command: get()})
	for _, setting := range settings {
		variants = append(variants, variant{name: "  with " + setting, binary: helper, command: get(setting)})
	}
	if also != "" {
		other, err := compile(dir, "also", also, "./cmd/"+program)
		if err != nil {
			return nil, err
		}
		variants = append(variants, variant{name: "  of " + also, binary: other, command: get()})
	}
	return variants, nil
}

// copies is the number of copies of each program, which the runs use in turn. How the kernel caches
// a file changes the duration of a process by up to half a millisecond.
const copies = 4

// compile builds a package or file of a tree with the flags of releases. It returns the paths of
// the copies.
func compile(dir, name, tree, target string) (path func(copy int) string, err error) {
	built := filepath.Join(dir, "built", name+".exe")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", built, target)
	cmd.Dir, cmd.Env = tree, append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building %s in %s: %w\n%s", target, tree, err, text)
	}
	content, err := os.ReadFile(built)
	if err != nil {
		return nil, err
	}
	path = func(copy int) string { return filepath.Join(dir, fmt.Sprintf("%s-%d.exe", name, copy%copies)) }
	for n := range copies {
		err = errors.Join(err, os.WriteFile(path(n), content, 0o700))
	}
	return path, err
}

// job returns a command with only the environment of a CI job.
func job(dir, binary, stdin string, args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = []string{
		"HOME=" + dir, "RUNNER_TEMP=" + dir, "GITHUB_ACTIONS=true", "GITHUB_REPOSITORY=acme/app",
		"GITHUB_RUN_ID=1",
		"ACTIONS_ID_TOKEN_REQUEST_URL=https://localhost/",
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN=the-request-token-of-this-job",
		"ECR_OIDC_ROLE=arn:aws:iam::123456789012:role/ci", "SystemRoot=" + os.Getenv("SystemRoot"),
	}
	return cmd
}

// measure runs the program twice: for its duration, and with the trace of package initialization,
// which itself takes time.
func (v *variant) measure() error {
	binary := v.binary(v.runs)
	v.runs++
	cmd := v.command(binary)
	start := time.Now()
	err := cmd.Run()
	v.durations = append(v.durations, time.Since(start))
	if err != nil {
		return fmt.Errorf("running %s: %w", v.name, err)
	}
	traced := v.command(binary)
	if slices.ContainsFunc(traced.Env, func(s string) bool { return strings.HasPrefix(s, "GODEBUG=") }) {
		return nil // GODEBUG is already set
	}
	var trace bytes.Buffer
	traced.Env, traced.Stderr = append(traced.Env, "GODEBUG=inittrace=1"), &trace
	if err := traced.Run(); err != nil {
		return fmt.Errorf("tracing %s: %w", v.name, err)
	}
	inits, allocated := sum(trace.String())
	v.inits, v.allocated = append(v.inits, inits), allocated
	return nil
}

// traceLine is a line of the trace: https://pkg.go.dev/runtime#hdr-Environment_Variables
var traceLine = regexp.MustCompile(`(?m)^init \S+ @\S+ ms, (\S+) ms clock, (\d+) bytes, \d+ allocs$`)

// sum returns the total time and the allocated bytes of a trace.
func sum(trace string) (total time.Duration, allocated int) {
	for _, m := range traceLine.FindAllStringSubmatch(trace, -1) {
		clock, err := time.ParseDuration(m[1] + "ms")
		n, err2 := strconv.Atoi(m[2])
		if err == nil && err2 == nil {
			total, allocated = total+clock, allocated+n
		}
	}
	return total, allocated
}

func median(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2]
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
