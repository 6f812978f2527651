package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// Each archive in testdata/doctor/policy contains a trust policy, saved claims, and the output of
// doctor, without an environment. The archive's comment describes the difference between the policy
// and the claims.
func TestDoctorPolicies(t *testing.T) {
	t.Parallel()
	archives, err := filepath.Glob("testdata/doctor/policy/*.txtar")
	if err != nil || len(archives) < 20 {
		t.Fatalf("%d archives, %v", len(archives), err)
	}
	for _, path := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			archive := txtar.Parse([]byte(strings.ReplaceAll(string(text), "\r\n", "\n")))
			dir, args := t.TempDir(), ""
			got := &txtar.Archive{Comment: archive.Comment}
			for _, f := range archive.Files {
				if f.Name == "stdout" || f.Name == "exit" {
					continue
				}
				got.Files = append(got.Files, f)
				if f.Name == "args" {
					args = string(f.Data)
					continue
				}
				path := filepath.Join(dir, f.Name)
				if err := os.WriteFile(path, f.Data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			out := runDoctor(t, dir, "", strings.Fields(args)...)
			if out.stderr != "" {
				t.Errorf("stderr: %s", out.stderr)
			}
			got.Files = append(got.Files, txtar.File{Name: "stdout", Data: []byte(out.stdout)},
				txtar.File{Name: "exit", Data: fmt.Appendln(nil, out.code)})
			golden(t, path, string(txtar.Format(got)))
		})
	}
}

