package cli

import (
	"cmp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/dockerconfig"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/exchange"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
)

type directive = cobra.ShellCompDirective

// completeHosts returns the registries that credHelpers assigns to this helper, except those that are
// already arguments.
func (p Program) completeHosts(
	command *cobra.Command, args []string, _ string,
) ([]string, directive) {
	var hosts []string
	for _, reg := range p.configuredRegistries(command) {
		if !slices.Contains(args, reg.Host) {
			hosts = append(hosts, reg.Host)
		}
	}
	return hosts, cobra.ShellCompDirectiveNoFileComp
}

// configuredRegistries returns the registries that credHelpers assigns to this helper, ordered by
// host.
func (p Program) configuredRegistries(command *cobra.Command) (regs []registry.Registry) {
	dir, _ := command.Flags().GetString("docker-config") // "" for commands without this flag
	path, err := dockerconfig.Path(cmp.Or(dir, p.Env.Get("DOCKER_CONFIG")))
	if err != nil {
		return nil
	}
	file, err := dockerconfig.Read(path)
	if err != nil {
		return nil
	}
	for _, reg := range file.Registries(helperName) {
		// A key of the file can be another form of the host, or contain control characters.
		if file.Helper(reg.Host) == helperName {
			regs = append(regs, reg)
		}
	}
	return regs
}

// completeAccounts returns the accounts of the configured registries.
func (p Program) completeAccounts(
	command *cobra.Command, _ []string, text string,
) ([]string, directive) {
	var accounts []string
	for _, reg := range p.configuredRegistries(command) {
		if !reg.Public {
			accounts = append(accounts, reg.Account)
		}
	}
	return completeList(text, slices.Compact(accounts)), cobra.ShellCompDirectiveNoFileComp
}

func completeRegions(_ *cobra.Command, _ []string, text string) ([]string, directive) {
	return completeList(text, registry.Regions()), cobra.ShellCompDirectiveNoFileComp
}

// completeList completes the last item of text, a comma-separated list, with values that match.
func completeList(text string, values []string) (lists []string) {
	begin := text[:strings.LastIndex(text, ",")+1]
	for _, value := range values {
		if list := begin + value; strings.HasPrefix(list, text) {
			lists = append(lists, list)
		}
	}
	return lists
}

// completeProfiles returns the profiles of AWS's configuration files.
func (p Program) completeProfiles(*cobra.Command, []string, string) ([]string, directive) {
	profiles := slices.DeleteFunc(exchange.Profiles(p.Env), func(name string) bool {
		// GitHub's runner runs a line that begins with two colons.
		return name != safetext.Sanitize(name) || strings.HasPrefix(name, "::")
	})
	return profiles, cobra.ShellCompDirectiveNoFileComp
}

// unquoteUsage removes the backticks from the descriptions of all flags. They mark the name of the
// value for help, and completion prints them.
func unquoteUsage(root *cobra.Command) {
	for _, command := range root.Commands() {
		command.Flags().VisitAll(func(f *pflag.Flag) {
			f.Usage = strings.NewReplacer("`[=", "", "]`", "", "`", "").Replace(f.Usage)
		})
	}
}
