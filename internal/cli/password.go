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
		Long: `Print only the password for a registry, for tools that do not call credential
helpers. The username is AWS.

In GitHub Actions it masks the password in the job's log before it prints it.`,
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

// password prints the password that a get returns.
func (p Program) password(arg string) error {
	reg, ok := registry.Parse(arg)
	if !ok {
		return usageErrorf("%s", describeNotECR(arg))
	}
	h := helper.Helper{Env: p.Env, Environ: os.Environ(), Debug: debuglog.ForCommand(p.Env, p.Stderr)}
	secret, err := explain.RunWithTimeout("running password", explain.GetTimeout,
		func(ctx context.Context) (string, error) {
			_, secret, err := h.Get(ctx, reg.Host)
			return secret, err
		})
	switch {
	case credentials.IsErrCredentialsNotFound(err):
		return notFound(reg)
	case err != nil:
		debuglog.NoteFailure(p.Env, reg.Host, explain.Line(err, reg.Host, p.Env.Secrets()))
		return &getError{err, reg.Host}
	}
	p.mask(secret)
	fmt.Fprintln(p.Stdout, secret)
	return nil
}

// notFound returns an error with the reason why get returns "credentials not found".
func notFound(reg registry.Registry) error {
	if reg.Public {
		return fmt.Errorf("finding a password for %s: access is anonymous because no role is set; "+
			"set ECR_OIDC_ROLE_PUBLIC", reg.Host)
	}
	return fmt.Errorf("finding a password for %s: %w", reg.Host, config.ErrNotAllowed)
}

// mask makes GitHub's runner mask the password in the job's log. It writes the workflow command to
// stderr, because stdout is piped to another tool. The runner reads commands from both
// (actions/runner ScriptHandler has an OutputManager for each). mask runs before the password is
// printed, so that no line of the log can contain the password unmasked.
func (p Program) mask(secret string) {
	if strings.EqualFold(p.Env.Get("GITHUB_ACTIONS"), "true") {
		// The same escaping as core.setSecret of actions/toolkit.
		fmt.Fprintf(p.Stderr, "::add-mask::%s\n",
			strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(secret))
	}
}

// describeNotECR returns the message for an argument that is not an ECR registry.
func describeNotECR(arg string) string {
	text := fmt.Sprintf("%q is not an ECR registry", safetext.Sanitize(arg))
	if host := registry.Nearest(arg); host != "" {
		return text + "; did you mean " + host + "?"
	}
	return text + "; a registry looks like " + exampleHost
}
