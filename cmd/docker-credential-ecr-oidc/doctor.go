package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/config"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/dockerconfig"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/helper"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/oneline"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/registry"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/trust"
)

// doctor is what doctor was asked for.
type doctor struct {
	program
	policyFile, claimsFile string
	role                   string // that bare claims are to assume
	session                string // the role session's name, for claims
	json                   bool

	docker surroundings
	policy *trust.Policy
}

// unwell ends doctor with exit code 1; all there is to say has been said.
type unwell struct{}

func (unwell) Error() string { return "doctor found what keeps a get from succeeding" }

func (p program) doctorVerb() *cobra.Command {
	d := &doctor{program: p}
	verb := &cobra.Command{
		Use:   "doctor [REGISTRY...]",
		Short: "Say each step of a get, what is wrong, and what to type",
		Long: `Say each step of a get: afresh, whatever is in the cache, and changing nothing but an AWS login that has to be
renewed. Without a registry it does so for every one that Docker's config.json gives to this helper.

With --trust-policy it also says what the role's trust policy says to this job, condition by condition. AWS shows the
policy with: aws iam get-role --role-name NAME

With --claims it calls nobody: it reads a job's claims, or what "doctor --json" printed in the job, for somebody who has
the policy and is not the job.

It exits with 0 only when a get would succeed now; with --claims, when the policy admits them, or when there
is none and nothing was asked.`,
		Example: lines(
			"docker-credential-ecr-oidc doctor "+exampleHost,
			"docker-credential-ecr-oidc doctor --json "+exampleHost+" >job.json",
			"aws iam get-role --role-name ci | docker-credential-ecr-oidc doctor --claims job.json --trust-policy -",
		),
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: p.completeHosts,
		RunE:              func(_ *cobra.Command, args []string) error { return d.run(args) },
	}
	f := verb.Flags()
	f.SortFlags = false
	f.StringVar(&d.policyFile, "trust-policy", "", "the role's trust policy is in `FILE`, or on stdin for -; the answer of \"aws iam get-role\" will do")
	f.StringVar(&d.role, "role", "", "with --claims: the `ARN` of the role, where the file does not say it")
	f.StringVar(&d.session, "session-name", "",
		"with --claims: the `NAME` of the role session, where the file does not have it")
	f.StringVar(&d.claimsFile, "claims", "", "call nobody: the token's claims, or what doctor --json printed, are in `FILE`, or on stdin for -")
	f.BoolVar(&d.json, "json", false, "print it as JSON, in the shape that docs/doctor.md describes")
	// The flags are there, and cobra says no only to what is not.
	_ = verb.MarkFlagFilename("trust-policy", "json")
	_ = verb.MarkFlagFilename("claims", "json")
	return verb
}

func (d *doctor) run(args []string) error {
	if d.policyFile == "-" && d.claimsFile == "-" {
		return wrong("doctor: --trust-policy and --claims cannot both be read from stdin")
	}
	var regs []registry.Registry
	for _, arg := range args {
		reg, ok := registry.Parse(arg)
		if !ok {
			return wrong("%s", notECR(arg))
		}
		if !slices.Contains(regs, reg) {
			regs = append(regs, reg)
		}
	}
	if err := d.readPolicy(); err != nil {
		return err
	}
	if d.role != "" && d.claimsFile == "" {
		return wrong("doctor: --role goes with --claims; for a get the role is in ECR_OIDC_ROLE or ecr-oidc.yaml")
	}
	if d.session != "" {
		if d.claimsFile == "" {
			return wrong("doctor: --session-name goes with --claims; " +
				"for a get the name is in ECR_OIDC_SESSION_NAME or ecr-oidc.yaml")
		}
		if err := config.CheckSessionName(d.session); err != nil {
			return wrong("doctor: --session-name %v", err)
		}
	}
	if d.claimsFile != "" {
		return d.fromClaims(regs)
	}
	d.docker = d.surroundings()
	if len(regs) == 0 {
		helpers := d.docker.helpers()
		for _, host := range slices.Sorted(maps.Keys(helpers)) {
			if reg, ok := registry.Parse(host); ok && helpers[host] == name {
				regs = append(regs, reg)
			}
		}
	}
	if len(regs) == 0 {
		why := "Docker's file " + d.docker.path + " names no registry for this helper"
		if d.docker.err != nil {
			why = oneline.Clean(d.docker.err.Error())
		}
		return fmt.Errorf("finding what to look at: %s; name a registry: docker-credential-ecr-oidc doctor %s", why, exampleHost)
	}
	r := report{Shape: shape, Version: versionLine(), Ready: true}
	for _, reg := range regs {
		found := d.examine(reg)
		r.Registries = append(r.Registries, found)
		r.Ready = r.Ready && found.Ready
	}
	return d.print(r, r.Ready)
}

