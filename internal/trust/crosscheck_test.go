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

func admits(t *testing.T, policy string, claims map[string]any) trust.Verdict {
	t.Helper()
	p, err := trust.Parse([]byte(policy))
	if err != nil {
		t.Fatalf("%v\n%s", err, policy)
	}
	v, err := trust.Evaluate(p, trust.Request{Role: role, Claims: claims, Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	if caused := slices.ContainsFunc(v.Findings, func(f trust.Finding) bool { return f.Level == trust.Cause }); caused != (v.Admits != trust.Yes) {
		t.Errorf("admits %v, and causes are given: %v\n%s\n%s", v.Admits, caused, policy, v)
	}
	return v
}

// The emulated AWS of the end-to-end tests has an evaluator of its own. Where this one knows an answer, they agree.
func TestAgreesWithWorld(t *testing.T) {
	operators := []string{"StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"}
	count := map[trust.Result]int{}
	for seed := range uint64(3000) {
		q := generator{Rand: rand.New(rand.NewPCG(seed, 0))}.question(operators)
		v := admits(t, q.policy(), q.Claims)
		want, err := emulator.Admits(q.policy(), role, q.Claims)
		if err != nil {
			t.Fatal(err)
		}
		count[v.Admits]++
		if v.Admits != trust.Unknown && (v.Admits == trust.Yes) != want {
			t.Fatalf("seed %d: the emulator admits: %v\n%s\n%v\n%s", seed, want, q.policy(), q.Claims, v)
		}
	}
	if count[trust.Yes] < 500 || count[trust.No] < 500 || count[trust.Unknown] > 300 {
		t.Errorf("the questions are one-sided: %v", count)
	}
	compared := 0
	trust.EachCase(func(name, policy string, claims map[string]any) {
		want, err := emulator.Admits(policy, role, claims)
		v := admits(t, policy, claims)
		if err != nil || v.Admits == trust.Unknown || worldLacks[name] {
			return // the world refuses what it would not evaluate
		}
		if compared++; (v.Admits == trust.Yes) != want {
			t.Errorf("%s: the emulator admits: %v\n%s", name, want, v)
		}
	})
	if compared < 100 {
		t.Errorf("compared %d cases", compared)
	}
}

// worldLacks are the cases that need what the world does not do: variables, session tags, the roles claim and keys of
// issuers that it does not play.
var worldLacks = map[string]bool{
	"data residency, supported key": true, "GitLab, supported key": true, "Buildkite, session tags allowed": true, "Google, azp": true, "Google without azp": true,
	"roles claim with another role": true, "variable": true, "default of a variable": true, "source identity": true,
	"tags denied": true, "Google's provider by ARN": true, "tags not allowed, two statements": true,
}

// iam-simulate is an evaluator that none of us wrote, and that takes condition keys from AWS's own list.
// https://www.npmjs.com/package/@cloud-copilot/iam-simulate
func TestAgreesWithIAMSimulate(t *testing.T) {
	folder := os.Getenv("ECR_OIDC_IAM_SIMULATE")
	if folder == "" {
		t.Skipf("ECR_OIDC_IAM_SIMULATE names no folder where npm has installed testdata/iam-simulate/package.json")
	}
	type asked struct {
		Policy    json.RawMessage `json:"policy"`
		Claims    map[string]any  `json:"claims"`
		Role      string          `json:"role"`
		Principal string          `json:"principal"`
		name      string
	}
	var questions []asked
	ask := func(name, policy string, claims map[string]any) {
		issuer, _ := claims["iss"].(string)
		principal := "arn:aws:iam::123456789012:oidc-provider/" + strings.TrimPrefix(issuer, "https://")
		if issuer == "https://accounts.google.com" {
			principal = "accounts.google.com"
		}
		questions = append(questions, asked{json.RawMessage(strings.ReplaceAll(policy, "\n", " ")), claims, role, principal, name})
	}
	trust.EachCase(ask)
	operators := []string{"StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "Null", "Bool",
		"ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike", "NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericGreaterThanEquals",
		"DateEquals", "DateNotEquals", "DateLessThan", "DateGreaterThanEquals"}
	for seed := range uint64(20000) {
		q := generator{Rand: rand.New(rand.NewPCG(seed, 1)), variables: true}.question(operators)
		ask("generated", q.policy(), q.Claims)
	}
	for _, host := range []string{issuer, issuer + "/acme", "token.actions.acme.ghe.com", "github.com/enterprises/acme", "github.example.com/_services/token", "gitlab.com", "gitlab.example.com",
		"agent.buildkite.com", "agent.a.buildkite.dev", "agent.a.buildkite.site", "oidc.circleci.com/org/1", "oidc.circleci.com", "idcs-1.identity.oraclecloud.com", "app.terraform.io"} {
		for _, claim := range strings.Fields(`sub aud amr email iss actor actor_id enterprise enterprise_id environment event_name job_workflow_ref job_workflow_sha ref ref_type
			repository repository_id repository_owner repository_owner_id repository_visibility runner_environment workflow workflow_ref namespace_id namespace_path pipeline_source
			project_id project_path ref_protected user_access_level user_email user_id user_login build_branch cluster_id cluster_name organization_id organization_slug pipeline_id
			pipeline_slug oidc.circleci.com/project-id oidc.circleci.com/vcs-ref rpst_id`) {
			ask("the key "+host+":"+claim, `{"Statement": {"Effect": "Allow", "Principal": {"Federated": "arn:aws:iam::123456789012:oidc-provider/`+host+`"},
				"Action": "sts:AssumeRoleWithWebIdentity", "Condition": {"Null": {"`+host+`:`+claim+`": "false"}}}}`, map[string]any{claim: "x", "iss": "https://" + host})
		}
	}
	var stdin, stderr strings.Builder
	encoder := json.NewEncoder(&stdin)
	for _, q := range questions {
		if err := encoder.Encode(q); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "node", "testdata/iam-simulate/answer.js", folder)
	cmd.Stdin, cmd.Stderr = strings.NewReader(stdin.String()), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	answers := strings.Fields(string(out))
	if len(answers) != len(questions) {
		t.Fatalf("%d answers to %d questions\n%s", len(answers), len(questions), stderr.String())
	}
	count, wrong := map[trust.Result]int{}, 0
	for i, q := range questions {
		v := admits(t, string(q.Policy), q.Claims)
		count[v.Admits]++
		if !simulateLacks[q.name] && v.Admits != trust.Unknown && v.Admits.String() != map[string]string{"true": "yes", "false": "no"}[answers[i]] {
			if wrong++; wrong < 10 {
				t.Errorf("%s: iam-simulate allows: %s\n%s\n%v\n%s", q.name, answers[i], q.Policy, q.Claims, v)
			}
		}
	}
	t.Log(count, wrong)
}

// simulateLacks are the cases that need what the test does not tell iam-simulate (session tags, the time, what Google's
// keys hold, the roles claim), and three where AWS's documents say otherwise than it does: it replaces variables in the
// version of 2008, and a list of one audience is to it a list.
var simulateLacks = map[string]bool{
	"Buildkite, session tags allowed": true, "Google, azp": true, "Google without azp": true, "roles claim with the role": true, "roles claim with another role": true,
	"date in the future": true, "variable in the Version of 2008": true, "list of one audience": true, "source identity": true,
	"flat transitive tags": true, "tags denied": true, "tags not allowed, two statements": true,
}
