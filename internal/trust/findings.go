package trust

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Finding is one thing that a person should know about a policy and a request, in one line.
type Finding struct {
	Kind  Kind   `json:"kind"`
	Level Level  `json:"level"`
	At    string `json:"at"` // the place in the policy
	Text  string `json:"text"`
}

// Level says what a finding is about. Causes are there only when the policy does not admit the request; dangers and
// notes always.
type Level string

// The levels.
const (
	Cause  Level = "cause"  // why the request is not admitted
	Danger Level = "danger" // who else is admitted, and should not be
	Note   Level = "note"   // who else is admitted, which may be meant
)

// Kind names what was found.
type Kind string

// The kinds: of the answer, of principals and actions, of keys, of values, and of openings.
const (
	Denied       Kind = "denied"
	NotEvaluated Kind = "not-evaluated"
	OtherRole    Kind = "role-not-in-token"
	TagSession   Kind = "tag-session"

	WrongAction    Kind = "wrong-action"
	WrongPrincipal Kind = "wrong-principal" // not Federated, or no OIDC provider
	OtherAccount   Kind = "other-account"
	OtherPartition Kind = "other-partition"
	ProviderURL    Kind = "provider-url" // https:// in the ARN
	ProviderSlash  Kind = "provider-slash"
	IssuerPath     Kind = "issuer-path" // the one has a path where the other has none
	OtherIssuer    Kind = "other-issuer"

	KeyUnknown   Kind = "key-unknown" // AWS has no such key for this issuer
	KeyPrefix    Kind = "key-prefix"  // the key is another issuer's
	MissingClaim Kind = "missing-claim"
	OldVersion   Kind = "old-version" // without policy variables

	Wildcard        Kind = "wildcard-under-equals"
	OtherCapitals   Kind = "other-capitals"
	WhiteSpace      Kind = "white-space"
	Encoding        Kind = "encoding"
	RepoPrefix      Kind = "repo-prefix"
	ShortRef        Kind = "short-ref"
	ImmutableToken  Kind = "immutable-subject" // in the token; the policy has names alone
	ImmutablePolicy Kind = "immutable-policy"  // the reverse
	OtherIDs        Kind = "other-ids"
	OtherContext    Kind = "other-context" // branch, tag, environment or pull request
	OtherRepository Kind = "other-repository"
	OtherWorkflow   Kind = "other-workflow"
	CustomSubject   Kind = "custom-subject"
	CircleVersion   Kind = "circleci-token-version"
	OtherPart       Kind = "other-part" // of another platform's subject
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

// findings says why the request is not admitted, and who else is.
func (a asking) findings(p Policy, v Verdict) []Finding {
	var found []Finding
	add := func(level Level, kind Kind, at, format string, args ...any) {
		f := Finding{kind, level, at, fmt.Sprintf(format, args...)}
		if !slices.Contains(found, f) {
			found = append(found, f)
		}
	}
	if a.otherRole() != No {
		add(Cause, OtherRole, "", "the token is for %s alone, which STS checks before the policy",
			quoteAll(valueOf(a.Claims[rolesClaim]).all))
	}
	if v.Admits != Yes {
		a.causes(p, v, add)
	}
	for i, s := range p.Statements {
		if s.Effect == "Allow" && v.Statements[i].Action.Holds == Yes && !s.NotPrincipal {
			a.dangers(s, add)
		}
	}
	return found
}

type adder func(level Level, kind Kind, at, format string, args ...any)

// nearness ranks an Allow: it names our provider, or some other, or none at all. A Deny has none, nor has a statement
// that is only there for the session tags or the source identity.
func (a asking) nearness(s Statement, r StatementResult) int {
	switch {
	case s.Effect == "Deny":
		return 0
	case r.Action.Holds == No && slices.ContainsFunc(a.actions, func(action string) bool { return a.action(s, action).Holds == Yes }):
		return 0
	case r.Principal.Holds != No:
		return 3
	case slices.ContainsFunc(s.Principals, func(p Principal) bool { return p.Kind == "Federated" }):
		return 2
	}
	return 1
}

// causes speaks of the statements that come nearest, and of what denies.
func (a asking) causes(p Policy, v Verdict, add adder) {
	nearest := 0
	for i, r := range v.Statements {
		nearest = max(nearest, a.nearness(p.Statements[i], r))
	}
	if nearest == 0 {
		add(Cause, WrongAction, "", "no statement allows %s", assume)
	}
	for i, r := range v.Statements {
		s := p.Statements[i]
		for _, action := range v.Actions {
			applies := min(r.Principal.Holds, a.action(s, action.Action).Holds, all(r.Conditions))
			if s.Effect == "Deny" && applies == Yes {
				add(Cause, Denied, r.At, "this statement denies exactly such a request, and a Deny wins over every Allow")
			}
			if v.Admits != Unknown || action.Allows != Unknown || applies != Unknown {
				continue
			}
			for _, c := range append([]Check{r.Principal}, r.Conditions...) {
				if c.Holds == Unknown {
					add(Cause, NotEvaluated, r.At, "%s: %s", cmp.Or(strings.TrimSpace(show(c.Operator)+" "+show(c.Key)), "Principal"), c.Why)
				}
			}
		}
		if near := a.nearness(s, r); near == 0 || near < nearest || v.Actions[0].Allows == Yes {
			continue
		}
		if r.Principal.Holds == No {
			a.wrongPrincipals(s, add)
		}
		if r.Action.Holds == No {
			add(Cause, WrongAction, r.At, "it allows %s; a token needs %s", quoteAll(s.Actions), assume)
		}
		for j, c := range r.Conditions {
			if c.Holds == No {
				a.nearMiss(s.Conditions[j], c, add)
			}
		}
	}
	for _, action := range v.Actions[1:] {
		if action.Allows == No && v.Actions[0].Allows != No {
			add(Cause, TagSession, "", "the token carries session tags or a source identity, so that the policy must allow %s too, and does not", action.Action)
		}
	}
}

func (a asking) wrongPrincipals(s Statement, add adder) {
	for _, p := range s.Principals {
		part := strings.SplitN(p.Name, ":", 6)
		issuer := ""
		if len(part) == 6 {
			issuer, _ = strings.CutPrefix(part[5], "oidc-provider/")
		}
		kind, text := OtherIssuer, "the token's issuer is "+show(a.issuer)
		switch {
		case slices.Contains(builtIn, a.issuer) && (p.Kind != "Federated" || issuer == a.issuer):
			kind, text = WrongPrincipal, "under Federated, name it "+a.issuer+", without an ARN"
		case p.Kind != "Federated" || issuer == "" || issuer == part[5]:
			kind, text = WrongPrincipal, "a token needs Federated, and the ARN of the provider for "+show(a.issuer)
		case strings.Contains(issuer, "://"):
			kind, text = ProviderURL, "a provider's ARN has no https://; it ends in oidc-provider/"+show(a.issuer)
		case issuer == a.issuer && part[4] != a.account:
			kind, text = OtherAccount, "a role can trust only a provider in its own account, which is "+show(a.account)
		case issuer == a.issuer:
			kind, text = OtherPartition, "a role can trust only a provider in its own partition, which is "+show(a.partition)
		case strings.Trim(issuer, "/") == strings.Trim(a.issuer, "/"):
			kind, text = ProviderSlash, "the slash at the end counts; "+text
		case strings.EqualFold(issuer, a.issuer):
			kind, text = OtherCapitals, "capitals count; "+text
		case strings.HasPrefix(a.issuer, issuer+"/") || strings.HasPrefix(issuer, a.issuer+"/"):
			kind, text = IssuerPath, "the path is part of an issuer; "+text
		}
		add(Cause, kind, s.at, "it names %s; %s", quote(p.Kind+" "+p.Name), text)
	}
}