// examine looks at one registry.
func (d *doctor) examine(reg registry.Registry) diagnosis {
	h := d.helper()
	x := limited(wholeGet, helper.Examination{Registry: reg}, func(ctx context.Context, x helper.Examination) helper.Examination {
		return h.Examine(ctx, x.Registry)
	})
	if !x.Done() {
		x = limited(wholeGet, x, h.Request)
	}
	return d.diagnose(x)
}

// limited takes a step of a get in the time that a get has. When it hangs in what knows no context, it is known what was
// known before, and that get would hang there too. The step has a copy of that: it may still be at it then.
func limited(limit time.Duration, before helper.Examination, step func(context.Context, helper.Examination) helper.Examination) helper.Examination {
	after := make(chan helper.Examination, 1)
	known := before
	err := within("get", limit, func(ctx context.Context) error {
		after <- step(ctx, known)
		return nil
	})
	if err != nil {
		before.Err = err
		return before
	}
	return <-after
}

// readPolicy reads --trust-policy.
func (d *doctor) readPolicy() error {
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

// fromClaims says what the policy says to claims that were handed over, and calls nobody.
func (d *doctor) fromClaims(regs []registry.Registry) error {
	text, err := d.read(d.claimsFile)
	if err != nil {
		return fmt.Errorf("reading the claims: %w", err)
	}
	file, err := claimsIn(text, regs)
	if err == nil {
		err = trust.CheckSize(file.claims)
	}
	if err != nil {
		return fmt.Errorf("reading the claims: %w", err)
	}
	found := diagnosis{
		Role: cmp.Or(d.role, file.role), Session: cmp.Or(d.session, file.session), Token: tokenOf(file.claims),
	}
	found.add("token", good, "issuer %s, subject %s, audience %s", shown(found.Token.Issuer), shown(found.Token.Subject), shown(strings.Join(found.Token.Audience, ", ")))
	d.judge(&found)
	if found.Session == "" && d.policy != nil && undecidedSession(*d.policy, found.Policy) {
		found.add("policy", note, "it has a condition on sts:RoleSessionName, and the session's name is not known").
			Next = "name it with --session-name, or take what doctor --json prints in the job"
	}
	found.Ready = found.Policy != nil && found.Policy.Verdict != nil && found.Policy.Verdict.Admits == trust.Yes
	return d.print(report{Shape: shape, Version: versionLine(), Ready: found.Ready, Registries: []diagnosis{found}}, found.Ready || d.policy == nil)
}

// saved is what a file for --claims holds.
type saved struct {
	role, session string // "" where the file does not have them
	claims        map[string]any
}

// claimsIn reads a file for --claims: the claims themselves, or a report of doctor --json. Of a report it
// takes the first registry that has a token and is one of regs, if there are any.
func claimsIn(text []byte, regs []registry.Registry) (saved, error) {
	var claims map[string]any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&claims); err != nil {
		return saved{}, errors.New("they are not a JSON object")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return saved{}, errors.New("there is more after the JSON object")
	}
	if _, ok := claims["iss"]; ok {
		return saved{claims: claims}, nil
	}
	var r struct { // no more of a report than is wanted, so that a later version's can be read too
		Shape      int
		Registries []struct {
			Registry, Role string
			Session        string `json:"session_name"`
			Token          *struct{ Claims map[string]any }
		}
	}
	decoder = json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&r); err != nil || r.Shape == 0 {
		return saved{}, errors.New(`they have no "iss", and are not what doctor --json prints`)
	}
	if r.Shape != shape {
		return saved{}, fmt.Errorf("they are of shape %d, and this version knows %d; use the version that printed them",
			r.Shape, shape)
	}
	for _, found := range r.Registries {
		reg, ok := registry.Parse(found.Registry)
		if found.Token == nil || len(regs) > 0 && !(ok && slices.Contains(regs, reg)) {
			continue
		}
		if found.Session != "" {
			if err := config.CheckSessionName(found.Session); err != nil {
				return saved{}, fmt.Errorf("the session name in the report %w", err)
			}
		}
		return saved{role: found.Role, session: found.Session, claims: found.Token.Claims}, nil
	}
	return saved{}, errors.New("the report has no token in it: the job had none, or it is of another registry")
}

