package doctor

import (
	"errors"
	"strings"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/exchange"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/explain"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/helper"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/suggest"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/token"
)

// detectProfiles lists the AWS profiles of a machine where the login finds no credentials. It returns
// "" for a container of a CI, for which detectContainer has advice.
func detectProfiles(x helper.Examination, env token.Env) (text, advice string) {
	var (
		none    *exchange.NoCredentialsError
		missing *exchange.ProfileError
	)
	isMissing := errors.As(x.Err, &missing) && missing.Missing
	if x.Identity.Name != "aws" || !isMissing && (x.Identity.Explicit || !errors.As(x.Err, &none)) {
		return "", ""
	}
	path, _ := exchange.ProfileFiles(env)
	names := profiles(env)
	configure := "docker-credential-ecr-oidc configure --profile "
	host := " " + x.Registry.Host
	switch {
	case len(names) == 0 && isDevContainer(env):
		return "this is a dev container without AWS profiles: " + display(path) + " has none",
			"mount your ~/.aws directory into the container, then run: " + configure + "NAME" +
				host
	case len(names) == 0 && isContainer(env):
		return "", ""
	case len(names) == 0:
		return "there are no AWS profiles: " + display(path) + " has none",
			"create one with aws configure sso, then run: " + configure + "NAME" + host
	}
	text = "the AWS profiles of this machine are " + display(strings.Join(names, ", "))
	name := "NAME"
	if isMissing {
		if nearest := suggest.Nearest(missing.Profile, names); nearest != "" {
			text, name = text+"; did you mean "+display(nearest)+"?", nearest
		}
	}
	if len(names) == 1 {
		name = names[0]
	}
	return text, "to use one of them: " + configure + explain.ShellQuote(display(name)) + host
}

// profiles returns the AWS profiles of this machine. It returns nil if a file blocks.
func profiles(env token.Env) []string {
	names, _ := probe("reading the AWS profiles",
		func() ([]string, error) { return exchange.Profiles(env), nil })
	return names
}

// isDevContainer reports whether this is a development container. Its tools set these variables.
func isDevContainer(env token.Env) bool {
	return firstSet(env, "REMOTE_CONTAINERS", "CODESPACES", "DEVPOD", "GITPOD_WORKSPACE_ID") != ""
}
