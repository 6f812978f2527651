package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/debuglog"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/dockerconfig"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/exchange"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/explain"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/helper"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/repository"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// checkCommand is one call of check.
type checkCommand struct {
	Program
	push, offline, json bool
}

func (p Program) checkCommand() *cobra.Command {
	c := &checkCommand{Program: p}
	command := &cobra.Command{
		Use:   "check [REGISTRY[/REPOSITORY]...]",
		Short: "Log in now, and report whether a pull or push can work",
		Long: `Log in to each registry as Docker would, and print the role, its source and how
long the login is valid. The login is cached, so that Docker's next request
makes no network call. Without an argument, check every registry that Docker's
config.json assigns to this helper.

With a repository, also check that the repository exists and that the login can
pull from it. With --push, also start an upload and cancel it. That proves the
permission ecr:InitiateLayerUpload. It does not prove that you can write a tag.

With --offline, print the state of every registry without a request.`,
		Example: examples(
			"docker-credential-ecr-oidc check",
			"docker-credential-ecr-oidc check --push "+exampleHost+"/team/app",
			"docker-credential-ecr-oidc check --offline",
		),
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: p.completeHosts,
		RunE:              func(_ *cobra.Command, args []string) error { return c.run(args) },
	}
	f := command.Flags()
	f.SortFlags = false
	f.BoolVar(&c.push, "push", false, "check that the login can start an upload to each repository")
	f.BoolVar(&c.offline, "offline", false,
		"make no request: print the helper, the role or profile, the source, and what is cached")
	f.BoolVar(&c.json, "json", false, "print the results as JSON, which docs/check.md describes")
	return command
}

// target is one argument of check.
type target struct {
	registry   registry.Registry
	repository string // "" to check the login alone
}

func (t target) String() string {
	if t.repository == "" {
		return t.registry.Host
	}
	return t.registry.Host + "/" + t.repository
}

func (c *checkCommand) run(args []string) error {
	targets, err := c.targets(args)
	if err != nil {
		return err
	}
	for _, warning := range config.UnknownVariables(os.Environ()) {
		fmt.Fprintln(c.Stderr, c.errorLine(errors.New(warning)))
	}
	results := make([]checkResult, len(targets))
	h := helper.Helper{
		Env: c.Env, Environ: os.Environ(), Debug: debuglog.ForCommand(c.Env, c.Stderr),
		Tokens: new(token.Shared), IgnoreCachedFailures: true,
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, maxParallel)
	for i, t := range targets {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if c.offline {
				results[i] = c.inspect(h, t)
			} else {
				results[i] = c.check(h, t)
			}
		})
	}
	wg.Wait()
	return c.print(results)
}

// maxParallel is the number of registries that are checked at the same time.
const maxParallel = 16

// targets returns the targets of the arguments, each once. Without arguments, it returns the
// registries that Docker's configuration assigns to this helper.
func (c *checkCommand) targets(args []string) (targets []target, err error) {
	if c.offline && c.push {
		return nil, usageErrorf("check: --offline and --push cannot be used together")
	}
	if len(args) == 0 {
		return c.configured()
	}
	seen := map[target]bool{}
	for _, arg := range args {
		t, err := parseTarget(arg)
		if err == nil && c.push && t.repository == "" {
			err = usageErrorf("check: --push requires a repository, for example %s/team/app",
				t.registry.Host)
		}
		if err != nil {
			return nil, err
		}
		if !seen[t] {
			seen[t] = true
			targets = append(targets, t)
		}
	}
	return targets, nil
}

// configured returns the registries that Docker's configuration assigns to this helper.
func (c *checkCommand) configured() (targets []target, err error) {
	if c.push {
		return nil, usageErrorf("check: --push requires a repository, for example %s/team/app",
			exampleHost)
	}
	path, err := dockerconfig.Path(c.Env.Get("DOCKER_CONFIG"))
	if err != nil {
		return nil, err
	}
	file, err := dockerconfig.Read(path)
	if err != nil {
		return nil, err
	}
	for _, reg := range file.Registries(helperName) {
		targets = append(targets, target{registry: reg})
	}
	if len(targets) == 0 {
		return nil, usageErrorf("check: %s assigns no registry to this helper; name a registry, for "+
			"example %s", path, exampleHost)
	}
	return targets, nil
}

// parseTarget parses REGISTRY[/REPOSITORY].
func parseTarget(arg string) (target, error) {
	reg, ok := registry.Parse(arg)
	if !ok {
		return target{}, usageErrorf("%s", describeNotECR(arg))
	}
	path := arg
	if _, rest, ok := strings.Cut(arg, "://"); ok {
		path = rest
	}
	_, name, _ := strings.Cut(path, "/")
	name = strings.TrimSuffix(name, "/")
	if i := strings.IndexAny(name, ":@"); i >= 0 {
		return target{}, usageErrorf("check: %q has a tag or digest; use the name without it: %s/%s",
			safetext.Sanitize(arg), reg.Host, safetext.Sanitize(name[:i]))
	}
	if name != "" && !repository.IsName(name) {
		return target{}, usageErrorf("check: %q is not the name of a repository",
			safetext.Sanitize(name))
	}
	return target{reg, name}, nil
}

// check logs in, and checks the access to the repository if the target has one.
func (c *checkCommand) check(h helper.Helper, t target) checkResult {
	result := checkResult{Registry: t.registry.Host, Repository: t.repository}
	login, err := explain.RunWithTimeout("logging in", explain.CommandTimeout,
		func(ctx context.Context) (helper.Login, error) { return h.Login(ctx, t.registry) })
	if err != nil {
		return c.fail(result, t, err)
	}
	expires := login.Expires.UTC().Truncate(time.Second)
	result.Source, result.Subject, result.Expires = login.Source, login.Subject, &expires
	result.Cached, result.StoredLogin = login.Cached, login.Stored
	if n := len(login.Roles.ARNs); n > 0 {
		result.Role, result.RoleFrom = login.Roles.ARNs[n-1], login.Roles.From
	}
	result.text = describeLogin(result)
	if t.repository != "" {
		access, err := explain.RunWithTimeout("checking the repository", explain.CommandTimeout,
			func(ctx context.Context) (string, error) { return c.checkRepository(ctx, t, login) })
		if err != nil {
			return c.fail(result, t, err)
		}
		result.text += "; " + access
	}
	result.OK = true
	return result
}

// checkRepository returns a description of the access that the login has to the target's repository. It
// returns an error if the login cannot pull, or with --push cannot push.
func (c *checkCommand) checkRepository(ctx context.Context, t target, login helper.Login) (string, error) {
	roots, err := exchange.CABundle(c.Env)
	if err != nil {
		return "", err
	}
	r := repository.Repository{
		Registry: t.registry, Name: t.repository, Username: login.Username, Password: login.Secret,
		Client: repository.NewClient(roots),
	}
	if err := r.CheckPull(ctx); err != nil {
		return "", err
	}
	if !c.push {
		return "the login can pull from the repository", nil
	}
	return "the login can pull from the repository, and can start an upload", r.CheckPush(ctx)
}
