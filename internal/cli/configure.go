package cli

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/atomicfile"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/dockerconfig"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/oneline"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// name is what Docker's configuration calls this helper: the binary's name without "docker-credential-".
const name = "ecr-oidc"

// exampleHost is what a registry looks like.
const exampleHost = "123456789012.dkr.ecr.eu-west-2.amazonaws.com"

// configuration is what configure was asked for.
type configuration struct {
	accounts, regions []string
	settings          config.AccountSettings
	remove, dryRun    bool
	dir, authfile     string
	store             storeFlag
	backup, restore   string // files

	Program
	registries []registry.Registry
	path       string // of Docker's or podman's file
	client     string // whose that is
	did        []string
	warnings   []string
}

func (p Program) configureCommand() *cobra.Command {
	c := &configuration{Program: p}
	command := &cobra.Command{
		Use:   "configure REGISTRY...",
		Short: "Let Docker ask this helper for registries",
		Long: `Let Docker ask this helper for registries, by their entries in credHelpers of Docker's config.json.

It says which other helper's entry it replaced, and which login of the same host it removed from auths. With --role,
--source, --profile, --audience, --session-name or --session-duration it also writes ecr-oidc.yaml beside config.json
(or the file that ECR_OIDC_CONFIG names), for the accounts of these registries.

With --creds-store Docker asks this helper for the registries of every account. A role that is set by its name without
an account then requires --allowed-account-ids.`,
		Example: lines(
			"docker-credential-ecr-oidc configure "+exampleHost,
			"docker-credential-ecr-oidc configure --account 123456789012,210987654321 --region eu-west-2,us-east-1 --role ci-push",
			"docker-credential-ecr-oidc configure --profile dev --source aws "+exampleHost,
			"docker-credential-ecr-oidc configure --authfile ~/.config/containers/auth.json "+exampleHost,
			"docker-credential-ecr-oidc configure --creds-store",
			"docker-credential-ecr-oidc configure --remove --dry-run "+exampleHost,
			"docker-credential-ecr-oidc configure --backup before.json "+exampleHost+" && docker-credential-ecr-oidc configure --restore before.json",
		),
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: p.completeHosts,
		RunE:              func(_ *cobra.Command, args []string) error { return c.run(args) },
	}
	f := command.Flags()
	f.SortFlags = false
	f.StringSliceVar(&c.accounts, "account", nil, "with --region: the registries of these `ACCOUNTS` ...")
	f.StringSliceVar(&c.regions, "region", nil, "... in each of these `REGIONS`, both separated by commas")
	f.StringSliceVar(&c.settings.Role, "role", nil, "the `ROLE` to assume: an ARN, or a name in the registry's own account; several are a chain")
	f.StringVar(&c.settings.Source, "source", "", "where the identity comes from: `SOURCE` is one of "+strings.Join(token.Sources(), ", "))
	f.StringVar(&c.settings.Profile, "profile", "", "the AWS `PROFILE` to use on a machine")
	f.StringVar(&c.settings.Audience, "audience", "", "the `AUDIENCE` to ask the CI's token for")
	f.StringVar(&c.settings.SessionName, "session-name", "", "the role session's `NAME`")
	f.StringVar(&c.settings.SessionDuration, "session-duration", "", "the role session's `LENGTH`: 900 to 43200 seconds, or 15m to 12h")
	f.StringSliceVar(&c.settings.Allowed, "allowed-account-ids", nil, "answer for registries of these `ACCOUNTS` and those that the file allows already, and for no others")
	f.Var(&c.store, "creds-store", "become credsStore: asked for every host; those that are not ECR go on to the one that was there, or the one in `[=NAME]`")
	f.Lookup("creds-store").NoOptDefVal = noName
	f.BoolVar(&c.remove, "remove", false, "take the entries of these registries away; with --creds-store, undo that")
	f.StringVar(&c.backup, "backup", "", "keep in a new `FILE` what this replaces in Docker's, logins included")
	f.StringVar(&c.restore, "restore", "", "put back what a backup's `FILE` has, where nobody has changed it since")
	f.BoolVar(&c.dryRun, "dry-run", false, "print what would change, and write nothing")
	f.StringVar(&c.dir, "docker-config", "", "Docker's configuration is in `DIR` (default: DOCKER_CONFIG, or ~/.docker)")
	f.StringVar(&c.authfile, "authfile", "", "write podman's `FILE` instead, such as ~/.config/containers/auth.json")
	// The flags are there, and cobra says no only to what is not.
	_ = command.RegisterFlagCompletionFunc("source", cobra.FixedCompletions(token.Sources(), cobra.ShellCompDirectiveNoFileComp))
	_ = command.MarkFlagDirname("docker-config")
	for _, flag := range []string{"authfile", "backup", "restore"} {
		_ = command.MarkFlagFilename(flag)
	}
	for _, flag := range []string{"account", "region", "role", "profile", "audience", "session-name", "session-duration", "allowed-account-ids"} {
		_ = command.RegisterFlagCompletionFunc(flag, cobra.NoFileCompletions)
	}
	return command
}

