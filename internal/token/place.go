// Package token finds the OIDC token that a CI gives to its job.
//
// It answers two questions, in this order, and each answer is final: where are we (Locate), and which credentials
// does that place offer (Identify). Both look at the environment only: no network, no exec, no file, but for a look
// along PATH where CircleCI's variable is empty. A failure in the place that was found never falls through to another
// identity.
package token

import (
	"fmt"
	"slices"
	"strings"
)

// Env looks up an environment variable, as os.LookupEnv does.
type Env func(name string) (value string, set bool)

// Get returns the value of a variable without the space around it. Empty means unset: CIs expand a missing secret to
// the empty string, and configure-aws-credentials "unsets" its variables that way.
func (e Env) Get(name string) string {
	value, _ := e(name)
	return strings.TrimSpace(value)
}

// Without says of a variable that gave nothing whether it is missing or empty, for error messages.
func (e Env) Without(name string) string {
	if _, set := e(name); set {
		return name + " is set but empty"
	}
	return name + " is not set"
}

// Secrets returns the values of the variables that hold one, to be struck out of whatever is shown.
func (e Env) Secrets() []string {
	var found []string
	for _, name := range []string{
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN", "CIRCLE_OIDC_TOKEN", "CIRCLE_OIDC_TOKEN_V2", "ECR_OIDC_TOKEN", "STS_AMAZONAWS_COM_ID_TOKEN",
		"BUILDKITE_AGENT_ACCESS_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN",
	} {
		if v := e.Get(name); v != "" {
			found = append(found, v)
		}
	}
	return append(found, urlPasswords(e)...)
}

// Choice is what the user said about the source; the zero value leaves it to the markers.
type Choice struct {
	Source     string // one of Names; "" is "auto"
	TokenFile  string // a file with the token
	Profile    string // the AWS profile of the "aws" source
	OneAccount bool   // said for the registry's account alone; ECR_OIDC_TOKEN, which is for all, then has no say

	From, FileFrom, ProfileFrom string `json:"-"` // the variable or line that said so, for messages
}

// Names are the values of ECR_OIDC_SOURCE.
var Names = []string{"auto", "github", "circleci", "gitlab", "buildkite", "env", "file", "aws"}

// Place is where this process runs, or where the user says that it gets its identity from.
type Place struct {
	Name    string // one of Names, never "auto"
	CI      bool   // a CI's markers are there: the machine's own identity has no say
	By      string `json:"-"` // the variable that decided, for messages; "" when nothing did, which makes it a machine
	Chosen  bool   // the user named the source; then only that source is used
	Forgejo bool   `json:"-"` // the GitHub contract as Forgejo has it, where the token is allowed otherwise
	Pair    bool   // the token is AWS_WEB_IDENTITY_TOKEN_FILE's, so that AWS_ROLE_ARN beside it counts
}

// markers say which CI this is, in this order. GitHub is first, because its runners live inside other platforms'
// machines (sigstore/cosign pkg/providers/all has the same order for the same reason).
var markers = []struct {
	place string
	names []string
}{
	{"github", []string{"GITHUB_ACTIONS", "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"}},
	{"circleci", []string{"CIRCLECI"}},
	{"gitlab", []string{"GITLAB_CI"}},
	{"buildkite", []string{"BUILDKITE"}},
}

// Locate says where we are. The user's word decides; else the CI's markers do, even when its token is missing; else it
// is a machine: a pod with a web-identity pair is "file", everything else "aws".
func Locate(env Env, choice Choice) (Place, error) {
	ci := Place{}
	for _, m := range markers {
		if i := slices.IndexFunc(m.names, func(n string) bool { return marks(n, env.Get(n)) }); i >= 0 {
			ci = Place{Name: m.place, CI: true, By: m.names[i]}
			ci.Forgejo = m.place == "github" && env.Get("FORGEJO_ACTIONS") == "true" // code.forgejo.org/forgejo/runner
			break
		}
	}
	inVariable, inFile := env.Get("ECR_OIDC_TOKEN") != "" && !choice.OneAccount, choice.TokenFile != ""
	name := choice.Source
	if name == "auto" {
		name = ""
	}
	said := choice.From + "=" + name
	if strings.Contains(choice.From, ":") { // a line of the file
		said = choice.From + " (source " + name + ")"
	}
	switch {
	case name != "" && !slices.Contains(Names, name):
		return Place{}, fmt.Errorf("%s is %q; allowed are %s", choice.From, name, strings.Join(Names, ", "))
	case inVariable && name != "" && name != "env" && name != "gitlab":
		return Place{}, fmt.Errorf("%s and ECR_OIDC_TOKEN disagree: unset one of them", said)
	case inFile && name != "" && name != "file":
		return Place{}, fmt.Errorf("%s and %s disagree: unset one of them", said, choice.FileFrom)
	case inVariable && inFile:
		return Place{}, fmt.Errorf("ECR_OIDC_TOKEN and %s are both set: unset one of them", choice.FileFrom)
	}
	pair := !inFile && env.Get("AWS_WEB_IDENTITY_TOKEN_FILE") != ""
	switch {
	case name != "":
		return Place{Name: name, CI: ci.CI, By: choice.From, Chosen: true, Pair: pair && name == "file"}, nil
	case inVariable:
		if ci.Name != "gitlab" { // where this is the variable that the token comes in anyway
			ci.Name = "env"
		}
		return Place{Name: ci.Name, CI: ci.CI, By: "ECR_OIDC_TOKEN"}, nil
	case inFile:
		return Place{Name: "file", CI: ci.CI, By: choice.FileFrom}, nil
	case ci.CI:
		return ci, nil
	case pair && env.Get("AWS_ROLE_ARN") != "":
		return Place{Name: "file", By: "AWS_WEB_IDENTITY_TOKEN_FILE", Pair: true}, nil
	}
	return Place{Name: "aws"}, nil
}

// PassedOver returns the variables that are set and that another identity could have come from: other CIs' markers, a
// token, AWS's keys, profile and web identity, the container's credentials.
func (p Place) PassedOver(env Env) []string {
	var found []string
	for _, m := range markers {
		for _, name := range m.names {
			if m.place != p.Name && marks(name, env.Get(name)) {
				found = append(found, name)
			}
		}
	}
	names := []string{"ECR_OIDC_TOKEN"}
	if p.Name != "aws" {
		names = append(names, "AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
	}
	if !p.Pair && p.Name != "aws" {
		names = append(names, "AWS_WEB_IDENTITY_TOKEN_FILE")
	}
	for _, name := range names {
		if env.Get(name) != "" && name != p.By {
			found = append(found, name)
		}
	}
	return found
}

// marks says whether a marker with this value marks anything. GITHUB_ACTIONS counts only as "true", which is what the
// runner sets it to; a user's shell may hold others.
func marks(name, value string) bool {
	if name == "GITHUB_ACTIONS" {
		return strings.EqualFold(value, "true")
	}
	return value != "" && !strings.EqualFold(value, "false")
}
