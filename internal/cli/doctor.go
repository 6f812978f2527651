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

// doctorCommand is a call of doctor.
type doctorCommand struct {
	Program
	policyFile, claimsFile string
	role                   string // that bare claims are to assume
	session                string // the role session's name, for claims
	json                   bool

	policy *trust.Policy // nil without policyFile
}

// errUnhealthy ends doctor with exit code 1. The report has the details.
var errUnhealthy = errors.New("a get would not succeed")

func (p Program) doctorCommand() *cobra.Command {
	d := &doctorCommand{Program: p}
	command := &cobra.Command{
		Use:   "doctor [REGISTRY...]",
		Short: "Diagnose a login, step by step",
		Long: `Diagnose a login, step by step. It ignores the cache, and changes nothing but an
AWS login that has to be renewed. Without a registry it diagnoses every registry
that Docker's config.json assigns to this helper.

With --trust-policy it also evaluates the role's trust policy against the job's
token, condition by condition. AWS prints the policy with:
aws iam get-role --role-name NAME

With --claims it makes no network call. It reads a job's claims, or the output
of "doctor --json" from the job, so that you can run it outside the job.

The exit code is 0 only if a get would succeed now; with --claims, if the policy
admits the claims or no policy was given.`,
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
		"read the role's trust policy, or the output of \"aws iam get-role\", from `FILE`; "+
			"- is stdin")
	f.StringVar(&d.role, "role", "",
		"with --claims: the `ARN` of the role, if the file does not have it")
	f.StringVar(&d.session, "session-name", "",
		"with --claims: the `NAME` of the role session, if the file does not have it")
	f.StringVar(&d.claimsFile, "claims", "",
		"make no network call: read the token's claims, or the output of doctor --json, from "+
			"`FILE`; - is stdin")
	f.BoolVar(&d.json, "json", false,
		"print the report as JSON, which docs/doctor.md describes")
	// The errors are those of a flag that does not exist.
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
	docker := doctor.InspectDocker(d.Env)
	if len(regs) == 0 {
		if regs, err = docker.Registries(); err != nil {
			return fmt.Errorf("finding what to look at: %w; "+
				"name a registry: docker-credential-ecr-oidc doctor %s", err, exampleHost)
		}
	}
	examiner := doctor.Doctor{
		Helper: helper.Helper{Env: d.Env, Environ: os.Environ(),
			Debug: debuglog.ToStderr(d.Env, d.Stderr)},
		Docker: docker,
		Policy: d.policy,
	}
	var found []doctor.Diagnosis
	for _, reg := range regs {
		found = append(found, examiner.Examine(reg))
	}
	return d.print(doctor.NewReport(d.version(), found...))
}

// registries returns the registries that arguments name, each once.
func registries(args []string) (regs []registry.Registry, err error) {
	for _, arg := range args {
		reg, ok := registry.Parse(arg)
		if !ok {
			return nil, usageErrorf("%s", notECR(arg))
		}
		if !slices.Contains(regs, reg) {
			regs = append(regs, reg)
		}
	}
	return regs, nil
}

// checkFlags returns an error for flags that do not go together.
func (d *doctorCommand) checkFlags() error {
	switch {
	case d.policyFile == "-" && d.claimsFile == "-":
		return usageErrorf("doctor: --trust-policy and --claims cannot both be read from stdin")
	case d.role != "" && d.claimsFile == "":
		return usageErrorf("doctor: --role goes with --claims; for a get the role is in " +
			"ECR_OIDC_ROLE or ecr-oidc.yaml")
	case d.session == "":
		return nil
	case d.claimsFile == "":
		return usageErrorf("doctor: --session-name goes with --claims; " +
			"for a get the name is in ECR_OIDC_SESSION_NAME or ecr-oidc.yaml")
	}
	if err := config.CheckSessionName(d.session); err != nil {
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

// evaluateClaims evaluates the policy against saved claims. Without a policy it always succeeds.
func (d *doctorCommand) evaluateClaims(regs []registry.Registry) error {
	text, err := d.read(d.claimsFile)
	if err != nil {
		return fmt.Errorf("reading the claims: %w", err)
	}
	claims, err := doctor.ReadClaims(text, regs)
	if err != nil {
		return fmt.Errorf("reading the claims: %w", err)
	}
	claims.Role, claims.Session = cmp.Or(d.role, claims.Role), cmp.Or(d.session, claims.Session)
	found := doctor.Doctor{Policy: d.policy}.Evaluate(claims)
	err = d.print(doctor.NewReport(d.version(), found))
	if d.policy == nil && errors.Is(err, errUnhealthy) { // nothing was asked
		return nil
	}
	return err
}

// maxInput is the greatest length of --trust-policy and --claims, in bytes.
const maxInput = 1 << 20

// read returns the content of a file, or of stdin for "-".
func (d *doctorCommand) read(path string) ([]byte, error) {
	name, from := "stdin", d.Stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		name, from = path, f
	}
	text, err := io.ReadAll(io.LimitReader(from, maxInput+1))
	if err == nil && len(text) > maxInput {
		err = fmt.Errorf("%s is longer than 1 MiB", safetext.Sanitize(name))
	}
	return text, err
}

// print prints the report. It returns errUnhealthy unless a get would succeed.
func (d *doctorCommand) print(r doctor.Report) error {
	text := d.text(r)
	if d.json {
		var err error
		if text, err = encodeReport(r); err != nil {
			return err
		}
	}
	io.WriteString(d.Stdout,
		safetext.Redact(text, d.Env.Secrets()...)) // d.Stdout remembers a failure
	if !r.Ready {
		return errUnhealthy
	}
	return nil
}
