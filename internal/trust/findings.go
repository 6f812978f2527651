package trust

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Finding is one result about a policy and a request that a person should know, in one line.
type Finding struct {
	Kind  Kind   `json:"kind"`
	Level Level  `json:"level"`
	At    string `json:"at"` // the place in the policy
	Text  string `json:"text"`
}

// Level is the meaning of a finding. Causes exist only if the policy does not admit the request.
// Dangers and notes do not depend on the result.
type Level string

// The levels.
const (
	Cause  Level = "cause"  // why the request is not admitted
	Danger Level = "danger" // the policy admits others that it should not admit
	Note   Level = "note"   // the policy admits others, possibly on purpose
)

// Kind identifies a finding.
type Kind string

// The kinds, by what they are about: the result, principals and actions, keys, values, and the
// others that a policy admits.
const (
	Denied       Kind = "denied"
	NotEvaluated Kind = "not-evaluated"
	OtherRole    Kind = "role-not-in-token"
	TagSession   Kind = "tag-session"

	WrongAction    Kind = "wrong-action"
	WrongPrincipal Kind = "wrong-principal" // not Federated, or not an OIDC provider
	OtherAccount   Kind = "other-account"
	OtherPartition Kind = "other-partition"
	ProviderURL    Kind = "provider-url" // https:// in the ARN
	ProviderSlash  Kind = "provider-slash"
	IssuerPath     Kind = "issuer-path" // only one of the two issuers has a path
	OtherIssuer    Kind = "other-issuer"

	KeyUnknown   Kind = "key-unknown" // AWS has no such key for this issuer
	KeyPrefix    Kind = "key-prefix"  // the key belongs to another issuer
	MissingClaim Kind = "missing-claim"
	OldVersion   Kind = "old-version" // without policy variables

	Wildcard        Kind = "wildcard-under-equals"
	OtherCapitals   Kind = "other-capitals"
	WhiteSpace      Kind = "white-space"
	Encoding        Kind = "encoding"
	RepoPrefix      Kind = "repo-prefix"
	ShortRef        Kind = "short-ref"
	ImmutableToken  Kind = "immutable-subject" // the token has ids, the policy only names
	ImmutablePolicy Kind = "immutable-policy"  // the reverse
	OtherIDs        Kind = "other-ids"
	OtherContext    Kind = "other-context" // branch, tag, environment or pull request
	OtherRepository Kind = "other-repository"
	OtherWorkflow   Kind = "other-workflow"
	CustomSubject   Kind = "custom-subject"
	CircleVersion   Kind = "circleci-token-version"
	OtherPart       Kind = "other-part" // of a subject that is not GitHub's
	OtherAudience   Kind = "other-audience"
	OtherValue      Kind = "other-value"

	AnyPrincipal   Kind = "any-principal"
	MissingAdmits  Kind = "missing-key-admits" // ForAllValues or IfExists
	NoSubject      Kind = "no-subject"
	NoAudience     Kind = "no-audience"
	AnySubject     Kind = "any-subject"
	BranchHides    Kind = "branch-hides"
	OwnerPrefix    Kind = "owner-prefix"
	OwnerWide      Kind = "owner-wide"
	RepositoryWide Kind = "repository-wide"
)

// findings is a list of findings without duplicates.
type findings []Finding

func (f *findings) add(level Level, kind Kind, at, format string, args ...any) {
	finding := Finding{kind, level, at, fmt.Sprintf(format, args...)}
	if !slices.Contains(*f, finding) {
		*f = append(*f, finding)
	}
}

// findings returns why the request is not admitted, and who else is.
func (c requestContext) findings(statements []evaluated, v Verdict) []Finding {
	var found findings
	if c.otherRole() != No {
		found.add(Cause, OtherRole, "",
			"the token is for %s alone, which STS checks before the policy",
			quoteAll(valueOf(c.Claims[rolesClaim]).all))
	}
	if v.Admits != Yes {
		c.causes(statements, v, &found)
	}
	for _, s := range statements {
		if s.Effect == "Allow" && s.result.Action.Holds == Yes && !s.NotPrincipal {
			c.overbroad(s, &found)
		}
	}
	return found
}

