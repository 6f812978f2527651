package trust

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Finding is a remark for the user about a policy and a request.
type Finding struct {
	Kind  Kind   `json:"kind"`
	Level Level  `json:"level"`
	At    string `json:"at"`   // the path in the policy
	Text  string `json:"text"` // one line
}

// Level classifies a finding. A Cause exists only if the policy does not admit the request. A
// Danger or a Note does not depend on the result.
type Level string

// The levels.
const (
	Cause  Level = "cause"  // why the policy does not admit the request
	Danger Level = "danger" // the policy admits jobs that it should not admit
	Note   Level = "note"   // the policy admits other jobs, perhaps on purpose
)

// Kind identifies a finding.
type Kind string

// The kinds. The groups are about the result, principals and actions, condition keys, condition
// values, and other jobs that the policy admits.
const (
	Denied        Kind = "denied"
	NotEvaluated  Kind = "not-evaluated"
	OtherRole     Kind = "role-not-in-token"
	MissingAction Kind = "missing-action" // sts:TagSession or sts:SetSourceIdentity

	WrongAction    Kind = "wrong-action"
	WrongPrincipal Kind = "wrong-principal" // not Federated, or not an OIDC provider
	OtherAccount   Kind = "other-account"
	OtherPartition Kind = "other-partition"
	ProviderURL    Kind = "provider-url"   // the ARN contains https://
	ProviderSlash  Kind = "provider-slash" // only one of the two issuers ends with a slash
	IssuerPath     Kind = "issuer-path"    // only one of the two issuers has a path
	OtherIssuer    Kind = "other-issuer"

	KeyUnknown     Kind = "key-unknown"      // AWS does not support the key for this issuer
	KeyOtherIssuer Kind = "key-other-issuer" // the key belongs to another issuer
	MissingClaim   Kind = "missing-claim"
	OldVersion     Kind = "old-version" // the Version does not support policy variables

	Wildcard        Kind = "wildcard-under-equals"
	OtherCase       Kind = "other-case"
	WhiteSpace      Kind = "white-space"
	Encoding        Kind = "encoding"
	RepoPrefix      Kind = "repo-prefix"
	ShortRef        Kind = "short-ref"
	ImmutableToken  Kind = "immutable-subject" // the token contains IDs, the policy only names
	ImmutablePolicy Kind = "immutable-policy"  // the policy contains IDs, the token only names
	OtherIDs        Kind = "other-ids"
	OtherContext    Kind = "other-context" // branch, tag, environment or pull request
	OtherRepository Kind = "other-repository"
	OtherWorkflow   Kind = "other-workflow"
	CustomSubject   Kind = "custom-subject"
	CircleVersion   Kind = "circleci-token-version"
	OtherPart       Kind = "other-part" // of the subject, on a platform other than GitHub
	OtherAudience   Kind = "other-audience"
	OtherValue      Kind = "other-value"

	AnyPrincipal     Kind = "any-principal"
	MissingKeyAdmits Kind = "missing-key-admits" // ForAllValues or IfExists
	NoSubject        Kind = "no-subject"
	NoAudience       Kind = "no-audience"
	AnySubject       Kind = "any-subject"
	WildcardOverrun  Kind = "wildcard-overrun" // a branch name can contain the rest of a pattern
	OwnerPrefix      Kind = "owner-prefix"
	OwnerWide        Kind = "owner-wide"
	RepositoryWide   Kind = "repository-wide"
)

// findingList is a list of findings without duplicates.
type findingList []Finding

func (f *findingList) add(level Level, kind Kind, at, format string, args ...any) {
	finding := Finding{kind, level, at, fmt.Sprintf(format, args...)}
	if !slices.Contains(*f, finding) {
		*f = append(*f, finding)
	}
}

// findings returns why the policy does not admit the request, and which other jobs it admits.
func (c requestContext) findings(statements []evaluatedStatement, v Verdict) []Finding {
	var found findingList
	if c.excludesRole() != No {
		found.add(Cause, OtherRole, "",
			"the token is valid only for %s; STS checks this before the policy",
			quoteAll(claimValue(c.Claims[rolesClaim]).values))
	}
	if v.Admits != Yes {
		c.addCauses(statements, v, &found)
	}
	for _, s := range statements {
		if s.Effect == "Allow" && s.result.Action.Holds == Yes && !s.NotPrincipal {
			c.addOverbroad(s, &found)
		}
	}
	return found
}

