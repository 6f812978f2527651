package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/suggest"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

func (p Program) configureCommand() *cobra.Command {
	c := &configureCommand{Program: p}
	command := &cobra.Command{
		Use:   "configure REGISTRY...",
		Short: "Register this helper with Docker",
		Long: `Register this helper with Docker: add the registries to credHelpers in Docker's
config.json.

It reports which other helper's entry it replaced, and which login of the same
host it removed from auths. With --role, --source, --profile, --audience,
--session-name or --session-duration it also writes ecr-oidc.yaml next to
config.json (or the file in ECR_OIDC_CONFIG), for the accounts of these
registries.

With --remove it removes these entries and settings, and reports what it keeps.
It does not restore what it replaced. To do that, use --backup and --restore.

With --creds-store, Docker uses this helper for the registries of every account.
A role that is set by name, without an account, then requires
--allowed-account-ids.`,
		Example: examples(
			"docker-credential-ecr-oidc configure "+exampleHost,
			"docker-credential-ecr-oidc configure --account=123456789012,210987654321 "+
				"--region=eu-west-2,us-east-1 --role=ci-push",
			"docker-credential-ecr-oidc configure --profile dev --source aws "+exampleHost,
			"docker-credential-ecr-oidc configure --creds-store",
			"docker-credential-ecr-oidc configure --remove --dry-run "+exampleHost,
			"docker-credential-ecr-oidc configure --backup before.json "+exampleHost,
			"docker-credential-ecr-oidc configure --restore before.json",
		),
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: p.completeHosts,
		RunE:              func(_ *cobra.Command, args []string) error { return c.run(args) },
	}
	c.addFlags(command)
	return command
}

// addFlags adds the flags and the completion of their values.
func (c *configureCommand) addFlags(command *cobra.Command) {
	f := command.Flags()
	f.SortFlags = false
	f.StringSliceVar(&c.accounts, "account", nil,
		"add the registries of these `ACCOUNTS`, separated by commas; requires --region")
	f.StringSliceVar(&c.regions, "region", nil,
		"the `REGIONS` of each account, separated by commas")
	f.StringSliceVar(&c.settings.Role, "role", nil,
		"the `ROLE` to assume: an ARN, or a name in the registry's own account; several roles, "+
			"separated by commas, are a chain")
	f.StringVar(&c.settings.Source, "source", "",
		"the `SOURCE` of the identity: "+strings.Join(token.Sources(), ", "))
	f.StringVar(&c.settings.Profile, "profile", "", "the AWS `PROFILE` to use outside a CI")
	f.StringVar(&c.settings.Audience, "audience", "", "the `AUDIENCE` of the OIDC token")
	f.StringVar(&c.settings.SessionName, "session-name", "", "the `NAME` of the role session")
	f.StringVar(&c.settings.SessionDuration, "session-duration", "",
		"the `DURATION` of the role session: 900 to 43200 seconds, or 15m to 12h")
	f.StringSliceVar(&c.settings.AllowedAccountIDs, "allowed-account-ids", nil,
		"return logins only for registries of these `ACCOUNTS`; adds them to allowed_account_ids in "+
			"ecr-oidc.yaml")
	f.Var(&c.credsStore, "creds-store",
		"set credsStore to this helper, for all hosts; it delegates hosts that are not ECR to the "+
			"previous credsStore, or to `[=NAME]`")
	f.Lookup("creds-store").NoOptDefVal = noName
	f.BoolVar(&c.remove, "remove", false,
		"remove the entries of these registries, and the settings of their accounts that configure "+
			"can write; with --creds-store, restore the previous credsStore")
	f.StringVar(&c.backup, "backup", "",
		"before the change, save the entries that configure replaces, including logins, to a new "+
			"`FILE`")
	f.StringVar(&c.restore, "restore", "",
		"restore the backup in `FILE`, except entries that have changed since")
	f.BoolVar(&c.dryRun, "dry-run", false, "print what would change, and write nothing")
	f.StringVar(&c.dockerConfigDir, "docker-config", "",
		"the `DIR` of Docker's configuration (default: DOCKER_CONFIG, or ~/.docker)")
	f.StringVar(&c.authfile, "authfile", "",
		"write Podman's `FILE` instead of Docker's, such as ~/.config/containers/auth.json")
	// These functions fail only for a flag that does not exist.
	_ = command.MarkFlagDirname("docker-config")
	for _, flag := range []string{"authfile", "backup", "restore"} {
		_ = command.MarkFlagFilename(flag)
	}
	for flag, complete := range map[string]cobra.CompletionFunc{
		"account": c.completeAccounts,
		"region":  completeRegions,
		"role":    cobra.NoFileCompletions,
		"source": cobra.FixedCompletions(token.Sources(),
			cobra.ShellCompDirectiveNoFileComp),
		"profile":             c.completeProfiles,
		"audience":            cobra.NoFileCompletions,
		"session-name":        cobra.NoFileCompletions,
		"session-duration":    cobra.NoFileCompletions,
		"allowed-account-ids": c.completeAccounts,
	} {
		_ = command.RegisterFlagCompletionFunc(flag, complete)
	}
}

