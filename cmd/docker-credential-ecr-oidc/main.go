// Command docker-credential-ecr-oidc is a Docker credential helper for Amazon ECR that turns a CI's OIDC token into a
// registry password.
//
// Docker runs it with one verb (get, store, erase, list) and talks to it over stdin and stdout; people run it with
// configure. "docker-credential-ecr-oidc help" says more.
package main

import (
	"io"
	"os"
	"slices"

	"golang.org/x/term"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

func main() {
	os.Exit(program{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, env: os.LookupEnv}.run(os.Args[1:]))
}

// program is the outside world as a verb sees it.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	env            token.Env
}

// Exit codes. Docker treats every code but 0 alike.
const (
	succeeded  = 0
	failed     = 1
	wrongUsage = 2
)

// run answers Docker first: what people need (flags, help, completion) is built only for them.
func (p program) run(args []string) int {
	if len(args) == 1 && slices.Contains([]string{"get", "store", "erase", "list"}, args[0]) {
		if args[0] == "list" || !p.atTerminal() {
			return p.protocol(args[0])
		}
	}
	return p.human(args)
}

// atTerminal says whether somebody typed this, and would wait for an answer to a question that nobody asked.
func (p program) atTerminal() bool {
	f, ok := p.stdin.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
