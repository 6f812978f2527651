// Command docker-credential-ecr-oidc is a Docker credential helper for Amazon ECR that turns a CI's
// OIDC token into a registry password.
//
// Docker runs it with one command (get, store, erase, list) and uses its stdin and stdout. People
// run it with other commands, such as configure. "docker-credential-ecr-oidc help" lists them.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/docker/docker-credential-helpers/credentials"
	"golang.org/x/term"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/cli"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/debuglog"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/explain"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/helper"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
)

// The release build sets these. "go install" leaves them empty.
var (
	version string
	commit  string
)

func main() {
	os.Exit(run(cli.Program{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Env: os.LookupEnv,
		Version: version, Commit: commit,
	}, os.Args[1:]))
}

// failed is the exit code of a failure. Docker treats every code but 0 alike.
const failed = 1

// run dispatches Docker's commands first: what people need (flags, help, completion) is built only
// for them.
func run(p cli.Program, args []string) int {
	if len(args) == 1 && slices.Contains([]string{"get", "store", "erase", "list"}, args[0]) {
		if args[0] == "list" || !isTerminal(p.Stdin) {
			return serve(p, args[0])
		}
	}
	return p.Run(args)
}

// isTerminal reports whether a person typed the command, and would wait for a request that does not
// come.
func isTerminal(stdin io.Reader) bool {
	f, ok := stdin.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// serve runs one of Docker's commands and returns the exit code. It writes the response only when it
// is complete, and writes to stderr only on failure. It returns after explain.GetTimeout even if a
// system call blocks that cannot be canceled, such as a read from a pipe without a writer or from a
// network mount that does not respond.
func serve(p cli.Program, command string) int {
	ctx, cancel := context.WithTimeout(context.Background(), explain.GetTimeout)
	defer cancel()
	var input atomic.Pointer[string] // nil until stdin has been read
	var response bytes.Buffer        // after an error it may still be written, so it is not read
	done := make(chan error, 1)
	go func() {
		text, err := read(p.Stdin, command)
		if err == nil {
			input.Store(&text)
			err = credentials.HandleCommand(adaptor{newHelper(p), ctx}, command,
				strings.NewReader(text), &response)
		}
		done <- err
	}()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		err = &explain.TimeoutError{Action: "serving " + command, Limit: explain.GetTimeout}
	}
	if err != nil {
		return fail(p, err, requested(command, input.Load()))
	}
	if _, err := p.Stdout.Write(response.Bytes()); err != nil {
		fmt.Fprintf(p.Stderr, "ecr-oidc: writing the answer: %v\n", err)
		return failed
	}
	return 0
}

// maxStdin is the most that is read of stdin, in bytes. A login, which is the most that a client
// writes, has about five thousand.
const maxStdin = 64 << 10

// read returns what Docker wrote to stdin; "" for list, which has no input.
// docker-credential-helpers would read all of it into memory.
func read(stdin io.Reader, command string) (string, error) {
	if command == "list" {
		return "", nil
	}
	text, err := io.ReadAll(io.LimitReader(stdin, maxStdin+1))
	if err == nil && len(text) > maxStdin {
		err = fmt.Errorf("it is longer than %d KiB", maxStdin>>10)
	}
	if err != nil {
		return "", fmt.Errorf("reading stdin: %w", err)
	}
	return string(text), nil
}

// newHelper returns the helper. A get enters debuglog only when it may be on.
func newHelper(p cli.Program) helper.Helper {
	h := helper.Helper{Env: p.Env, Environ: os.Environ(), Debug: func(string, ...any) {}}
	if p.Env.Get("ECR_OIDC_DEBUG") != "" || p.Env.Get("RUNNER_DEBUG") == "1" {
		h.Debug = debuglog.ForLogin(p.Env, p.Stderr)
	}
	return h
}

// requested returns the host of the registry that a get was called for; "" when it is not known.
func requested(command string, input *string) string {
	if command != "get" || input == nil {
		return ""
	}
	reg, _ := registry.Parse(strings.TrimSpace(*input))
	return reg.Host
}

// fail reports the error of a call. The same line goes to both streams: Docker before 28.5 (push)
// and 29.0 (pull) drops the first and shows the second. The protocol's own sentences are compared
// whole by its clients and go to stdout alone.
func fail(p cli.Program, err error, host string) int {
	if credentials.IsErrCredentialsNotFound(err) ||
		credentials.IsCredentialsMissingServerURL(err) ||
		credentials.IsCredentialsMissingUsername(err) {
		fmt.Fprintln(p.Stdout, err)
		return failed
	}
	line := explain.Line(err, host, p.Env.Secrets())
	fmt.Fprintln(p.Stdout, line)
	fmt.Fprintln(p.Stderr, line)
	return failed
}

// adaptor gives the helper docker-credential-helpers' interface, which knows no context; so it is
// kept here.
type adaptor struct {
	helper.Helper
	ctx context.Context
}

func (a adaptor) Add(c *credentials.Credentials) error { return a.Store(a.ctx, c) }
func (a adaptor) Delete(host string) error             { return a.Erase(a.ctx, host) }
func (a adaptor) List() (map[string]string, error)     { return a.Helper.List(a.ctx) }
func (a adaptor) Get(host string) (username, secret string, err error) {
	return a.Helper.Get(a.ctx, host)
}
