package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/docker/docker-credential-helpers/credentials"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/helper"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/oneline"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
)

// wholeGet is the time limit of one call by Docker. It bounds what the steps inside bound already.
const wholeGet = 28 * time.Second

// maxStdin is the most that is read of stdin, in bytes. A login, which is the most that a client writes there, has about
// five thousand.
const maxStdin = 64 << 10

// protocol answers one call in docker-credential-helpers' protocol. Nothing is written before the whole answer is
// known, and a success writes nothing to stderr.
func (p program) protocol(verb string) int {
	var answer bytes.Buffer
	var host atomic.Value
	err := within(verb, wholeGet, func(ctx context.Context) error {
		var input io.Reader = strings.NewReader("") // which list does not read
		if verb != "list" {
			text, err := io.ReadAll(io.LimitReader(p.stdin, maxStdin+1))
			if err != nil {
				return fmt.Errorf("reading stdin: %w", err)
			}
			if len(text) > maxStdin { // docker-credential-helpers would read all of it into memory
				return fmt.Errorf("reading stdin: it is longer than %d KiB", maxStdin>>10)
			}
			input = bytes.NewReader(text)
		}
		return credentials.HandleCommand(adaptor{p.loginHelper(), ctx, &host}, verb, input, &answer)
	})
	if err != nil {
		asked, _ := host.Load().(string)
		return p.fail(err, asked)
	}
	if _, err := p.stdout.Write(answer.Bytes()); err != nil {
		fmt.Fprintf(p.stderr, "ecr-oidc: writing the answer: %v\n", err)
		return failed
	}
	return succeeded
}

// overdue says that something was not done in time, having hung in what knows no time limit of its own.
type overdue struct {
	verb  string
	limit time.Duration
}

func (e *overdue) Error() string {
	return fmt.Sprintf("answering %s: not done within %v", e.verb, e.limit)
}

// within does one thing in the time that it has, also when it hangs in what knows no context: a pipe that nobody
// writes to, a dead network mount.
func within(verb string, limit time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- do(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return &overdue{verb, limit}
	}
}

func (p program) helper() helper.Helper {
	return helper.Helper{Env: p.env, Environ: os.Environ(), Debug: p.debug()}
}

// loginHelper is helper for commands that log in: their steps may go to the runner's debug log.
func (p program) loginHelper() helper.Helper {
	h := p.helper()
	if p.runnerDebug() {
		h.Debug = p.runnerLog()
	}
	return h
}

// fail says why. The same line goes to both streams: Docker before 28.5 (push) and 29.0 (pull) drops the first and
// shows the second. The protocol's own sentences are compared whole by its clients and go to stdout alone.
func (p program) fail(err error, host string) int {
	if credentials.IsErrCredentialsNotFound(err) || credentials.IsCredentialsMissingServerURL(err) || credentials.IsCredentialsMissingUsername(err) {
		fmt.Fprintln(p.stdout, err)
		return failed
	}
	line := p.line(err, host)
	fmt.Fprintln(p.stdout, line)
	fmt.Fprintln(p.stderr, line)
	return failed
}

// line is an error and what to do about it, as one line without secrets. The host is the one that a get was asked for.
func (p program) line(err error, host string) string {
	text := "ecr-oidc: " + err.Error()
	for _, next := range []string{advice(err), more(err, host)} {
		if next != "" {
			text += "; " + next
		}
	}
	return oneline.Line(oneline.Strike(text, p.env.Secrets()...))
}

// adaptor gives the helper docker-credential-helpers' interface, which knows no context; so it is kept here.
type adaptor struct {
	helper.Helper
	ctx  context.Context
	host *atomic.Value // the registry's host that get was asked for; whoever waits for the answer may give up meanwhile
}

func (a adaptor) Add(c *credentials.Credentials) error { return a.Store(a.ctx, c) }
func (a adaptor) Delete(host string) error             { return a.Erase(a.ctx, host) }
func (a adaptor) List() (map[string]string, error)     { return a.Helper.List(a.ctx) }
func (a adaptor) Get(host string) (string, string, error) {
	if reg, ok := registry.Parse(host); ok {
		a.host.Store(reg.Host)
	}
	return a.Helper.Get(a.ctx, host)
}
