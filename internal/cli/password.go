package cli

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/docker/docker-credential-helpers/credentials"
	"github.com/spf13/cobra"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/debuglog"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/explain"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/helper"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
)

func (p Program) passwordCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "password HOST",
		Short: "Print the password for a registry",
		Long: `Print the password for a registry, and nothing else, for tools that do not use
credential helpers. The username is AWS.

In GitHub Actions the password is first masked in the job's log.`,
		Example: examples("docker-credential-ecr-oidc password " + exampleHost +
			" | helm registry login --username AWS --password-stdin " + exampleHost),
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: p.completeHosts,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageErrorf("password takes one registry, for example %s", exampleHost)
			}
			return p.password(args[0])
		},
	}
}

// getError is the error of a get for a registry.
type getError struct {
	error
	host string
}

func (e *getError) Unwrap() error { return e.error }

// password prints the password that get returns.
func (p Program) password(arg string) error {
	reg, ok := registry.Parse(arg)
	if !ok {
		return usageErrorf("%s", notECR(arg))
	}
	h := helper.Helper{Env: p.Env, Environ: os.Environ(), Debug: debuglog.ForLogin(p.Env, p.Stderr)}
	secret, err := explain.Within("answering password", explain.GetTimeout,
		func(ctx context.Context) (string, error) {
			_, secret, err := h.Get(ctx, reg.Host)
			return secret, err
		})
	switch {
	case credentials.IsErrCredentialsNotFound(err):
		return notFound(reg)
	case err != nil:
		return &getError{err, reg.Host}
	}
	p.mask(secret)
	fmt.Fprintln(p.Stdout, secret)
	return nil
}

// notFound explains why a get for a registry returns "credentials not found".
func notFound(reg registry.Registry) error {
	if reg.Public {
		return fmt.Errorf("finding a password for %s: no role is set for it, so Docker uses it "+
			"without a login; set ECR_OIDC_ROLE_PUBLIC", reg.Host)
	}
	return fmt.Errorf("finding a password for %s: %w", reg.Host, config.ErrNotAllowed)
}

// mask makes the GitHub runner mask the password in the job's log. The line goes to stderr,
// where the runner looks for commands as it does on stdout (actions/runner ScriptHandler: an
// OutputManager on each), because stdout belongs to the tool that the password is piped to. It
// comes first, so that no line of the log can be ahead of it.
func (p Program) mask(secret string) {
	if strings.EqualFold(p.Env.Get("GITHUB_ACTIONS"), "true") {
		// As actions/toolkit's core.setSecret escapes it.
		fmt.Fprintf(p.Stderr, "::add-mask::%s\n",
			strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(secret))
	}
}

// notECR reports that an argument is not a registry, and shows one.
func notECR(arg string) string {
	return fmt.Sprintf("%q is not an ECR registry; one looks like %s", safetext.Sanitize(arg),
		exampleHost)
}