// credsStoreFlag is the value of --creds-store[=NAME]. Its type is "bool", so that cobra prints no
// default value.
type credsStoreFlag struct {
	set  bool
	text string // the value of the flag
	name string // "" without NAME
}

// noName is the value that pflag sets for --creds-store without a name.
const noName = "true"

func (f *credsStoreFlag) String() string { return f.text }
func (f *credsStoreFlag) Type() string   { return "bool" }
func (f *credsStoreFlag) Set(v string) error {
	f.set, f.text = true, v
	if v != noName {
		f.name = v
	}
	return nil
}

// parseRegistries returns the registries in the arguments and those of --account with --region,
// each once.
func (c *configureCommand) parseRegistries(args []string) ([]registry.Registry, error) {
	if (len(c.accounts) == 0) != (len(c.regions) == 0) {
		return nil, usageErrorf("configure: --account and --region must be used together")
	}
	hosts := slices.Clone(args)
	for _, account := range c.accounts {
		for _, region := range c.regions {
			account, region := strings.TrimSpace(account), strings.TrimSpace(region)
			host, ok := registry.Host(account, region)
			if !ok {
				hint := "an account has twelve digits, and a region looks like eu-west-2"
				if nearest := suggest.Nearest(region, registry.Regions()); nearest != "" &&
					nearest != region {
					hint = "did you mean " + nearest + "?"
				}
				return nil, usageErrorf("configure: there is no registry of account %q in "+
					"region %q; %s", account, region, hint)
			}
			hosts = append(hosts, host)
		}
	}
	for _, host := range hosts {
		if _, ok := registry.Parse(host); !ok && c.credsStore.set && c.credsStore.name == "" &&
			config.IsHelperName(host) {
			return nil, usageErrorf("%s; to name the helper for other hosts: --creds-store=%s",
				describeNotECR(host), host)
		}
	}
	return registries(hosts)
}

// checkFlags returns the error of the first rule that the flags break.
// (table: exempt from shape_test.go's limit)
func (c *configureCommand) checkFlags() error {
	noRegistry := len(c.registries) == 0
	accountSettings := len(c.settings.NonEmpty()) > 0
	settings := accountSettings || len(c.settings.AllowedAccountIDs) > 0
	restore, storeName := c.restore != "", c.credsStore.name
	for _, rule := range []struct {
		broken bool
		text   string
	}{
		{c.authfile != "" && c.dockerConfigDir != "",
			"configure: --authfile and --docker-config cannot be used together"},
		{restore && (settings || !noRegistry || c.remove || c.credsStore.set || c.backup != ""),
			"configure: --restore takes no registry; it can be used only with --docker-config, " +
				"--authfile and --dry-run"},
		{c.backup != "" && (c.remove || c.credsStore.set),
			"configure: --backup cannot be used with --remove or --creds-store"},
		{noRegistry && (accountSettings || settings && !c.credsStore.set),
			"configure: --role, --source, --profile and the other settings require at least " +
				"one registry, for example " + exampleHost},
		{noRegistry && !c.credsStore.set && !restore,
			"configure requires at least one registry, for example " + exampleHost},
		{c.remove && settings,
			"configure: --remove cannot be used with --role, --source, --profile or the other " +
				"settings"},
		{c.remove && storeName != "",
			"configure: --remove --creds-store restores the previous credsStore; it takes no " +
				"name"},
		{c.authfile != "" && c.credsStore.set,
			"configure: --creds-store is for Docker; Podman's file has no credsStore"},
		{storeName != "" && !config.IsHelperName(storeName),
			fmt.Sprintf("configure: --creds-store=%q is not the name of a helper; a name looks "+
				"like desktop, which is docker-credential-desktop", storeName)},
		{config.IsHelperName(storeName) && isSelf(storeName),
			"configure: --creds-store=" + storeName + " is this program; name the helper for " +
				"hosts that are not ECR"},
	} {
		if rule.broken {
			return usageErrorf("%s", rule.text)
		}
	}
	return nil
}
