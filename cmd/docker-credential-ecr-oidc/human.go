package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// human runs the verbs for people. Results go to stdout, complaints to stderr.
func (p program) human(args []string) int {
	out := &output{Writer: p.stdout}
	p.stdout = out
	root := p.verbs()
	root.SetArgs(append([]string{}, args...)) // nil would mean os.Args
	verb, err := root.ExecuteC()
	if err == nil && out.err != nil {
		err = fmt.Errorf("writing the answer: %w", out.err)
	}
	if err == nil {
		return succeeded
	}
	if errors.Is(err, unwell{}) {
		return failed
	}
	fmt.Fprintln(p.stderr, p.line(err, ""))
	var usage usageError
	if !errors.As(err, &usage) {
		return failed
	}
	fmt.Fprintf(p.stderr, "\n%s", brief(verb))
	return wrongUsage
}

// output remembers that it could not be written.
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

// usageError is a complaint about how the program was called.
type usageError struct{ complaint string }

func (e usageError) Error() string { return e.complaint }

func wrong(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// brief is how to call a verb, with its first example, and where to read more.
func brief(verb *cobra.Command) string {
	if !verb.HasParent() {
		return verb.UsageString()
	}
	example, _, _ := strings.Cut(verb.Example, "\n")
	return fmt.Sprintf("Usage:\n  %s\n\nExample:\n%s\n\nUse \"%s --help\" for more.\n", verb.UseLine(), example, verb.CommandPath())
}

// verbs builds the tree of them.
func (p program) verbs() *cobra.Command {
	var showVersion bool
	root := &cobra.Command{
		Use:   "docker-credential-" + name,
		Short: "Log in to Amazon ECR with your CI's own OIDC token",
		Long: `A Docker credential helper for Amazon ECR that logs in with your CI's OIDC token.

The role to assume is in ECR_OIDC_ROLE, ECR_ROLE_TO_ASSUME or AWS_ROLE_ARN, or in ecr-oidc.yaml beside Docker's
config.json. With ECR_OIDC_DEBUG=1 every step is told on stderr.`,
		Example: lines(
			"docker-credential-ecr-oidc configure "+exampleHost,
			"docker push "+exampleHost+"/app:v1",
		),
		Args:          cobra.ArbitraryArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(root *cobra.Command, args []string) error {
			switch {
			case showVersion && len(args) == 0:
				fmt.Fprintln(p.stdout, versionLine())
				return nil
			case len(args) == 0 || args[0] == "":
				return wrong("a verb is missing")
			}
			return unknown(root, args[0])
		},
	}
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.SetFlagErrorFunc(func(verb *cobra.Command, err error) error {
		if verb.HasParent() {
			return wrong("%s: %v", verb.Name(), err)
		}
		return wrong("%v", err)
	})
	root.Flags().BoolVarP(&showVersion, "version", "v", false, "print the version")
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddGroup(&cobra.Group{ID: "people", Title: "For people:"}, &cobra.Group{ID: "docker", Title: "For Docker, which writes to their stdin:"})
	help := p.helpVerb()
	root.SetHelpCommand(help)
	for _, verb := range []*cobra.Command{p.configureVerb(), p.doctorVerb(), p.passwordVerb(), p.versionVerb(), p.completionVerb(), help} {
		verb.GroupID = "people"
		verb.DisableFlagsInUseLine = !verb.HasAvailableLocalFlags()
		root.AddCommand(verb)
	}
	for _, verb := range protocolVerbs() {
		verb.GroupID = "docker"
		verb.DisableFlagsInUseLine = true
		root.AddCommand(verb)
	}
	return root
}

func unknown(root *cobra.Command, verb string) error {
	root.SuggestionsMinimumDistance = 2
	if near := root.SuggestionsFor(verb); len(near) > 0 {
		return wrong("unknown verb %q; did you mean %s?", verb, strings.Join(near, " or "))
	}
	return wrong("unknown verb %q", verb)
}

// lines indents each line, as cobra shows examples.
func lines(all ...string) string { return "  " + strings.Join(all, "\n  ") }

// noArgs is cobra.NoArgs in our words.
func noArgs(complaint string) cobra.PositionalArgs {
	return func(verb *cobra.Command, args []string) error {
		if len(args) > 0 {
			return wrong("%s takes no arguments%s", verb.Name(), complaint)
		}
		return nil
	}
}

func (p program) versionVerb() *cobra.Command {
	return &cobra.Command{
		Use:               "version",
		Short:             "Print the version",
		Long:              "Print the version, the commit and the Go version that it was built with.",
		Example:           lines("docker-credential-ecr-oidc version"),
		Args:              noArgs(""),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			fmt.Fprintln(p.stdout, versionLine())
			return nil
		},
	}
}

