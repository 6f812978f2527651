package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

func (p Program) configureCommand() *cobra.Command {
	c := &configuration{Program: p}
	command := &cobra.Command{
		Use:   "configure REGISTRY...",
		Short: "Register this helper with Docker",
		Long: `Register this helper with Docker for registries, by entries in credHelpers of
Docker's config.json.

It prints which other helper's entry it replaced, and which login of the same
host it removed from auths. With --role, --source, --profile, --audience,
--session-name or --session-duration it also writes ecr-oidc.yaml beside
config.json (or the file that ECR_OIDC_CONFIG names), for the accounts of these
registries.

With --creds-store Docker asks this helper for the registries of every account.
A role that is set by its name without an account then requires
--allowed-account-ids.`,
		Example: examples(
			"docker-credential-ecr-oidc configure "+exampleHost,
			"docker-credential-ecr-oidc configure --account 123456789012,210987654321 --region "+
				"eu-west-2,us-east-1 --role ci-push",
			"docker-credential-ecr-oidc configure --profile dev --source aws "+exampleHost,
			"docker-credential-ecr-oidc configure --authfile ~/.config/containers/auth.json "+
				exampleHost,
			"docker-credential-ecr-oidc configure --creds-store",
			"docker-credential-ecr-oidc configure --remove --dry-run "+exampleHost,
			"docker-credential-ecr-oidc configure --backup before.json "+exampleHost+
				" && docker-credential-ecr-oidc configure --restore before.json",
		),
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: p.completeHosts,
		RunE:              func(_ *cobra.Command, args []string) error { return c.run(args) },
	}
	c.addFlags(command)
	return command
}

// addFlags adds the flags, and the completion of their values.
func (c *configuration) addFlags(command *cobra.Command) {
	f := command.Flags()
	f.SortFlags = false
	f.StringSliceVar(&c.accounts, "account", nil,
		"with --region: the registries of these `ACCOUNTS` ...")
	f.StringSliceVar(&c.regions, "region", nil,
		"... in each of these `REGIONS`, both separated by commas")
	f.StringSliceVar(&c.settings.Role, "role", nil,
		"the `ROLE` to assume: an ARN, or a name in the registry's own account; several are a chain")
	f.StringVar(&c.settings.Source, "source", "",
		"the `SOURCE` of the identity: one of "+strings.Join(token.Sources(), ", "))
	f.StringVar(&c.settings.Profile, "profile", "", "the AWS `PROFILE` to use on a machine")
	f.StringVar(&c.settings.Audience, "audience", "", "the `AUDIENCE` to request the CI's token for")
	f.StringVar(&c.settings.SessionName, "session-name", "", "the role session's `NAME`")
	f.StringVar(&c.settings.SessionDuration, "session-duration", "",
		"the role session's `LENGTH`: 900 to 43200 seconds, or 15m to 12h")
	f.StringSliceVar(&c.settings.AllowedAccountIDs, "allowed-account-ids", nil,
		"serve only registries of these `ACCOUNTS` and of those that the file already allows")
	f.Var(&c.store, "creds-store",
		"become credsStore, for every host; forward hosts that are not ECR to the previous one, "+
			"or to the one in `[=NAME]`")
	f.Lookup("creds-store").NoOptDefVal = noName
	f.BoolVar(&c.remove, "remove", false,
		"remove the entries of these registries; with --creds-store, undo that")
	f.StringVar(&c.backup, "backup", "",
		"save what this replaces in Docker's file, including logins, to a new `FILE`")
	f.StringVar(&c.restore, "restore", "",
		"restore the backup in `FILE`, except for what has changed since")
	f.BoolVar(&c.dryRun, "dry-run", false, "print what would change, and write nothing")
	f.StringVar(&c.dir, "docker-config", "",
		"Docker's configuration is in `DIR` (default: DOCKER_CONFIG, or ~/.docker)")
	f.StringVar(&c.authfile, "authfile", "",
		"write podman's `FILE` instead, such as ~/.config/containers/auth.json")
	// The errors are those of a flag that does not exist.
	_ = command.RegisterFlagCompletionFunc("source",
		cobra.FixedCompletions(token.Sources(), cobra.ShellCompDirectiveNoFileComp))
	_ = command.MarkFlagDirname("docker-config")
	for _, flag := range []string{"authfile", "backup", "restore"} {
		_ = command.MarkFlagFilename(flag)
	}
	for _, flag := range []string{"account", "region", "role", "profile", "audience",
		"session-name", "session-duration", "allowed-account-ids"} {
		_ = command.RegisterFlagCompletionFunc(flag, cobra.NoFileCompletions)
	}
}