// run does it, and tells what was done when all of it was.
func (c *configuration) run(args []string) (err error) {
	if c.registries, err = c.named(args); err == nil {
		err = c.sensible()
	}
	if err != nil {
		return err
	}
	c.path, c.client = c.authfile, "podman"
	if c.authfile == "" {
		c.client = "Docker"
		if c.path, err = dockerconfig.Path(cmp.Or(c.dir, c.Env.Get("DOCKER_CONFIG"))); err != nil {
			return err
		}
	}
	if c.dryRun {
		err = c.preview()
	} else {
		err = dockerconfig.Update(c.path, lockTimeout, c.change)
	}
	if err != nil {
		return err
	}
	for _, line := range c.did {
		if c.dryRun {
			line += " (dry run)"
		}
		fmt.Fprintln(c.Stdout, line)
	}
	for _, warning := range append(c.warnings, c.environmentWarnings()...) {
		fmt.Fprintln(c.Stderr, c.line(errors.New(warning)))
	}
	return nil
}

// lockTimeout is how long configure waits for another process to release the lock of a file. An edit
// takes milliseconds.
const lockTimeout = 10 * time.Second

// preview makes every change in memory, and fails where Update would before it writes.
func (c *configuration) preview() error {
	if _, err := atomicfile.Target(c.path); err != nil {
		return fmt.Errorf("editing %s: %w", c.path, err)
	}
	file, err := dockerconfig.Read(c.path)
	if err != nil {
		return err
	}
	return c.change(file)
}

// named returns the registries that the arguments and --account with --region name, each once.
func (c *configuration) named(args []string) (regs []registry.Registry, err error) {
	if (len(c.accounts) == 0) != (len(c.regions) == 0) {
		return nil, wrong("configure: --account and --region go together")
	}
	hosts := slices.Clone(args)
	for _, account := range c.accounts {
		for _, region := range c.regions {
			account, region := strings.TrimSpace(account), strings.TrimSpace(region)
			host, ok := registry.Host(account, region)
			if !ok {
				return nil, wrong("configure: account %q in region %q has no registry; an account is twelve digits, and a region is like eu-west-2", account, region)
			}
			hosts = append(hosts, host)
		}
	}
	for _, host := range hosts {
		reg, ok := registry.Parse(host)
		switch {
		case !ok && c.store.set && c.store.name == "" && config.IsHelperName(host):
			return nil, wrong("%s; to name the helper for other hosts: --creds-store=%s", notECR(host), host)
		case !ok:
			return nil, wrong("%s", notECR(host))
		case !slices.Contains(regs, reg):
			regs = append(regs, reg)
		}
	}
	return regs, nil
}

