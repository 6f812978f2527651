package cli

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/exchange"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/suggest"
)

// environmentWarnings returns warnings about the causes of a failed login that are not in the files:
// the environment, and names of regions and profiles that do not exist.
func (c *configureCommand) environmentWarnings() (warnings []string) {
	if c.remove || c.restore != "" {
		return nil
	}
	if warning := c.pathWarning(); warning != "" {
		warnings = append(warnings, warning)
	}
	if c.authfile == "" && c.Env.Get("DOCKER_AUTH_CONFIG") != "" {
		warnings = append(warnings,
			"DOCKER_AUTH_CONFIG is set: Docker uses its logins instead of any helper")
	}
	warnings = append(warnings, config.UnknownVariables(os.Environ())...)
	settings, err := config.Read(c.Env, os.Environ())
	if err != nil {
		return append(warnings, err.Error())
	}
	for _, reg := range c.registries {
		plan, err := settings.For(reg)
		switch {
		case errors.Is(err, config.ErrNotAllowed):
			warnings = append(warnings,
				fmt.Sprintf("%s: %v, so the helper returns no login for it", reg.Host, err))
		case reg.Public && len(c.settings.Role) == 0 && (err != nil || len(plan.Role.ARNs) == 0):
			warnings = append(warnings, "access to "+reg.Host+" is anonymous because no role is "+
				"set for it: set ECR_OIDC_ROLE_PUBLIC, or configure it with --role")
		}
		for _, warning := range []string{regionWarning(reg), c.profileWarning(plan)} {
			if warning != "" && !slices.Contains(warnings, warning) {
				warnings = append(warnings, warning)
			}
		}
	}
	return warnings
}

// pathWarning returns a warning if Docker does not find this helper on PATH, or "".
func (c *configureCommand) pathWarning() string {
	const name = "docker-credential-" + helperName
	if _, err := exec.LookPath(name); err == nil {
		return ""
	}
	warning := fmt.Sprintf("%s is not on PATH, where %s looks for it", name, c.client)
	switch path, err := os.Executable(); {
	case err != nil:
		return warning
	case strings.TrimSuffix(filepath.Base(path), ".exe") != name:
		return warning + "; copy " + path + " to a directory on PATH, with the name " + name
	default:
		return warning + "; add its directory to PATH: " + filepath.Dir(path)
	}
}

// regionWarning returns a warning if the registry's region is unknown, or "". The region may be newer
// than this version.
func regionWarning(reg registry.Registry) string {
	regions := registry.Regions()
	if slices.Contains(regions, reg.Region) {
		return ""
	}
	warning := "the region " + reg.Region + " of " + reg.Host + " is not known"
	if nearest := suggest.Nearest(reg.Region, regions); nearest != "" {
		return warning + "; did you mean " + nearest + "?"
	}
	regions = slices.DeleteFunc(regions, func(region string) bool {
		host, _ := registry.Host(reg.Account, region)
		known, _ := registry.Parse(host)
		return known.Partition != reg.Partition
	})
	return warning + "; the known regions are " + strings.Join(regions, ", ")
}

// profileWarning returns a warning if the profile of a registry does not exist or is not used, or "".
// The flags take precedence over plan, because a dry run does not write them to the file.
func (c *configureCommand) profileWarning(plan config.Settings) string {
	source := cmp.Or(c.settings.Source, plan.Identity.Source)
	profile := cmp.Or(c.settings.Profile, plan.Identity.Profile)
	switch {
	case profile == "":
		return ""
	case source != "" && source != "auto" && source != "aws":
		if c.settings.Source == "" && c.settings.Profile == "" {
			return ""
		}
		return fmt.Sprintf("profile %q is ignored with source %s; it is used with source aws",
			profile, source)
	}
	profiles := exchange.Profiles(c.Env)
	if slices.Contains(profiles, profile) {
		return ""
	}
	configFile, credentialsFile := exchange.ProfileFiles(c.Env)
	warning := fmt.Sprintf("there is no profile %q in %s or %s", profile, configFile, credentialsFile)
	switch nearest := suggest.Nearest(profile, profiles); {
	case nearest != "":
		return warning + "; did you mean " + nearest + "?"
	case len(profiles) > 0:
		return warning + "; the profiles are " + strings.Join(profiles, ", ")
	}
	return warning + "; these files contain no profiles"
}
