package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/docker/docker-credential-helpers/credentials"
	"github.com/spf13/cobra"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/oneline"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
)

func (p program) passwordVerb() *cobra.Command {
	return &cobra.Command{
		Use:   "password HOST",
		Short: "Print the password for a registry",
		Long: `Print the password for a registry, alone, for tools that call no credential helper. The username is AWS.

In GitHub Actions the password is masked in the job's log first.`,
		Example:           lines("docker-credential-ecr-oidc password " + exampleHost + " | helm registry login --username AWS --password-stdin " + exampleHost),
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: p.completeHosts,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return wrong("password takes one registry, for example %s", exampleHost)
			}
			return p.password(args[0])
		},
	}
}

// getError is what a get for a registry failed with.
type getError struct {
	error
	host string
}

func (e *getError) Unwrap() error { return e.error }

// password prints what get would answer.
func (p program) password(arg string) error {
	reg, ok := registry.Parse(arg)
	if !ok {
		return wrong("%s", notECR(arg))
	}
	var secret string
	err := within("password", wholeGet, func(ctx context.Context) (err error) {
		_, secret, err = p.loginHelper().Get(ctx, reg.Host)
		return err
	})
	switch {
	case credentials.IsErrCredentialsNotFound(err) && reg.Public:
		return fmt.Errorf("finding a password for %s: it is left anonymous, since no role is set for it; set ECR_OIDC_ROLE_PUBLIC", reg.Host)
	case credentials.IsErrCredentialsNotFound(err):
		return fmt.Errorf("finding a password for %s: %w", reg.Host, config.ErrNotAllowed)
	case err != nil:
		return &getError{err, reg.Host}
	}
	p.mask(secret)
	fmt.Fprintln(p.stdout, secret)
	return nil
}

// mask has the GitHub runner strike the password out of the job's log. The line goes to stderr, where the runner looks
// for commands as it does on stdout (actions/runner ScriptHandler: an OutputManager on each), because stdout belongs to
// the tool that the password is piped to. It comes first, so that no line of the log can be ahead of it.
func (p program) mask(secret string) {
	if strings.EqualFold(p.env.Get("GITHUB_ACTIONS"), "true") {
		// As actions/toolkit's core.setSecret escapes it.
		fmt.Fprintf(p.stderr, "::add-mask::%s\n", strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(secret))
	}
}

// notECR says what a registry looks like to who named something else.
func notECR(arg string) string {
	return fmt.Sprintf("%q is not an ECR registry; one looks like %s", oneline.Clean(arg), exampleHost)
}