// sensible refuses what cannot be meant together.
func (c *configuration) sensible() error {
	forAccounts := len(c.settings.Set()) > 0
	settings := forAccounts || len(c.settings.Allowed) > 0
	restore := c.restore != ""
	switch {
	case c.authfile != "" && c.dir != "":
		return wrong("configure: --authfile is podman's file and --docker-config is Docker's folder; name one of them")
	case restore && (settings || len(c.registries) > 0 || c.remove || c.store.set || c.backup != ""):
		return wrong("configure: --restore puts back what its file has; it goes with no registry, and with no other flag but --docker-config, --authfile and --dry-run")
	case restore:
		return nil
	case c.backup != "" && (c.remove || c.store.set):
		return wrong("configure: --backup goes with neither --remove nor --creds-store")
	case len(c.registries) == 0 && (forAccounts || settings && !c.store.set):
		return wrong("configure: --role, --source, --profile and the other settings are for the accounts of registries; name one or more")
	case len(c.registries) == 0 && !c.store.set:
		return wrong("configure takes one registry or more, for example %s", exampleHost)
	case c.remove && settings:
		return wrong("configure: --remove goes with none of --role, --source, --profile and the other settings")
	case c.remove && c.store.name != "":
		return wrong("configure: --remove --creds-store brings back what was there; it takes no name")
	case c.authfile != "" && c.store.set:
		return wrong("configure: --creds-store is for Docker: podman's file has no such field")
	case c.store.name != "" && !config.IsHelperName(c.store.name):
		return wrong("configure: --creds-store=%q is no helper's name; one is like desktop, for docker-credential-desktop", c.store.name)
	case c.store.name != "" && itself(c.store.name):
		return wrong("configure: --creds-store=%s is this program itself; name the helper for hosts that are not ECR", c.store.name)
	}
	return nil
}

// change makes every change, to Docker's file in memory, and to ours.
func (c *configuration) change(file *dockerconfig.Edit) error {
	if c.restore != "" {
		return c.putBack(file)
	}
	if c.backup != "" {
		if err := c.keep(file); err != nil {
			return err
		}
	}
	for _, reg := range c.registries {
		if c.remove {
			c.removeHelper(file, reg.Host)
		} else {
			c.setHelper(file, reg.Host)
			c.removeAuth(file, reg.Host)
		}
	}
	if n := len(file.Helpers()); !c.remove && n > few {
		instead := ""
		if c.authfile == "" { // podman's file has no credsStore
			instead = "; --creds-store needs none of them"
		}
		c.warn("%s now has %d registries in credHelpers: docker-py, podman's remote client and Docker's classic builder ask for every one of them, and a single refusal stops the first two%s", c.path, n, instead)
	}
	if c.store.set {
		if err := c.credsStore(file); err != nil {
			return err
		}
	}
	return c.writeSettings()
}

// few is how many entries in credHelpers need no warning.
const few = 5

func (c *configuration) setHelper(file *dockerconfig.Edit, host string) {
	switch old := file.SetHelper(host, name); old {
	case "":
		c.tell("%s: %s asks %s for %s", c.path, c.client, name, host)
	case name:
		c.tell("%s: %s asks %s for %s already", c.path, c.client, name, host)
	default:
		c.tell("%s: %s asks %s for %s, instead of %s", c.path, c.client, name, host, old)
	}
}

func (c *configuration) removeHelper(file *dockerconfig.Edit, host string) {
	switch old := file.Helper(host); old {
	case name:
		file.RemoveHelper(host)
		c.tell("%s: %s no longer asks %s for %s", c.path, c.client, name, host)
	case "":
		c.tell("%s: %s does not ask %s for %s", c.path, c.client, name, host)
	default:
		c.tell("%s: %s asks %s for %s, which stays so", c.path, c.client, old, host)
	}
}

