// Command docker-credential-ecr-oidc is a Docker credential helper for Amazon ECR that turns a CI's OIDC token into a
// registry password.
//
// Docker runs it with one verb (get, store, erase, list) and talks to it over stdin and stdout; people run it with
// configure. "docker-credential-ecr-oidc help" says more.
package main

import (
	"fmt"
	"io"
	"os"

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

func (p program) run(args []string) int {
	verb := ""
	if len(args) > 0 {
		verb, args = args[0], args[1:]
	}
	switch verb {
	case "get", "store", "erase", "list":
		if len(args) > 0 {
			return p.usage(verb + " takes no arguments; it reads from stdin")
		}
		return p.protocol(verb)
	case "version", "--version", "-v":
		fmt.Fprintln(p.stdout, versionLine())
		return succeeded
	case "configure":
		return p.configure(args)
	case "help", "--help", "-h":
		fmt.Fprint(p.stdout, usage)
		return succeeded
	case "":
		return p.usage("a verb is missing")
	}
	return p.usage(fmt.Sprintf("unknown verb %q", verb))
}

const usage = `docker-credential-ecr-oidc: a Docker credential helper for Amazon ECR that logs in with your CI's OIDC token.

For people:
  configure REGISTRY...   let Docker ask this helper for these registries
  version                 print the version
  help                    print this

For Docker (each reads from stdin):
  get  store  erase  list

The role to assume is in ECR_OIDC_ROLE, ECR_ROLE_TO_ASSUME or AWS_ROLE_ARN.
With ECR_OIDC_DEBUG=1 every step is told on stderr.
`

// usage complains about how the program was called.
func (p program) usage(complaint string) int {
	fmt.Fprintf(p.stderr, "ecr-oidc: %s\n\n%s", complaint, usage)
	return wrongUsage
}
