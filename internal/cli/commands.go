package cli

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// noArgs is cobra.NoArgs with an error of this program. It appends hint to the error.
func noArgs(hint string) cobra.PositionalArgs {
	return func(command *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usageErrorf("%s takes no arguments%s", command.Name(), hint)
		}
		return nil
	}
}

func (p Program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "version",
		Short:             "Print the version",
		Long:              "Print the version, the commit and the Go version of the build.",
		Example:           examples("docker-credential-ecr-oidc version"),
		Args:              noArgs(""),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			fmt.Fprintln(p.Stdout, p.version())
			return nil
		},
	}
}

// version returns one line with the name, the version, the commit and the Go version.
func (p Program) version() string {
	v, c := p.Version, p.Commit
	if info, ok := debug.ReadBuildInfo(); ok {
		v = cmp.Or(v, info.Main.Version)
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				c = cmp.Or(c, s.Value)
			}
		}
	}
	return fmt.Sprintf("docker-credential-ecr-oidc %s, commit %s, %s %s/%s",
		cmp.Or(v, "(devel)"), cmp.Or(c, "unknown"), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

func (p Program) helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Print help for a command",
		Example: examples("docker-credential-ecr-oidc help configure"),
		Args:    cobra.ArbitraryArgs,
		ValidArgsFunction: func(help *cobra.Command, args []string, _ string) ([]string, directive) {
			var names []string
			for _, command := range help.Root().Commands() {
				if len(args) == 0 && command.IsAvailableCommand() {
					names = append(names,
						cobra.CompletionWithDesc(command.Name(), command.Short))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(help *cobra.Command, args []string) error {
			command, rest, err := help.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return unknownCommand(help.Root(), args[0])
			}
			command.InitDefaultHelpFlag() // cobra adds --help only when it runs a command
			return command.Help()
		},
	}
}

func (p Program) completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print the completion script for a shell",
		Long:  "Print the completion script for bash, zsh, fish or powershell.",
		Example: examples(
			"source <(docker-credential-ecr-oidc completion bash)",
			"docker-credential-ecr-oidc completion zsh >\"${fpath[1]}/_docker-credential-ecr-oidc\"",
			"docker-credential-ecr-oidc completion fish | source",
			"docker-credential-ecr-oidc completion powershell | Out-String | Invoke-Expression",
		),
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: cobra.FixedCompletions(shells, cobra.ShellCompDirectiveNoFileComp),
		RunE: func(command *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageErrorf("completion takes one shell: %s",
					strings.Join(shells, ", "))
			}
			switch args[0] {
			case "bash":
				return command.Root().GenBashCompletionV2(p.Stdout, true)
			case "zsh":
				return command.Root().GenZshCompletion(p.Stdout)
			case "fish":
				return command.Root().GenFishCompletion(p.Stdout, true)
			case "powershell":
				return command.Root().GenPowerShellCompletionWithDesc(p.Stdout)
			}
			return usageErrorf("completion: unknown shell %q; supported shells are %s", args[0],
				strings.Join(shells, ", "))
		},
	}
}

// dockerCommands returns the commands that Docker runs. They print help and usage errors for users:
// main runs the commands themselves when Docker calls them.
func dockerCommands() []*cobra.Command {
	var all []*cobra.Command
	for _, c := range []struct{ name, short, example, instead string }{
		{"get", "Read a host or URL from stdin, and print its login as JSON",
			"echo " + exampleHost + " | docker-credential-ecr-oidc get",
			"to print a password: docker-credential-ecr-oidc password HOST"},
		{"store", "Read a login from stdin, and cache it until it expires",
			"docker login " + exampleHost,
			"to store a login: docker login HOST"},
		{"erase", "Read a host or URL from stdin, and delete its cached password",
			"echo " + exampleHost + " | docker-credential-ecr-oidc erase",
			"to delete a cached password: echo HOST | docker-credential-ecr-oidc erase"},
		{"list", "Print the hosts that have a login, as JSON",
			"docker-credential-ecr-oidc list",
			"to print the state of every registry: docker-credential-ecr-oidc check --offline"},
	} {
		hint := "; it reads from stdin"
		if c.name == "list" { // it has no input
			hint = ""
		}
		all = append(all, &cobra.Command{
			Use:               c.name,
			Short:             c.short,
			Example:           examples(c.example),
			Args:              noArgs(hint),
			ValidArgsFunction: cobra.NoFileCompletions,
			RunE: func(*cobra.Command, []string) error {
				return usageErrorf("%s reads from stdin, where Docker writes its input; %s",
					c.name, c.instead)
			},
		})
	}
	return all
}