// storeFlag is --creds-store[=NAME]. Its type is bool, so that the help shows no default value.
type storeFlag struct {
	set  bool
	name string
}

// noName is the value that pflag sets for a flag without one.
const noName = "true"

func (s *storeFlag) String() string { return s.name }
func (s *storeFlag) Type() string   { return "bool" }
func (s *storeFlag) Set(v string) error {
	s.set = true
	if v != noName {
		s.name = v
	}
	return nil
}

// named returns the registries that the arguments and --account with --region name, each once.
func (c *configuration) named(args []string) ([]registry.Registry, error) {
	if (len(c.accounts) == 0) != (len(c.regions) == 0) {
		return nil, usageErrorf("configure: --account and --region go together")
	}
	hosts := slices.Clone(args)
	for _, account := range c.accounts {
		for _, region := range c.regions {
			account, region := strings.TrimSpace(account), strings.TrimSpace(region)
			host, ok := registry.Host(account, region)
			if !ok {
				return nil, usageErrorf("configure: account %q in region %q has no registry; an "+
					"account is twelve digits, and a region is like eu-west-2", account, region)
			}
			hosts = append(hosts, host)
		}
	}
	for _, host := range hosts {
		if _, ok := registry.Parse(host); !ok && c.store.set && c.store.name == "" &&
			config.IsHelperName(host) {
			return nil, usageErrorf("%s; to name the helper for other hosts: --creds-store=%s",
				notECR(host), host)
		}
	}
	return registries(hosts)
}

// checkFlags returns an error for flags that do not go together. table: the first row that applies counts.
func (c *configuration) checkFlags() error {
	none := len(c.registries) == 0
	forAccounts := len(c.settings.NonEmpty()) > 0
	settings := forAccounts || len(c.settings.AllowedAccountIDs) > 0
	restore, store := c.restore != "", c.store.name
	for _, rule := range []struct {
		broken bool
		text   string
	}{
		{c.authfile != "" && c.dir != "",
			"configure: --authfile is podman's file and --docker-config is Docker's folder; name " +
				"one of them"},
		{restore && (settings || !none || c.remove || c.store.set || c.backup != ""),
			"configure: --restore puts back what its file has; it goes with no registry, and " +
				"with no other flag but " +
				"--docker-config, --authfile and --dry-run"},
		{c.backup != "" && (c.remove || c.store.set),
			"configure: --backup goes with neither --remove nor --creds-store"},
		{none && (forAccounts || settings && !c.store.set),
			"configure: --role, --source, --profile and the other settings are for the accounts " +
				"of registries; " +
				"name one or more"},
		{none && !c.store.set && !restore,
			"configure takes one registry or more, for example " + exampleHost},
		{c.remove && settings,
			"configure: --remove goes with none of --role, --source, --profile and the other " +
				"settings"},
		{c.remove && store != "",
			"configure: --remove --creds-store brings back what was there; it takes no name"},
		{c.authfile != "" && c.store.set,
			"configure: --creds-store is for Docker: podman's file has no such field"},
		{store != "" && !config.IsHelperName(store),
			fmt.Sprintf("configure: --creds-store=%q is no helper's name; one is like desktop, "+
				"for docker-credential-desktop", store)},
		{config.IsHelperName(store) && isSelf(store),
			"configure: --creds-store=" + store + " is this program itself; " +
				"name the helper for hosts that are not ECR"},
	} {
		if rule.broken {
			return usageErrorf("%s", rule.text)
		}
	}
	return nil
}
