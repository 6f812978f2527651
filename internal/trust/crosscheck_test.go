package trust_test

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/trust"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func evaluate(t *testing.T, policy string, claims map[string]any) trust.Verdict {
	t.Helper()
	p, err := trust.Parse([]byte(policy))
	if err != nil {
		t.Fatalf("%v\n%s", err, policy)
	}
	v, err := trust.Evaluate(p, trust.Request{Role: role, Claims: claims, Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	isCause := func(f trust.Finding) bool { return f.Level == trust.Cause }
	if caused := slices.ContainsFunc(v.Findings, isCause); caused != (v.Admits != trust.Yes) {
		t.Errorf("admits %v, has causes: %v\n%s\n%s", v.Admits, caused, policy, v)
	}
	return v
}

var stringOperators = []string{
	"StringEquals", "StringNotEquals", "StringLike", "StringNotLike",
	"StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase",
}

// TestAgreesWithEmulator compares the package with the evaluation of the emulated AWS. They agree
// unless the result is Unknown.
func TestAgreesWithEmulator(t *testing.T) {
	count := map[trust.Result]int{}
	for seed := range uint64(3000) {
		s := generator{Rand: rand.New(rand.NewPCG(seed, 0))}.sample(stringOperators)
		v := evaluate(t, s.policy(), s.Claims)
		want, err := emulator.Admits(s.policy(), role, s.Claims)
		if err != nil {
			t.Fatal(err)
		}
		count[v.Admits]++
		if v.Admits != trust.Unknown && (v.Admits == trust.Yes) != want {
			t.Fatalf("seed %d: the emulator admits: %v\n%s\n%v\n%s",
				seed, want, s.policy(), s.Claims, v)
		}
	}
	if count[trust.Yes] < 500 || count[trust.No] < 500 || count[trust.Unknown] > 300 {
		t.Errorf("the samples are one-sided: %v", count)
	}
	compared := 0
	trust.EachCase(func(name, policy string, claims map[string]any) {
		want, err := emulator.Admits(policy, role, claims)
		v := evaluate(t, policy, claims)
		if err != nil || v.Admits == trust.Unknown || emulatorDiffers[name] {
			return // the emulator returns an error for what it does not evaluate
		}
		if compared++; (v.Admits == trust.Yes) != want {
			t.Errorf("%s: the emulator admits: %v\n%s", name, want, v)
		}
	})
	if compared < 100 {
		t.Errorf("compared %d cases", compared)
	}
}

// emulatorDiffers are the cases that need something that the emulator does not support: policy
// variables, session tags, the roles claim and keys of issuers that it does not emulate.
var emulatorDiffers = map[string]bool{
	"data residency, supported key":    true,
	"GitLab, supported key":            true,
	"Buildkite, session tags allowed":  true,
	"Google, azp":                      true,
	"Google without azp":               true,
	"roles claim with another role":    true,
	"variable":                         true,
	"default of a variable":            true,
	"source identity":                  true,
	"tags denied":                      true,
	"Google's provider by ARN":         true,
	"tags not allowed, two statements": true,
}

// simulation is the input of evaluate.js for one evaluation.
type simulation struct {
	Policy    json.RawMessage `json:"policy"`
	Claims    map[string]any  `json:"claims"`
	Role      string          `json:"role"`
	Principal string          `json:"principal"`
	name      string
}

func newSimulation(name, policy string, claims map[string]any) simulation {
	issuer, _ := claims["iss"].(string)
	principal := "arn:aws:iam::123456789012:oidc-provider/" + strings.TrimPrefix(issuer, "https://")
	if issuer == "https://accounts.google.com" {
		principal = "accounts.google.com"
	}
	policy = strings.ReplaceAll(policy, "\n", " ") // evaluate.js reads one object in each line
	return simulation{json.RawMessage(policy), claims, role, principal, name}
}

// TestAgreesWithIAMSimulate compares the package with iam-simulate, an independent evaluator of IAM
// policies that takes the condition keys from AWS's list.
// https://www.npmjs.com/package/@cloud-copilot/iam-simulate
func TestAgreesWithIAMSimulate(t *testing.T) {
	dir := os.Getenv("ECR_OIDC_IAM_SIMULATE")
	if dir == "" {
		t.Skip("ECR_OIDC_IAM_SIMULATE is not set to a directory where npm has installed " +
			"testdata/iam-simulate/package.json")
	}
	var simulations []simulation
	trust.EachCase(func(name, policy string, claims map[string]any) {
		simulations = append(simulations, newSimulation(name, policy, claims))
	})
	operators := append(slices.Clone(stringOperators),
		"Null", "Bool", "ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike",
		"NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericGreaterThanEquals",
		"DateEquals", "DateNotEquals", "DateLessThan", "DateGreaterThanEquals")
	for seed := range uint64(20000) {
		g := generator{Rand: rand.New(rand.NewPCG(seed, 1)), variables: true}
		s := g.sample(operators)
		simulations = append(simulations, newSimulation("generated", s.policy(), s.Claims))
	}
	simulations = append(simulations, keySimulations()...)
	allowed := simulate(t, dir, simulations)
	count, wrong := map[trust.Result]int{}, 0
	for i, s := range simulations {
		v := evaluate(t, string(s.Policy), s.Claims)
		count[v.Admits]++
		if simulateDiffers[s.name] || v.Admits == trust.Unknown ||
			(v.Admits == trust.Yes) == (allowed[i] == "true") {
			continue
		}
		if wrong++; wrong < 10 {
			t.Errorf("%s: iam-simulate allows: %s\n%s\n%v\n%s",
				s.name, allowed[i], s.Policy, s.Claims, v)
		}
	}
	t.Log(count, wrong)
}

// keySimulations returns an evaluation for each combination of an issuer and a claim. It shows
// whether AWS supports the claim as a condition key.
func keySimulations() (simulations []simulation) {
	for _, host := range strings.Fields(`
		token.actions.githubusercontent.com token.actions.githubusercontent.com/acme
		token.actions.acme.ghe.com github.com/enterprises/acme github.example.com/_services/token
		gitlab.com gitlab.example.com agent.buildkite.com agent.a.buildkite.dev
		agent.a.buildkite.site oidc.circleci.com/org/1 oidc.circleci.com
		idcs-1.identity.oraclecloud.com app.terraform.io`) {
		for _, claim := range strings.Fields(`
			sub aud amr email iss actor actor_id enterprise enterprise_id environment event_name
			job_workflow_ref job_workflow_sha ref ref_type repository repository_id
			repository_owner repository_owner_id repository_visibility runner_environment workflow
			workflow_ref namespace_id namespace_path pipeline_source project_id project_path
			ref_protected user_access_level user_email user_id user_login build_branch cluster_id
			cluster_name organization_id organization_slug pipeline_id pipeline_slug
			oidc.circleci.com/project-id oidc.circleci.com/vcs-ref rpst_id`) {
			policy := `{"Statement": {"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
				"Principal": {"Federated": "arn:aws:iam::123456789012:oidc-provider/` + host + `"},
				"Condition": {"Null": {"` + host + `:` + claim + `": "false"}}}}`
			claims := map[string]any{claim: "x", "iss": "https://" + host}
			simulations = append(simulations,
				newSimulation("key "+host+":"+claim, policy, claims))
		}
	}
	return simulations
}

// simulate returns the output of evaluate.js: "true" or "false" for each evaluation.
func simulate(t *testing.T, dir string, simulations []simulation) []string {
	t.Helper()
	var stdin, stderr strings.Builder
	encoder := json.NewEncoder(&stdin)
	for _, s := range simulations {
		if err := encoder.Encode(s); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "node", "testdata/iam-simulate/evaluate.js", dir)
	cmd.Stdin, cmd.Stderr = strings.NewReader(stdin.String()), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	allowed := strings.Fields(string(out))
	if len(allowed) != len(simulations) {
		t.Fatalf("%d results for %d evaluations\n%s",
			len(allowed), len(simulations), stderr.String())
	}
	return allowed
}

// simulateDiffers are the cases with results that differ for a known reason. Most of them need
// values that the test does not pass to iam-simulate: session tags, the time, the values of
// Google's keys and the roles claim. In the others, iam-simulate contradicts AWS's documentation:
// it expands variables in the Version of 2008, and does not treat a list of one audience as a
// single value.
var simulateDiffers = map[string]bool{
	"Buildkite, session tags allowed":  true,
	"Google, azp":                      true,
	"Google without azp":               true,
	"roles claim with the role":        true,
	"roles claim with another role":    true,
	"date in the future":               true,
	"variable in the Version of 2008":  true,
	"list of one audience":             true,
	"source identity":                  true,
	"flat transitive tags":             true,
	"tags denied":                      true,
	"tags not allowed, two statements": true,
}