// causes adds what denies the request, what cannot be evaluated, and why the closest statements do
// not allow it.
func (c requestContext) causes(statements []evaluated, v Verdict, found *findings) {
	closest := 0
	for _, s := range statements {
		closest = max(closest, s.closeness())
	}
	if closest == 0 {
		found.add(Cause, WrongAction, "", "no statement allows %s", assume)
	}
	for _, s := range statements {
		for i, action := range v.Actions {
			if s.Effect == "Deny" && s.applies(i) == Yes {
				found.add(Cause, Denied, s.at, "this statement denies exactly such a request, "+
					"and a Deny wins over every Allow")
			}
			if v.Admits == Unknown && action.Allows == Unknown && s.applies(i) == Unknown {
				s.addUnknown(found)
			}
		}
		if closest > 0 && s.closeness() == closest && v.Actions[0].Allows != Yes {
			c.refusal(s, found)
		}
	}
	for _, action := range v.Actions[1:] {
		if action.Allows == No && v.Actions[0].Allows != No {
			found.add(Cause, TagSession, "", "the token carries session tags or a source "+
				"identity, so that the policy must allow %s too, and does not", action.Action)
		}
	}
}

// closeness returns how close an Allow comes to the request. It is 3 if the statement names the
// provider of the token, 2 if it names another one, and 1 if it names none. It is 0 for a Deny, and
// for a statement that only allows session tags or a source identity.
func (e evaluated) closeness() int {
	switch {
	case e.Effect == "Deny" || e.actions[0] == No && slices.Max(e.actions) == Yes:
		return 0
	case e.result.Principal.Holds != No:
		return 3
	case slices.ContainsFunc(e.Principals, func(p Principal) bool { return p.Kind == "Federated" }):
		return 2
	}
	return 1
}

// addUnknown adds the checks of a statement that cannot be evaluated.
func (e evaluated) addUnknown(found *findings) {
	for _, c := range append([]Check{e.result.Principal}, e.result.Conditions...) {
		if c.Holds == Unknown {
			name := cmp.Or(strings.TrimSpace(show(c.Operator)+" "+show(c.Key)), "Principal")
			found.add(Cause, NotEvaluated, e.at, "%s: %s", name, c.Why)
		}
	}
}

// refusal adds why a statement does not apply to the request.
func (c requestContext) refusal(s evaluated, found *findings) {
	if s.result.Principal.Holds == No {
		for _, p := range s.Principals {
			kind, text := c.wrongPrincipal(p)
			found.add(Cause, kind, s.at, "it names %s; %s", quote(p.Kind+" "+p.Name), text)
		}
	}
	if s.result.Action.Holds == No {
		found.add(Cause, WrongAction, s.at,
			"it allows %s; a token needs %s", quoteAll(s.Actions), assume)
	}
	for _, condition := range s.conditions {
		if condition.Holds != No {
			continue
		}
		for _, r := range c.explainCondition(condition) {
			found.add(Cause, r.kind, condition.at, "%s", r.text)
		}
	}
}

// wrongPrincipal returns why a principal is not the provider of the token.
func (c requestContext) wrongPrincipal(p Principal) (Kind, string) {
	part := strings.SplitN(p.Name, ":", 6)
	issuer, isProvider := "", false
	if len(part) == 6 {
		issuer, isProvider = strings.CutPrefix(part[5], "oidc-provider/")
	}
	expected := show(c.issuer)
	other := "the token's issuer is " + expected
	switch {
	case c.platform.builtIn && (p.Kind != "Federated" || issuer == c.issuer):
		return WrongPrincipal, "under Federated, name it " + c.issuer + ", without an ARN"
	case p.Kind != "Federated" || !isProvider || issuer == "":
		return WrongPrincipal, "a token needs Federated, and the ARN of the provider for " + expected
	case strings.Contains(issuer, "://"):
		return ProviderURL, "a provider's ARN has no https://; it ends in oidc-provider/" + expected
	case issuer == c.issuer && part[4] != c.account:
		return OtherAccount, "a role can trust only a provider in its own account, which is " +
			show(c.account)
	case issuer == c.issuer:
		return OtherPartition, "a role can trust only a provider in its own partition, which is " +
			show(c.partition)
	case strings.Trim(issuer, "/") == strings.Trim(c.issuer, "/"):
		return ProviderSlash, "the slash at the end counts; " + other
	case strings.EqualFold(issuer, c.issuer):
		return OtherCapitals, "capitals count; " + other
	case strings.HasPrefix(c.issuer, issuer+"/") || strings.HasPrefix(issuer, c.issuer+"/"):
		return IssuerPath, "the path is part of an issuer; " + other
	}
	return OtherIssuer, other
}
