package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/debuglog"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/doctor"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/helper"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/trust"
)

// doctorCommand is one call of doctor.
type doctorCommand struct {
	Program
	policyFile, claimsFile string
	role, sessionName      string // of the saved claims
	json, verbose, hosts   bool

	policy *trust.Policy // nil without policyFile
}

// errUnhealthy makes doctor and check exit with code 1. Run does not print it, because their output has
// the details.
var errUnhealthy = errors.New("a check failed")

func (p Program) doctorCommand() *cobra.Command {
	d := &doctorCommand{Program: p}
	command := &cobra.Command{
		Use:   "doctor [REGISTRY...]",
		Short: "Diagnose a login, step by step",
		Long: `Diagnose a login, step by step. It ignores the cached password, and changes
nothing, except that it renews an AWS login that has expired. Without a registry
it diagnoses every registry that Docker's config.json assigns to this helper.
To print the state of every registry, without a request:
docker-credential-ecr-oidc check --offline

With --trust-policy it also evaluates the role's trust policy against the job's
token, condition by condition. To print the policy:
aws iam get-role --role-name NAME

With --claims you can run it outside the job, on the claims of the job's token
or on the output of "doctor --json" from the job. It makes no network call.

With --hosts it makes no request. It lists the hosts that a login, a pull and a
push connect to.

The exit code is 0 only if a get would succeed and Docker calls this helper.
With --hosts it is 0 if the settings are valid. With --claims it is 0 if the
policy admits the claims or no policy is given.`,
		Example: examples(
			"docker-credential-ecr-oidc doctor "+exampleHost,
			"docker-credential-ecr-oidc doctor --json "+exampleHost+" >job.json",
			"aws iam get-role --role-name ci | docker-credential-ecr-oidc doctor --claims "+
				"job.json --trust-policy -",
		),
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: p.completeHosts,
		RunE:              func(_ *cobra.Command, args []string) error { return d.run(args) },
	}
	f := command.Flags()
	f.SortFlags = false
	f.StringVar(&d.policyFile, "trust-policy", "",
		"evaluate the trust policy, or the output of \"aws iam get-role\", in `FILE`; - is stdin")
	f.StringVar(&d.role, "role", "",
		"with --claims: the `ARN` of the role (default: the role in the file)")
	f.StringVar(&d.sessionName, "session-name", "",
		"with --claims: the `NAME` of the role session (default: the name in the file)")
	f.StringVar(&d.claimsFile, "claims", "",
		"read the token's claims, or the output of \"doctor --json\", from `FILE`; - is stdin; "+
			"makes no network call")
	f.BoolVar(&d.json, "json", false,
		"print the report as JSON; docs/doctor.md describes it")
	f.BoolVar(&d.verbose, "verbose", false, "print every claim, and the policies that are suggested")
	f.BoolVar(&d.hosts, "hosts", false,
		"make no request: list the hosts that a closed network must allow")
	// These functions fail only for a flag that does not exist.
	_ = command.MarkFlagFilename("trust-policy", "json")
	_ = command.MarkFlagFilename("claims", "json")
	return command
}

func (d *doctorCommand) run(args []string) error {
	regs, err := registries(args)
	if err == nil {
		err = d.checkFlags()
	}
	if err == nil {
		err = d.readPolicy()
	}
	if err != nil {
		return err
	}
	if d.claimsFile != "" {
		return d.evaluateClaims(regs)
	}
	docker := doctor.CheckDocker(d.Env)
	if len(regs) == 0 {
		if regs, err = docker.Registries(); err != nil {
			return fmt.Errorf("finding the registries to diagnose: %w; name a registry: "+
				"docker-credential-ecr-oidc doctor %s", err, exampleHost)
		}
	}
	if d.hosts {
		return d.printHosts(regs)
	}
	diagnoser := doctor.Doctor{
		Helper: d.helper(),
		Docker: docker,
		Policy: d.policy,
	}
	var diagnoses []doctor.Diagnosis
	for _, reg := range regs {
		diagnoses = append(diagnoses, diagnoser.Diagnose(reg))
	}
	return d.print(doctor.NewReport(d.version(), diagnoses...))
}

func (d *doctorCommand) helper() helper.Helper {
	return helper.Helper{
		Env: d.Env, Environ: os.Environ(), Debug: debuglog.ToStderr(d.Env, d.Stderr),
	}
}