// addCauses adds the statements that deny the request, the checks that cannot be evaluated, and the
// reasons why the closest statements do not apply.
func (c requestContext) addCauses(statements []evaluatedStatement, v Verdict, found *findingList) {
	closest := 0
	for _, s := range statements {
		closest = max(closest, s.closeness())
	}
	if closest == 0 {
		found.add(Cause, WrongAction, "", "no statement allows %s", assumeAction)
	}
	for _, s := range statements {
		for i, action := range v.Actions {
			if s.Effect == "Deny" && s.applies(i) == Yes {
				found.add(Cause, Denied, s.path,
					"this statement denies the request; a Deny overrides every Allow")
			}
			if v.Admits == Unknown && action.Allows == Unknown && s.applies(i) == Unknown {
				s.addNotEvaluated(found)
			}
		}
		if closest > 0 && s.closeness() == closest && v.Actions[0].Allows != Yes {
			c.addMismatches(s, found)
		}
	}
	for _, action := range v.Actions[1:] {
		if action.Allows == No && v.Actions[0].Allows != No {
			found.add(Cause, MissingAction, "", "the token contains session tags or a "+
				"source identity, but the policy does not allow %s", action.Action)
		}
	}
}

// closeness returns how close an Allow comes to the request. It is 3 if its principal matches or
// can match the provider of the token, 2 if it names another provider, and 1 if it names no
// provider. It is 0 for a Deny, and for a statement that only allows session tags or a source
// identity.
func (e evaluatedStatement) closeness() int {
	switch {
	case e.Effect == "Deny" || e.covers[0] == No && slices.Max(e.covers) == Yes:
		return 0
	case e.result.Principal.Holds != No:
		return 3
	case slices.ContainsFunc(e.Principals, func(p Principal) bool { return p.Kind == "Federated" }):
		return 2
	}
	return 1
}

// addNotEvaluated adds the checks of a statement whose result is Unknown.
func (e evaluatedStatement) addNotEvaluated(found *findingList) {
	for _, c := range append([]Check{e.result.Principal}, e.result.Conditions...) {
		if c.Holds == Unknown {
			name := cmp.Or(strings.TrimSpace(escape(c.Operator)+" "+escape(c.Key)), "Principal")
			found.add(Cause, NotEvaluated, e.path, "%s: %s", name, c.Why)
		}
	}
}

// addMismatches adds the reasons why a statement does not apply to the request.
func (c requestContext) addMismatches(s evaluatedStatement, found *findingList) {
	if s.result.Principal.Holds == No {
		for _, p := range s.Principals {
			e := c.explainPrincipal(p)
			found.add(Cause, e.kind, s.path, "the principal is %s; %s",
				quote(p.Kind+" "+p.Name), e.text)
		}
	}
	if s.result.Action.Holds == No {
		found.add(Cause, WrongAction, s.path,
			"the statement allows %s; an OIDC token requires %s",
			quoteAll(s.Actions), assumeAction)
	}
	for _, condition := range s.conditions {
		if condition.Holds != No {
			continue
		}
		for _, e := range c.explainCondition(condition) {
			found.add(Cause, e.kind, condition.path, "%s", e.text)
		}
	}
}

// explainPrincipal returns why a principal is not the provider of the token.
func (c requestContext) explainPrincipal(p Principal) explanation {
	part := strings.SplitN(p.Name, ":", 6)
	issuer, isProvider := "", false
	if len(part) == 6 {
		issuer, isProvider = strings.CutPrefix(part[5], "oidc-provider/")
	}
	expected := escape(c.issuer)
	other := "the token's issuer is " + expected
	switch {
	case c.platform.builtIn && (p.Kind != "Federated" || issuer == c.issuer):
		return explanation{WrongPrincipal, "use Federated " + quote(c.issuer) + ", without an ARN"}
	case p.Kind != "Federated" || !isProvider || issuer == "":
		return explanation{WrongPrincipal,
			"an OIDC token requires Federated and the ARN of the provider for " + expected}
	case strings.Contains(issuer, "://"):
		return explanation{ProviderURL, "the ARN of a provider does not contain https://; " +
			"it ends with oidc-provider/" + expected}
	case issuer == c.issuer && part[4] != c.account:
		return explanation{OtherAccount,
			"a role can trust only providers of its own account, " + escape(c.account)}
	case issuer == c.issuer:
		return explanation{OtherPartition,
			"a role can trust only providers of its own partition, " + escape(c.partition)}
	case strings.Trim(issuer, "/") == strings.Trim(c.issuer, "/"):
		return explanation{ProviderSlash, "the trailing slash is significant; " + other}
	case strings.EqualFold(issuer, c.issuer):
		return explanation{OtherCase, "the comparison is case-sensitive; " + other}
	case strings.HasPrefix(c.issuer, issuer+"/") || strings.HasPrefix(issuer, c.issuer+"/"):
		return explanation{IssuerPath, "the path is part of the issuer; " + other}
	}
	return explanation{OtherIssuer, other}
}
