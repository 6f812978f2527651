package e2e

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// The verdict on a job's report, and on the claims alone, is the verdict that the job prints.
func TestDoctorClaims(t *testing.T) {
	t.Parallel()
	j := newDoctorJob(t, emulator.Options{})
	j.setCredHelpers(t, public, defaultHost)
	j.onGitHub(pullRequest)
	policy := j.writeFile(t, "policy.json", `{"Role": {"Arn": "`+emulator.CIRole+
		`", "AssumeRolePolicyDocument": `+mainBranchTrust+`}}`)
	verdict := func(stdout string) string {
		_, text, ok := strings.Cut(stdout, "\nThe trust policy ")
		text, _, _ = strings.Cut(text, "\nget would return:")
		if !ok || !strings.Contains(text, "pull request") {
			t.Fatalf("no verdict in:\n%s", stdout)
		}
		return strings.TrimSpace(text)
	}
	evaluate := func(stdin string, args ...string) output {
		return runDoctor(t, t.TempDir(), stdin, append([]string{"--claims", "-"}, args...)...)
	}
	want := verdict(j.doctor(t, "--trust-policy", policy, defaultHost).stdout)
	for name, args := range map[string][]string{
		"report":                {"--json"},
		"report with a verdict": {"--json", "--trust-policy", policy},
		"report of a registry":  {"--json", defaultHost},
	} {
		report := j.doctor(t, args...)
		j.server.ResetCalls()
		for _, hosts := range [][]string{nil, {defaultHost}} {
			args := append([]string{"--trust-policy", policy}, hosts...)
			out := evaluate(report.stdout, args...)
			if got := verdict(out.stdout); out.code != 1 || out.stderr != "" || got != want {
				t.Errorf("%s: exit %d %s\n%s\nwant\n%s", name, out.code, out.stderr, got,
					want)
			}
		}
		out := evaluate(report.stdout, spoke)
		if out.code != 1 || !strings.Contains(out.stderr, "is for another registry") {
			t.Errorf("%s, registry that is not in it: %+v", name, out)
		}
		out = evaluate(report.stdout)
		if out.code != 0 || !strings.Contains(out.stdout, `"repo:acme/app:pull_request"`) {
			t.Errorf("%s, without a policy: %+v", name, out)
		}
	}
	var r struct {
		Registries []struct {
			Token *struct{ Claims map[string]any }
		}
	}
	if err := json.Unmarshal([]byte(j.doctor(t, "--json", defaultHost).stdout), &r); err != nil {
		t.Fatal(err)
	}
	claims, err := json.Marshal(r.Registries[0].Token.Claims)
	if err != nil {
		t.Fatal(err)
	}
	out := evaluate(string(claims), "--trust-policy", policy)
	if got := verdict(out.stdout); got != want {
		t.Errorf("claims alone:\n%s\nwant\n%s", got, want)
	}
}

// With --claims, doctor makes no request, writes no file, and does not read the environment.
func TestDoctorClaimsOffline(t *testing.T) {
	t.Parallel()
	j := newDoctorJob(t, emulator.Options{})
	claims := j.writeFile(t, "claims.json", `{"iss": "`+emulator.GitHubIssuer+
		`", "aud": "sts.amazonaws.com", "sub": "repo:acme/app:ref:refs/heads/main"}`)
	policy := j.writeFile(t, "policy.json", mainBranchTrust)
	want := runDoctor(t, j.dir, "", "--claims", claims, "--trust-policy", policy)
	if want.code != 0 {
		t.Fatalf("%+v", want)
	}
	maps.Copy(j.env, map[string]string{
		"ECR_OIDC_SOURCE": "typo", "ECR_OIDC_DEBUG": "1", "ECR_OIDC_ROLE": "another",
		"HTTPS_PROXY": j.server.ProxyURL(), "AWS_CONFIG_FILE": "/none",
	})
	before := snapshot(t, j.dir)
	if got := j.doctor(t, "--claims", claims, "--trust-policy", policy, defaultHost); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if calls := j.server.Calls(); len(calls) != 0 || !maps.Equal(before, snapshot(t, j.dir)) {
		t.Errorf("doctor made the requests %v, or wrote a file", calls)
	}
}

// Claims alone do not contain the role. --role sets it, and requires --claims.
func TestDoctorClaimsRole(t *testing.T) {
	t.Parallel()
	const (
		claims = `{"iss": "https://token.actions.githubusercontent.com", ` +
			`"aud": "sts.amazonaws.com", "sub": "repo:acme/app:pull_request"}`
		role     = "arn:aws:iam::210987654321:role/other"
		provider = "arn:aws:iam::210987654321:oidc-provider/token.actions.githubusercontent.com"
	)
	j := newJob(t)
	doctor := func(stdin string, args ...string) (string, string, error) {
		cmd, stdout, stderr := j.command("doctor", stdin)
		cmd.Args = append(cmd.Args, args...)
		err := cmd.Run()
		return stdout.String(), stderr.String(), err
	}
	stdout, _, err := doctor(claims, "--claims", "-")
	if err != nil || !strings.Contains(stdout, "set it with --role") {
		t.Errorf("no role: %v: %s", err, stdout)
	}
	for _, arn := range []string{"", role} {
		args := []string{"--claims", "-", "--json"}
		if arn != "" {
			args = append(args, "--role", arn)
		}
		stdout, _, err := doctor(claims, args...)
		var r struct {
			Ready      bool
			Registries []struct {
				Ready  bool
				Policy map[string]any
			}
		}
		if err != nil || json.Unmarshal([]byte(stdout), &r) != nil || r.Ready ||
			r.Registries[0].Ready || (r.Registries[0].Policy != nil) != (arn != "") {
			t.Errorf("role %q: %v: %s", arn, err, stdout)
		}
	}
	stdout, _, err = doctor(claims, "--claims", "-", "--role", role)
	if err != nil || !strings.Contains(stdout, provider) {
		t.Errorf("with a role: %v: %s", err, stdout)
	}
	if _, stderr, err := doctor(claims, "--claims", "-", "--role", ""); err == nil ||
		!strings.Contains(stderr, "doctor: the value of --role is empty") {
		t.Errorf("empty role: %v: %s", err, stderr)
	}
	_, stderr, err := doctor("", "--role", role, defaultHost)
	if err == nil || !strings.Contains(stderr, "--role requires --claims") {
		t.Errorf("without --claims: %v: %s", err, stderr)
	}
	if n := len(j.server.Calls()); n != 0 {
		t.Errorf("%d requests", n)
	}
}
