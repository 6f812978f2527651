package e2e

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// trustAccount returns the account of a trust policy: that of the provider or user that it admits.
func trustAccount(t *testing.T, trust string) string {
	t.Helper()
	m := regexp.MustCompile(`arn:aws:iam::(\d{12}):(?:oidc-provider|user)/`).FindStringSubmatch(trust)
	if m == nil {
		t.Fatalf("the trust policy has no provider and no user:\n%s", trust)
	}
	return m[1]
}

// runAWSCommands runs the AWS commands in a section of the README.
func (e *example) runAWSCommands(section string) {
	e.t.Helper()
	for _, command := range e.commands(section) {
		e.awsCommand(command)
	}
}

// commands returns the AWS commands in a section's shell blocks, with the continued lines joined.
func (e *example) commands(section string) (lines []string) {
	e.t.Helper()
	_, text, ok := strings.Cut(e.readme, "\n## "+section+"\n")
	if !ok {
		e.t.Fatalf("README has no section %q", section)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(text, -1) {
		for line := range strings.Lines(strings.ReplaceAll(m[1], "\\\n", " ")) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "aws ") {
				lines = append(lines, line)
			}
		}
	}
	if len(lines) == 0 {
		e.t.Fatalf("README has no aws command in section %q", section)
	}
	return lines
}

func (e *example) awsCommand(command string) {
	e.t.Helper()
	words := strings.Fields(command)
	flags := map[string][]string{}
	for i := 3; i+1 < len(words); i += 2 {
		if !strings.HasPrefix(words[i], "--") {
			e.t.Fatalf("in %q: %q is not a flag", command, words[i])
		}
		flags[words[i]] = append(flags[words[i]], strings.Trim(words[i+1], `"'`))
	}
	value := func(flag string) string {
		e.t.Helper()
		if len(flags[flag]) != 1 || flags[flag][0] == "" {
			e.t.Fatalf("in %q: %s %q", command, flag, flags[flag])
		}
		return flags[flag][0]
	}
	file := func(flag string) string {
		e.t.Helper()
		name, ok := strings.CutPrefix(value(flag), "file://")
		if !ok {
			e.t.Fatalf("in %q: %s does not begin with file://", command, flag)
		}
		return e.read(name)
	}
	switch strings.Join(words[1:3], " ") {
	case "iam create-open-id-connect-provider":
		// In the account of each role that trusts it.
		for _, account := range e.accounts() {
			e.server.AddProvider(account, value("--url"), value("--client-id-list"))
		}
	case "iam create-role":
		trust := file("--assume-role-policy-document")
		arn := "arn:aws:iam::" + trustAccount(e.t, trust) + ":role/" + value("--role-name")
		if _, ok := e.roles[arn]; ok {
			e.t.Fatalf("%s is created twice", arn)
		}
		e.setRole(emulator.Role{ARN: arn, Trust: trust})
	case "iam update-assume-role-policy":
		r := e.role(value("--role-name"))
		r.Trust = file("--policy-document")
		e.setRole(r)
	case "iam put-role-policy":
		r := e.role(value("--role-name"))
		r.Policy = file("--policy-document")
		e.setRole(r)
	case "iam create-user":
		e.server.AddUser(emulator.User{
			ARN:             "arn:aws:iam::" + emulator.Account + ":user/" + value("--user-name"),
			AccessKeyID:     emulator.AccessKeyID,
			SecretAccessKey: emulator.SecretAccessKey,
			NoLogin:         true,
		})
	case "iam create-access-key", "iam delete-access-key", "ecr create-repository":
	default:
		e.t.Fatalf("the tests do not support the command %q in README", command)
	}
}

// accounts returns the accounts of the trust policies of the example.
func (e *example) accounts() (all []string) {
	e.t.Helper()
	files, err := filepath.Glob(filepath.Join(e.dir, "trust-policy*.json"))
	if err != nil || len(files) == 0 {
		e.t.Fatal(files, err)
	}
	for _, f := range files {
		if a := trustAccount(e.t, e.read(filepath.Base(f))); !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	return all
}

func (e *example) setRole(r emulator.Role) {
	e.roles[r.ARN] = r
	e.server.AddRole(r)
}

// role returns the role with a name. Names are unique in an example.
func (e *example) role(name string) emulator.Role {
	e.t.Helper()
	for arn, r := range e.roles {
		if strings.HasSuffix(arn, ":role/"+name) {
			return r
		}
	}
	e.t.Fatalf("there is no role %s", name)
	return emulator.Role{}
}

// applyTerraform creates the role of an example that uses Terraform. The names are in main.tf. The policies
// are those in the directory, which TestTerraformPolicies compares with the rendered ones. The tags of
// the repository are mutable or immutable, as in the module.
func (e *example) applyTerraform(clientID string) {
	e.t.Helper()
	text := e.read("main.tf")
	m := regexp.MustCompile(`role_name\s+= "([^"]+)"`).FindStringSubmatch(text)
	repository := regexp.MustCompile(`repositories\s+= \["([^"]+)"\]`).FindStringSubmatch(text)
	if m == nil || repository == nil {
		e.t.Fatalf("main.tf: role %q, repository %q, want one each", m, repository)
	}
	mutability := regexp.MustCompile(`image_tag_mutability\s+= "(\w+)"`).FindStringSubmatch(text)
	if mutability == nil {
		variable := regexp.MustCompile(`(?s)"image_tag_mutability" \{.*?default\s+= "(\w+)"`)
		mutability = variable.FindStringSubmatch(e.read("../terraform/variables.tf"))
	}
	if mutability == nil {
		e.t.Fatal("image_tag_mutability has no value")
	}
	e.server.SetImmutableTags(emulator.Account, emulator.Region, repository[1], mutability[1] == "IMMUTABLE")
	trust := e.read("trust-policy.json")
	a := trustAccount(e.t, trust)
	e.server.AddProvider(a, emulator.GitHubIssuer, clientID)
	e.setRole(emulator.Role{
		ARN:    "arn:aws:iam::" + a + ":role/" + m[1],
		Trust:  trust,
		Policy: e.read("push-policy.json"),
	})
}