// removeAuth removes what "docker login" left for a host before this helper was asked for it.
func (c *configuration) removeAuth(file *dockerconfig.Edit, host string) {
	for _, key := range file.RemoveAuth(host) {
		c.tell("%s: removed the old login for %q in auths, which Docker before 29 would use after a refusal", c.path, key)
	}
}

// writeSettings writes --role, --audience and the like into our file, for the accounts of the registries.
func (c *configuration) writeSettings() error {
	var said []string
	for _, set := range c.settings.Set() {
		said = append(said, strings.ReplaceAll(set.Key, "_", " ")+" "+strings.Join(set.Texts, ", then "))
	}
	if len(said) == 0 && len(c.settings.Allowed) == 0 {
		return nil
	}
	accounts := c.namedAccounts()
	return c.ours(func(path, shown string) error {
		for _, account := range accounts {
			who := "account " + account
			if account == "" {
				who = "the public registry"
			}
			if len(said) > 0 {
				c.tell("%s: %s has %s", shown, who, strings.Join(said, "; "))
			}
		}
		if allowed := c.settings.Allowed; len(allowed) > 0 {
			c.tell("%s: accounts allowed: %s", shown, strings.Join(allowed, ", "))
		}
		err := config.SetAccounts(path, accounts, c.settings)
		if err != nil && strings.HasPrefix(err.Error(), "--") { // a flag's value, which it has checked first
			return wrong("configure: %v", err)
		}
		return err
	})
}

// namedAccounts returns the accounts of the registries, each once; "" is the public registry's.
func (c *configuration) namedAccounts() (accounts []string) {
	for _, reg := range c.registries {
		if !slices.Contains(accounts, reg.Account) {
			accounts = append(accounts, reg.Account)
		}
	}
	return accounts
}

// environmentWarnings warns about what keeps Docker from using this helper, whatever is in its file.
func (c *configuration) environmentWarnings() (warnings []string) {
	if c.remove || c.restore != "" {
		return nil
	}
	if _, err := exec.LookPath("docker-credential-" + name); err != nil {
		warnings = append(warnings, fmt.Sprintf("docker-credential-%s is not on PATH, where %s looks for it", name, c.client))
	}
	if c.authfile == "" && c.Env.Get("DOCKER_AUTH_CONFIG") != "" {
		warnings = append(warnings, "DOCKER_AUTH_CONFIG is set: Docker uses the logins in it before it asks any helper")
	}
	settings, err := config.Read(c.Env, os.Environ())
	if err != nil {
		return append(warnings, err.Error())
	}
	for _, reg := range c.registries {
		plan, err := settings.For(reg)
		switch {
		case errors.Is(err, config.ErrNotAllowed):
			warnings = append(warnings, fmt.Sprintf("%s: %v, so it is answered as if it were not ECR", reg.Host, err))
		case reg.Public && len(c.settings.Role) == 0 && (err != nil || len(plan.Role.ARNs) == 0):
			warnings = append(warnings, reg.Host+" stays anonymous until it has a role of its own: set ECR_OIDC_ROLE_PUBLIC, or configure it with --role")
		}
	}
	return warnings
}

// tell adds a line that is printed when all is done. It begins with a path.
func (c *configuration) tell(format string, args ...any) {
	line := c.clean(format, args)
	if strings.HasPrefix(line, "::") { // GitHub's runner takes such a line for a command
		line = "./" + line
	}
	c.did = append(c.did, line)
}

func (c *configuration) warn(format string, args ...any) {
	c.warnings = append(c.warnings, c.clean(format, args))
}

// clean returns a message as one line. Each text in it may come from a file or an argument, and is
// shortened by itself.
func (c *configuration) clean(format string, args []any) string {
	for i, arg := range args {
		if text, ok := arg.(string); ok {
			args[i] = oneline.Clean(text)
		}
	}
	return oneline.Line(oneline.Strike(fmt.Sprintf(format, args...), c.Env.Secrets()...))
}
