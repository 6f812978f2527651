// Command docker-credential-ecr-oidc is a Docker credential helper for Amazon ECR that turns a CI's
// OIDC token into a registry password.
//
// Docker runs it with a command of its credential helper protocol (get, store, erase, list) and uses
// its stdin and stdout. Users run it with other commands, such as configure. The command help lists
// them.
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

// The release build sets version and commit. "go install" leaves them empty.
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

// exitFailure is the exit code of a failure. Docker treats all codes other than 0 alike.
const exitFailure = 1

// run runs the command in args and returns the exit code. Docker's commands skip package cli, so that
// a get does not build the command line parser. If a user types one that reads from stdin in a
// terminal, cli explains it instead of waiting for input.
func run(p cli.Program, args []string) int {
	isDocker := len(args) == 1 && slices.Contains([]string{"get", "store", "erase", "list"}, args[0])
	if !isDocker || args[0] != "list" && isTerminal(p.Stdin) {
		return p.Run(args)
	}
	code := serve(p, args[0])
	if args[0] == "list" && isTerminal(p.Stdout) && isTerminal(p.Stderr) {
		fmt.Fprintln(p.Stderr, "ecr-oidc: list prints these hosts for Docker; to print the state of "+
			"every registry: docker-credential-ecr-oidc check --offline")
	}
	return code
}

// isTerminal reports whether stdin, stdout or stderr is a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// serve runs one of Docker's commands and returns the exit code. It writes only complete responses to
// stdout. Apart from debug lines and the output of the helper in creds_store, it writes to stderr only
// on failure. It returns after explain.CommandTimeout even if the command is blocked in a system call
// that cannot be canceled, such as a read from a pipe without a writer or from a network mount that
// does not respond.
func serve(p cli.Program, command string) int {
	ctx, cancel := context.WithTimeout(context.Background(), explain.CommandTimeout)
	defer cancel()
	var input atomic.Pointer[string] // nil until stdin has been read
	var response bytes.Buffer        // not read after a timeout: the goroutine may still write to it
	done := make(chan error, 1)
	go func() {
		text, err := read(p.Stdin, command)
		if err == nil {
			input.Store(&text)
			err = credentials.HandleCommand(adapter{newHelper(p), ctx}, command,
				strings.NewReader(text), &response)
		}
		done <- err
	}()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		err = &explain.TimeoutError{Action: "running " + command, Limit: explain.CommandTimeout}
	}
	if err != nil {
		return fail(p, err, requestedHost(command, input.Load()))
	}
	if _, err := p.Stdout.Write(response.Bytes()); err != nil {
		fmt.Fprintf(p.Stderr, "ecr-oidc: writing the response: %v\n", err)
		return exitFailure
	}
	return 0
}

// maxStdin is the maximum size of stdin in bytes. The largest input is a login of about 5 KB.
const maxStdin = 64 << 10

// read returns the content of stdin, or "" for list, which has no input. It limits the size, which
// docker-credential-helpers does not.
func read(stdin io.Reader, command string) (string, error) {
	if command == "list" {
		return "", nil
	}
	text, err := io.ReadAll(io.LimitReader(stdin, maxStdin+1))
	if err == nil && len(text) > maxStdin {
		err = fmt.Errorf("the input is longer than %d KiB", maxStdin>>10)
	}
	if err != nil {
		return "", fmt.Errorf("reading stdin: %w", err)
	}
	return string(text), nil
}

// newHelper returns the helper. It calls package debuglog only if debug lines may be enabled.
func newHelper(p cli.Program) helper.Helper {
	h := helper.Helper{Env: p.Env, Environ: os.Environ(), Debug: func(string, ...any) {}}
	if p.Env.Get("ECR_OIDC_DEBUG") != "" || p.Env.Get("RUNNER_DEBUG") == "1" {
		h.Debug = debuglog.ForCommand(p.Env, p.Stderr)
	}
	return h
}

// requestedHost returns the registry host in the input of a get, or "" if it is unknown.
func requestedHost(command string, input *string) string {
	if command != "get" || input == nil {
		return ""
	}
	reg, _ := registry.Parse(strings.TrimSpace(*input))
	return reg.Host
}

// fail reports an error and returns the exit code. It writes the same line to stdout and stderr, or
// only to stderr if both are terminals, and records it for the action. Both streams are necessary:
// Docker before 28.5 (push) and 29.0 (pull) discards stdout and shows stderr. The messages that the
// protocol defines are written to stdout only, because clients compare them with the whole output.
func fail(p cli.Program, err error, host string) int {
	if credentials.IsErrCredentialsNotFound(err) ||
		credentials.IsCredentialsMissingServerURL(err) ||
		credentials.IsCredentialsMissingUsername(err) {
		fmt.Fprintln(p.Stdout, err)
		return exitFailure
	}
	line := explain.Line(err, host, p.Env.Secrets())
	if !isTerminal(p.Stdout) || !isTerminal(p.Stderr) { // a user would read the line twice
		fmt.Fprintln(p.Stdout, line)
	}
	fmt.Fprintln(p.Stderr, line)
	if host != "" {
		debuglog.RecordFailure(p.Env, host, line)
	}
	return exitFailure
}

// adapter implements credentials.Helper. That interface has no context parameters, so adapter holds
// the context.
type adapter struct {
	helper.Helper
	ctx context.Context
}

func (a adapter) Add(c *credentials.Credentials) error { return a.Store(a.ctx, c) }
func (a adapter) Delete(host string) error             { return a.Erase(a.ctx, host) }
func (a adapter) List() (map[string]string, error)     { return a.Helper.List(a.ctx) }
func (a adapter) Get(host string) (username, secret string, err error) {
	return a.Helper.Get(a.ctx, host)
}