// maxInput is the greatest length of --trust-policy and --claims, in bytes.
const maxInput = 1 << 20

// read returns the content of a file, or of stdin for "-".
func (d *doctor) read(path string) ([]byte, error) {
	name, from := "stdin", d.stdin
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
		err = fmt.Errorf("%s is longer than 1 MiB", oneline.Clean(name))
	}
	return text, err
}

// print writes a report, and makes it the exit code.
func (d *doctor) print(r report, well bool) error {
	text := r.text(d.coloured())
	if d.json {
		var err error
		if text, err = r.json(); err != nil {
			return err
		}
	}
	io.WriteString(d.stdout, oneline.Strike(text, d.env.Secrets()...)) // d.stdout remembers a failure
	if !well {
		return unwell{}
	}
	return nil
}

// undecidedSession reports whether the answer is open and the policy refers to the role session's name.
func undecidedSession(p trust.Policy, found *policyReport) bool {
	const key = "sts:rolesessionname"
	return found != nil && found.Verdict != nil && found.Verdict.Admits == trust.Unknown &&
		slices.ContainsFunc(p.Statements, func(s trust.Statement) bool {
			return slices.ContainsFunc(s.Conditions, func(c trust.Condition) bool {
				return strings.EqualFold(c.Key, key) ||
					strings.Contains(strings.ToLower(strings.Join(c.Values, " ")), "${"+key)
			})
		})
}

// judge says what the policy says to the token, or what policy would admit it.
func (d *doctor) judge(found *diagnosis) {
	request := trust.Request{Role: found.Role, Claims: found.Token.Claims, Now: time.Now(), Session: found.Session}
	if d.policy == nil {
		if request.Role == "" {
			found.add("policy", skipped, "none can be suggested: these claims do not say for which role").Next = "name it with --role, or take what doctor --json prints in the job"
			return
		}
		suggestion, err := trust.Smallest(request)
		if err != nil {
			found.add("policy", note, "%v", err)
			return
		}
		found.Policy = &policyReport{Smallest: &suggestion}
		return
	}
	switch {
	case request.Role == "":
		request.Role = d.policy.Role
		found.Role = request.Role
	case d.policy.Role != "" && d.policy.Role != request.Role:
		found.add("policy", note, "it is that of %s, and the job assumes %s", shown(d.policy.Role), shown(request.Role))
	}
	verdict, err := trust.Evaluate(*d.policy, request)
	if err != nil {
		found.add("policy", bad, "%v", err)
		return
	}
	if verdict.Findings == nil { // a list in JSON
		verdict.Findings = []trust.Finding{}
	}
	found.Policy = &policyReport{Verdict: &verdict}
}

// helpers returns credHelpers of Docker's file.
func (s surroundings) helpers() map[string]string {
	if s.file == nil {
		return nil
	}
	return s.file.Helpers()
}

// surroundings is Docker's side, as it is for every registry.
type surroundings struct {
	path string
	file *dockerconfig.Edit // nil when it cannot be read, and err says why
	err  error

	variable []string // the registries that DOCKER_AUTH_CONFIG has logins for
	checks   []check  // of PATH and of Docker's version
}