// printHosts prints the hosts that a closed network must allow, one per line with its use.
func (d *doctorCommand) printHosts(regs []registry.Registry) error {
	var hosts []doctor.Host
	for _, reg := range regs {
		found, err := doctor.Doctor{Helper: d.helper()}.Hosts(reg)
		if err != nil {
			return &getError{err, reg.Host}
		}
		hosts = append(hosts, found...)
	}
	hosts = doctor.MergeHosts(hosts...)
	width := 0
	for _, h := range hosts {
		width = max(width, len(h.Name))
	}
	for _, h := range hosts {
		fmt.Fprintf(d.Stdout, "%-*s  %s\n", width, safetext.Sanitize(h.Name), h.Use)
	}
	return nil
}

// registries returns the registries in the arguments, each once. An argument that is not an ECR
// registry is a usage error.
func registries(args []string) (regs []registry.Registry, err error) {
	for _, arg := range args {
		reg, ok := registry.Parse(arg)
		if !ok {
			return nil, usageErrorf("%s", describeNotECR(arg))
		}
		if !slices.Contains(regs, reg) {
			regs = append(regs, reg)
		}
	}
	return regs, nil
}

// checkFlags returns an error for flags that cannot be used together.
func (d *doctorCommand) checkFlags() error {
	switch {
	case d.hosts && (d.policyFile != "" || d.claimsFile != "" || d.json || d.verbose):
		return usageErrorf("doctor: --hosts prints only the hosts, and takes no other flag")
	case d.policyFile == "-" && d.claimsFile == "-":
		return usageErrorf("doctor: --trust-policy and --claims cannot both be read from stdin")
	case d.role != "" && d.claimsFile == "":
		return usageErrorf("doctor: --role requires --claims; without it, set the role in " +
			"ECR_OIDC_ROLE or ecr-oidc.yaml")
	case d.sessionName == "":
		return nil
	case d.claimsFile == "":
		return usageErrorf("doctor: --session-name requires --claims; without it, set the name in " +
			"ECR_OIDC_SESSION_NAME or ecr-oidc.yaml")
	}
	if err := config.CheckSessionName(d.sessionName); err != nil {
		return usageErrorf("doctor: --session-name %v", err)
	}
	return nil
}

// readPolicy reads and parses the file of --trust-policy.
func (d *doctorCommand) readPolicy() error {
	if d.policyFile == "" {
		return nil
	}
	text, err := d.read(d.policyFile)
	if err != nil {
		return fmt.Errorf("reading the trust policy: %w", err)
	}
	policy, err := trust.Parse(text)
	if err != nil {
		return err
	}
	d.policy = &policy
	return nil
}

// evaluateClaims prints the result of the policy on saved claims. Without a policy it prints a
// minimal policy and returns nil.
func (d *doctorCommand) evaluateClaims(regs []registry.Registry) error {
	text, err := d.read(d.claimsFile)
	if err != nil {
		return fmt.Errorf("reading the claims: %w", err)
	}
	claims, err := doctor.ParseClaims(text, regs)
	if err != nil {
		return fmt.Errorf("reading the claims: %w", err)
	}
	claims.Role = cmp.Or(d.role, claims.Role)
	claims.SessionName = cmp.Or(d.sessionName, claims.SessionName)
	diagnosis := doctor.Doctor{Policy: d.policy}.Evaluate(claims)
	err = d.print(doctor.NewReport(d.version(), diagnosis))
	if d.policy == nil && errors.Is(err, errUnhealthy) { // there is no verdict
		return nil
	}
	return err
}

// maxInput is the maximum size of the files of --trust-policy and --claims, in bytes.
const maxInput = 1 << 20

// read returns the content of a file, or of stdin for "-".
func (d *doctorCommand) read(path string) ([]byte, error) {
	name, reader := "stdin", d.Stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		name, reader = path, f
	}
	text, err := io.ReadAll(io.LimitReader(reader, maxInput+1))
	if err == nil && len(text) > maxInput {
		err = fmt.Errorf("%s is longer than 1 MiB", safetext.Sanitize(name))
	}
	return text, err
}

// print prints the report. It returns errUnhealthy unless the report is healthy.
func (d *doctorCommand) print(r doctor.Report) error {
	text := d.text(r, d.verbose)
	if d.json {
		var err error
		if text, err = encodeReport(r); err != nil {
			return err
		}
	}
	// Run reports an error of this write.
	io.WriteString(d.Stdout, safetext.Redact(text, d.Env.Secrets()...))
	if !r.Healthy() {
		return errUnhealthy
	}
	return nil
}