func (p program) helpVerb() *cobra.Command {
	return &cobra.Command{
		Use:     "help [VERB]",
		Short:   "Help about a verb",
		Example: lines("docker-credential-ecr-oidc help configure"),
		Args:    cobra.ArbitraryArgs,
		ValidArgsFunction: func(help *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
			for _, verb := range help.Root().Commands() {
				if len(args) == 0 && verb.IsAvailableCommand() {
					names = append(names, cobra.CompletionWithDesc(verb.Name(), verb.Short))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(help *cobra.Command, args []string) error {
			verb, rest, err := help.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return unknown(help.Root(), args[0])
			}
			verb.InitDefaultHelpFlag() // so that it is shown
			return verb.Help()
		},
	}
}

func (p program) completionVerb() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print the completion script for a shell",
		Long:  "Print the completion script for bash, zsh, fish or powershell.",
		Example: lines(
			"source <(docker-credential-ecr-oidc completion bash)",
			"docker-credential-ecr-oidc completion zsh >\"${fpath[1]}/_docker-credential-ecr-oidc\"",
			"docker-credential-ecr-oidc completion fish | source",
			"docker-credential-ecr-oidc completion powershell | Out-String | Invoke-Expression",
		),
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: cobra.FixedCompletions(shells, cobra.ShellCompDirectiveNoFileComp),
		RunE: func(verb *cobra.Command, args []string) error {
			if len(args) != 1 {
				return wrong("completion takes one shell: %s", strings.Join(shells, ", "))
			}
			switch args[0] {
			case "bash":
				return verb.Root().GenBashCompletionV2(p.stdout, true)
			case "zsh":
				return verb.Root().GenZshCompletion(p.stdout)
			case "fish":
				return verb.Root().GenFishCompletion(p.stdout, true)
			case "powershell":
				return verb.Root().GenPowerShellCompletionWithDesc(p.stdout)
			}
			return wrong("completion: %q is no shell that is known; known are %s", args[0], strings.Join(shells, ", "))
		},
	}
}

// protocolVerbs are Docker's. They are here for their help, and for who types one: run has answered Docker.
func protocolVerbs() []*cobra.Command {
	var all []*cobra.Command
	for _, v := range []struct{ name, short, example string }{
		{"get", "A host or URL in, its username and password out as JSON", "echo " + exampleHost + " | docker-credential-ecr-oidc get"},
		{"store", "A login as JSON in, kept until it expires", "docker login " + exampleHost},
		{"erase", "A host or URL in, whose password is forgotten", "docker logout " + exampleHost},
		{"list", "Print the hosts that it would have Docker ask for", "docker-credential-ecr-oidc list"},
	} {
		all = append(all, &cobra.Command{
			Use:               v.name,
			Short:             v.short,
			Example:           lines(v.example),
			Args:              noArgs("; it reads from stdin"),
			ValidArgsFunction: cobra.NoFileCompletions,
			RunE: func(*cobra.Command, []string) error {
				return wrong("%s reads from stdin what Docker writes there; to see a password: docker-credential-ecr-oidc password HOST", v.name)
			},
		})
	}
	return all
}
