package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os/exec"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/dockerconfig"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/oneline"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
)

// name is what Docker's configuration calls this helper: the binary's name without "docker-credential-".
const name = "ecr-oidc"

// configure makes Docker ask this helper for the registries named.
func (p program) configure(args []string) int {
	flags := flag.NewFlagSet("configure", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	dir := flags.String("docker-config", p.env.Get("DOCKER_CONFIG"), "")
	var registries []string
	for err := flags.Parse(args); ; err = flags.Parse(flags.Args()[1:]) { // flags may follow registries, too
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(p.stdout, usage)
			return succeeded
		} else if err != nil {
			return p.usage("configure: " + err.Error())
		}
		if flags.NArg() == 0 {
			break
		}
		registries = append(registries, flags.Arg(0))
	}
	if len(registries) == 0 {
		return p.usage("configure takes one registry or more, for example 123456789012.dkr.ecr.eu-west-2.amazonaws.com")
	}
	var hosts []string
	for _, arg := range registries {
		reg, ok := registry.Parse(arg)
		if !ok {
			fmt.Fprintf(p.stderr, "ecr-oidc: %q is not an ECR registry; one looks like 123456789012.dkr.ecr.eu-west-2.amazonaws.com\n", oneline.Clean(arg))
			return wrongUsage
		}
		hosts = append(hosts, reg.Host)
	}
	path, err := dockerconfig.Path(*dir)
	if err == nil {
		err = dockerconfig.SetHelper(path, name, hosts...)
	}
	if err != nil {
		fmt.Fprintln(p.stderr, p.line(err))
		return failed
	}
	for _, host := range hosts {
		fmt.Fprintf(p.stdout, "%s: Docker asks %s for %s\n", path, name, host)
	}
	if _, err := exec.LookPath("docker-credential-" + name); err != nil {
		fmt.Fprintf(p.stderr, "ecr-oidc: docker-credential-%s is not on PATH, where Docker looks for it\n", name)
	}
	return succeeded
}
