// Package cli implements the commands that users run: configure, check, doctor, password, version,
// help and completion.
package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/explain"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// Program is the process environment of a command. Run replaces Stdout by a writer that records the
// first error.
type Program struct {
	Stdin           io.Reader
	Stdout, Stderr  io.Writer
	Env             token.Env
	Version, Commit string // of a release; "" selects those of the build information
}

// Exit codes.
const (
	exitSuccess = 0
	exitFailure = 1
	exitUsage   = 2
)

// Run runs a command and returns its exit code. It writes results to stdout and errors to stderr.
func (p Program) Run(args []string) int {
	out := &output{Writer: p.Stdout}
	p.Stdout = out
	root := p.rootCommand()
	root.SetArgs(append([]string{}, args...)) // cobra replaces nil by os.Args
	if len(args) > 0 && args[0] == cobra.ShellCompRequestCmd {
		unquoteUsage(root)
	}
	command, err := root.ExecuteC()
	if err == nil && out.err != nil {
		err = fmt.Errorf("writing to stdout: %w", out.err)
	}
	if err == nil {
		return exitSuccess
	}
	if errors.Is(err, errUnhealthy) {
		return exitFailure
	}
	fmt.Fprintln(p.Stderr, p.errorLine(err))
	var usage usageError
	if !errors.As(err, &usage) {
		return exitFailure
	}
	fmt.Fprintf(p.Stderr, "\n%s", shortUsage(command))
	return exitUsage
}

// errorLine returns an error and its advice as one line without secrets.
func (p Program) errorLine(err error) string {
	var (
		get  *getError
		host string
	)
	if errors.As(err, &get) {
		host = get.host
	}
	return explain.Line(err, host, p.Env.Secrets())
}

// output stores the first error of a write.
type output struct {
	io.Writer
	err error
}

func (o *output) Write(b []byte) (int, error) {
	n, err := o.Writer.Write(b)
	if o.err == nil {
		o.err = err
	}
	return n, err
}

// usageError reports wrong arguments or flags. The exit code is exitUsage.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

func usageErrorf(format string, args ...any) error {
	return usageError{fmt.Sprintf(format, args...)}
}

// rootCommand returns the tree of commands.
func (p Program) rootCommand() *cobra.Command {
	var showVersion bool
	root := &cobra.Command{
		Use:   "docker-credential-" + helperName + " COMMAND",
		Short: "Log in to Amazon ECR with your CI's own OIDC token",
		Long: `A Docker credential helper for Amazon ECR that logs in with your CI's OIDC
token.

Set the role to assume in ECR_OIDC_ROLE, ECR_ROLE_TO_ASSUME or AWS_ROLE_ARN, or
in ecr-oidc.yaml next to Docker's config.json. ECR_OIDC_DEBUG=1 prints each step
to stderr.

To print the state of every registry, without a request:
docker-credential-ecr-oidc check --offline`,
		Example: examples(
			"docker-credential-ecr-oidc configure "+exampleHost,
			"docker push "+exampleHost+"/app:v1",
		),
		Args:                  cobra.ArbitraryArgs,
		DisableFlagsInUseLine: true,
		SilenceErrors:         true,
		SilenceUsage:          true,
		RunE: func(root *cobra.Command, args []string) error {
			switch {
			case showVersion && len(args) == 0:
				fmt.Fprintln(p.Stdout, p.version())
				return nil
			case len(args) == 0 || args[0] == "":
				return usageErrorf("missing command")
			}
			return unknownCommand(root, args[0])
		},
	}
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	root.SetUsageFunc(printUsage)
	root.SetHelpFunc(printHelp)
	root.SetFlagErrorFunc(flagError)
	root.PersistentPreRunE = rejectEmptyFlags
	root.Flags().BoolVarP(&showVersion, "version", "v", false, "print the version")
	root.CompletionOptions.DisableDefaultCmd = true
	const users, docker = "users", "docker"
	root.AddGroup(&cobra.Group{ID: users, Title: "Commands:"},
		&cobra.Group{ID: docker, Title: "Commands that Docker runs:"})
	help := p.helpCommand()
	root.SetHelpCommand(help)
	for _, command := range []*cobra.Command{p.configureCommand(), p.checkCommand(), p.doctorCommand(),
		p.passwordCommand(), p.versionCommand(), p.completionCommand(), help} {
		command.GroupID = users
		command.DisableFlagsInUseLine = !command.HasAvailableLocalFlags()
		root.AddCommand(command)
	}
	for _, command := range dockerCommands() {
		command.GroupID = docker
		command.DisableFlagsInUseLine = true
		root.AddCommand(command)
	}
	return root
}

func unknownCommand(root *cobra.Command, name string) error {
	root.SuggestionsMinimumDistance = 2
	if suggestions := root.SuggestionsFor(name); len(suggestions) > 0 {
		return usageErrorf("unknown command %q; did you mean %s?", name,
			strings.Join(suggestions, " or "))
	}
	return usageErrorf("unknown command %q", name)
}