// runDoctor runs doctor in a directory, with only the environment that Windows needs.
func runDoctor(t *testing.T, dir, stdin string, args ...string) output {
	t.Helper()
	var stdout, stderr strings.Builder
	cmd := exec.Command(helperPath(), append([]string{"doctor"}, args...)...)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, strings.NewReader(stdin), &stdout, &stderr
	cmd.Env = []string{"SystemRoot=" + os.Getenv("SystemRoot")}
	if dir := os.Getenv("GOCOVERDIR"); dir != "" {
		cmd.Env = append(cmd.Env, "GOCOVERDIR="+dir)
	}
	err := cmd.Run()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatal(err)
	}
	return output{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// If AWS's result is not certain, doctor reports that it cannot be determined, and never that the
// policy admits the token. Examples are numbers that are equal as float64, and different text that
// decodes to the same replacement character.
func TestDoctorUnknownVerdict(t *testing.T) {
	t.Parallel()
	const (
		unknown  = "Whether the trust policy admits this token cannot be determined"
		admitted = "The trust policy admits this token."

		undecodable = "ecr-oidc: reading the trust policy: line 3: invalid character: half " +
			"of a surrogate pair"
		issuer = "token.actions.githubusercontent.com"
	)
	policy := func(conditions string) string {
		return `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:*",
			"Principal": {"Federated": "arn:aws:iam::123456789012:oidc-provider/` + issuer + `"},
			"Condition": {` + strings.ReplaceAll(conditions, "@:", issuer+":") + `}}}`
	}
	claims := func(more string) string {
		return `{"iss": "https://` + issuer + `", "aud": "sts.amazonaws.com", ` + more + `}`
	}
	for _, tt := range []struct{ name, policy, claims, want string }{
		{"numbers equal as float64", `"NumericEquals": {"@:repository_id": "9007199254740993"}`,
			`"sub": "s", "repository_id": "9007199254740992"`, unknown},
		{"JSON numbers equal as float64",
			`"NumericLessThanEquals": {"@:repository_id": 9007199254740992}`,
			`"sub": "s", "repository_id": 9007199254740993`, unknown},
		{"decimals equal as float64", `"NumericEquals": {"@:repository_id": "0.30000000000000001"}`,
			`"sub": "s", "repository_id": "0.3"`, unknown},
		{"numbers that a float64 represents",
			`"NumericEquals": {"@:repository_id": "123456789012345"}`,
			`"sub": "s", "repository_id": 123456789012345`, admitted},
		{"number in exponent form", `"StringEquals": {"@:repository_id": "1e3"}`,
			`"sub": "s", "repository_id": 1e3`, unknown},
		{"dates equal as float64",
			`"DateEquals": {"@:ref": "2026-11-20T12:00:00.0000001Z"}`,
			`"sub": "s", "ref": "2026-11-20T12:00:00.0000002Z"`, unknown},
		{"lone surrogate in a claim",
			`"StringEquals": {"@:ref": "main"}, "StringLike": {"@:sub": "repo:acme/app:*"}`,
			`"ref": "main", "sub": "repo:acme/app:\ud800"`, unknown},
		{"lone surrogate in a list", `"ForAnyValue:StringEquals": {"@:amr": "a"}`,
			`"sub": "s", "amr": ["a", "\udfff"]`, unknown},
		{"lone surrogates in two claims", `"StringEquals": {"@:sub": "${@:ref}"}`,
			`"sub": "\ud800", "ref": "\udfff"`, unknown},
		{"lone surrogates in session tags", `"StringEquals": {"@:sub": "${aws:RequestTag/a}"}`,
			`"sub": "s", "https://aws.amazon.com/tags/principal_tags/a": "\udfff"`, unknown},
		{"lone surrogates in the names of session tags",
			`"ForAllValues:StringLike": {"aws:TagKeys": "*"}`,
			`"sub": "s", "https://aws.amazon.com/tags/principal_tags/\udfff": "x"`, unknown},
		{"invalid UTF-8 in claims", `"StringEquals": {"@:sub": "${@:ref}"}`,
			"\"sub\": \"\xff\", \"ref\": \"\xfe\"", unknown},
		{"surrogate pair", `"StringEquals": {"@:sub": "\ud83d\ude80"}`, `"sub": "🚀"`, admitted},
		{"list in a list", `"ForAnyValue:StringEquals": {"@:amr": "a"}`,
			`"sub": "s", "amr": [["a"]]`, unknown},
		{"object in a list", `"ForAllValues:StringEquals": {"@:amr": "a"}`,
			`"sub": "s", "amr": ["a", {"b": 1}]`, unknown},
		{"null in a list", `"ForAllValues:StringEquals": {"@:amr": "a"}`,
			`"sub": "s", "amr": ["a", null]`, unknown},
		{"lone surrogate in the policy", `"StringEquals": {"@:sub": "\ud800"}`, `"sub": "\udfff"`,
			undecodable},
		{"lone surrogate in a key", `"StringEquals": {"aws:RequestTag/\ud800": "x"}`,
			`"sub": "s", "https://aws.amazon.com/tags/principal_tags/\udfff": "x"`,
			undecodable},
		{"low surrogate before a high one", `"StringEquals": {"@:sub": "\ude80\ud83d"}`,
			`"sub": "s"`, undecodable},
		{"invalid UTF-8 in the policy", "\"StringEquals\": {\"@:sub\": \"\xff\"}", `"sub": "s"`,
			undecodable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for name, text := range map[string]string{
				"policy": policy(tt.policy), "claims": claims(tt.claims),
			} {
				path := filepath.Join(dir, name)
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			out := runDoctor(t, dir, "", "--claims", "claims", "--trust-policy", "policy")
			code := map[bool]int{true: 0, false: 1}[tt.want == admitted]
			if out.code != code || !strings.Contains(out.stdout+out.stderr, tt.want) {
				t.Errorf("exit %d, want %d and %q\n%s%s", out.code, code, tt.want, out.stdout,
					out.stderr)
			}
		})
	}
}

// A condition on sts:RoleSessionName is evaluated with the session name in the job's report or in
// --session-name. Without either, the verdict is unknown.
func TestDoctorSessionName(t *testing.T) {
	t.Parallel()
	j := newDoctorJob(t, emulator.Options{})
	j.env["ECR_OIDC_SESSION_NAME"] = "deploy-7"
	with := func(condition string) string {
		return strings.Replace(mainBranchTrust, `"Condition": {`, `"Condition": {`+condition+`, `, 1)
	}
	policy := j.writeFile(t, "policy.json", with(`"StringLike": {"sts:RoleSessionName": "deploy-*"}`))
	variable := j.writeFile(t, "variable.json", with(`"ForAnyValue:StringLike": {"`+
		strings.TrimPrefix(emulator.GitHubIssuer, "https://")+`:aud": "${sts:rolesessionname}"}`))
	text, err := os.ReadFile(policy)
	if err != nil || !strings.Contains(string(text), "deploy-*") {
		t.Fatalf("%v: %s", err, text)
	}
	report := j.doctor(t, "--json", defaultHost)
	if report.code != 0 || !strings.Contains(report.stdout, `"session_name": "deploy-7"`) ||
		!strings.Contains(report.stdout, `"format_version": 1,`) {
		t.Fatalf("%+v", report)
	}
	const (
		admitted = "The trust policy admits this token."
		refused  = "The trust policy does not admit this token:"
		unknown  = "Whether the trust policy admits this token cannot be determined:"
		hint     = "→ set it with --session-name, or use the output of doctor --json from the job"
		allowed  = "it must have 2 to 64 characters: letters, digits and _ + = , . @ -"
	)
	if out := j.doctor(t, "--trust-policy", policy, defaultHost); !strings.Contains(out.stdout, admitted) {
		t.Errorf("in the job: %+v", out)
	}
	var r struct {
		Registries []struct {
			Token struct{ Claims json.RawMessage }
		}
	}
	if err := json.Unmarshal([]byte(report.stdout), &r); err != nil {
		t.Fatal(err)
	}
	claims := string(r.Registries[0].Token.Claims)
	noName := strings.Replace(report.stdout, `"session_name"`, `"older"`, 1)
	for _, tt := range []struct {
		name, stdin string
		args        []string
		want        []string
		code        int
	}{
		{"report", report.stdout, nil, []string{admitted}, 0},
		{"report and another name", report.stdout, []string{"--session-name", "other"},
			[]string{refused, `"other"`}, 1},
		{"report without a name", noName, nil, []string{unknown, hint}, 1},
		{"report without a name, and a name", noName, []string{"--session-name", "deploy-8"},
			[]string{admitted}, 0},
		{"claims", claims, nil, []string{unknown, hint}, 1},
		{"claims and a name", claims, []string{"--session-name", "deploy-8"}, []string{admitted}, 0},
		{"claims and another name", claims, []string{"--session-name", "x.y@z"},
			[]string{refused}, 1},
		{"invalid name in the report",
			strings.Replace(report.stdout, `"deploy-7"`, `"deploy 7"`, 1), nil,
			[]string{`reading the claims: the session name in the report is "deploy 7"; ` +
				allowed}, 1},
	} {
		args := append([]string{"--claims", "-", "--trust-policy", policy}, tt.args...)
		out := runDoctor(t, j.dir, tt.stdin, args...)
		for _, want := range tt.want {
			if out.code != tt.code || !strings.Contains(out.stdout+out.stderr, want) {
				t.Errorf("%s: exit %d, want %d and %q\n%s%s", tt.name, out.code, tt.code,
					want, out.stdout, out.stderr)
			}
		}
		if got := strings.Contains(out.stdout, hint); got != slices.Contains(tt.want, hint) {
			t.Errorf("%s: the output contains the hint: %v", tt.name, got)
		}
	}
	if out := runDoctor(t, j.dir, claims, "--claims", "-", "--trust-policy",
		variable); !strings.Contains(out.stdout, unknown) || !strings.Contains(out.stdout, hint) {
		t.Errorf("policy variable: %+v", out)
	}
	for _, tt := range []struct{ args, want string }{
		{"--session-name deploy " + defaultHost,
			"doctor: --session-name requires --claims; without it, set the name in " +
				"ECR_OIDC_SESSION_NAME"},
		{"--claims - --session-name x",
			`doctor: --session-name is "x"; ` + allowed},
		{"--claims - --session-name a/b", `doctor: --session-name is "a/b"; it must have`},
		{"--claims - --session-name " + strings.Repeat("x", 65), "doctor: --session-name is "},
	} {
		if out := runDoctor(t, j.dir, claims, strings.Fields(tt.args)...); out.code != 2 ||
			!strings.HasPrefix(out.stderr, "ecr-oidc: "+tt.want) {
			t.Errorf("%s: %+v", tt.args, out)
		}
	}
}
