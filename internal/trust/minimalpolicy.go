package trust

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Suggestion is a policy for a job, and what wider ones would let in.
type Suggestion struct {
	Policy string  `json:"policy"`         // a trust policy, as JSON
	Open   string  `json:"open,omitempty"` // a sentence on whom else it admits, or whether it admits the next run
	Wider  []Wider `json:"wider"`
}

// Wider is a pattern for StringLike on sub, and who else gets in by it.
type Wider struct {
	Subject string `json:"subject"`
	Who     string `json:"who"`
}

// Smallest returns the narrowest policy that admits the request and the same job's next run.
func Smallest(r Request) (Suggestion, error) {
	a, err := r.ask()
	sub, aud := valueOf(r.Claims["sub"]), a.lookup(a.issuer+":aud")
	switch {
	case err != nil:
		return Suggestion{}, err
	case len(sub.all) != 1:
		return Suggestion{}, errors.New("suggesting a trust policy: the claims have no subject (\"sub\")")
	case sub.unknown != "":
		return Suggestion{}, fmt.Errorf("suggesting a trust policy: of the subject (\"sub\"), %s", sub.unknown)
	case aud.unknown != "":
		return Suggestion{}, fmt.Errorf("suggesting a trust policy: of the audience (\"aud\"), %s", aud.unknown)
	case r.Role == "":
		return Suggestion{}, errors.New("suggesting a trust policy: for which role?")
	}
	var s Suggestion
	var pattern string
	pattern, s.Open, s.Wider = shapeOf(a.issuer).patterns(sub.all[0])
	conditions := map[string]map[string]any{}
	on := func(operator, key string, value any) {
		if conditions[operator] == nil {
			conditions[operator] = map[string]any{}
		}
		conditions[operator][a.issuer+":"+key] = value
	}
	literal := func(s string) string { return strings.ReplaceAll(s, "${", "${$}{") }
	if pattern != "" {
		on("StringLike", "sub", pattern)
	} else {
		on("StringEquals", "sub", literal(sub.all[0]))
	}
	// A customised subject may name no owner.
	if open := shapeOf(a.issuer).width(false, sub.all[0]); open.width > ownersProjects {
		s.Open = "it admits " + open.text
		if repository := a.lookup(a.issuer + ":repository"); len(repository.all) == 1 && repository.unknown == "" {
			s.Open = ""
			on("StringEquals", "repository", literal(repository.all[0]))
		}
	}
	var audiences []string
	for _, one := range aud.all {
		audiences = append(audiences, literal(one))
	}
	switch len(audiences) {
	case 0:
	case 1:
		on("StringEquals", "aud", audiences[0])
	default:
		on("ForAnyValue:StringEquals", "aud", audiences)
	}
	type statement struct {
		Effect    string
		Principal map[string]string
		Action    any
		Condition map[string]map[string]any
	}
	st := statement{"Allow", map[string]string{"Federated": a.provider}, a.actions, conditions}
	if len(a.actions) == 1 {
		st.Action = assume
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err = e.Encode(struct {
		Version   string
		Statement []statement
	}{"2012-10-17", []statement{st}})
	s.Policy = text.String()
	return s, err
}

// patterns returns a pattern for the same job's next run, none where the exact subject will do; what that leaves open;
// and wider ones.
func (s shape) patterns(sub string) (pattern, open string, wider []Wider) {
	literal := strings.NewReplacer("*", "${*}", "?", "${?}", "${", "${$}{").Replace
	if repo, context, ok := cutRepo(sub); ok && s.keys != nil && context != "" {
		owner, _, _ := strings.Cut(repo, "/")
		repo, owner = literal("repo:"+repo), literal("repo:"+owner)
		name := strings.TrimPrefix(repo, "repo:")
		if strings.HasPrefix(context, "ref:refs/heads/") {
			wider = append(wider, Wider{repo + ":ref:refs/heads/*", "every branch of " + name + ": whoever may push one"})
		}
		if strings.HasPrefix(context, "ref:refs/tags/") {
			wider = append(wider, Wider{repo + ":ref:refs/tags/*", "every tag of " + name + ": whoever may push one"})
		}
		if context == "pull_request" {
			open = "it admits every pull request of " + name + ", from whatever branch, with the workflow as that branch has it; " +
				"from a fork only where the repository's settings give those a token"
		}
		return "", open, append(wider,
			Wider{repo + ":*", "every branch, tag, environment and pull request of " + name},
			Wider{owner + "/*", "the same of every repository of that owner, and of those still to be made"})
	}
	const each = "its wildcard admits any %s, which is another one with each run"
	if i := strings.LastIndex(sub, ":"); s.issuer == bitbucket && i > 0 {
		repo, _, _ := strings.Cut(sub, ":")
		return literal(sub[:i+1]) + sameShape(sub[i+1:]), fmt.Sprintf(each, "step"), []Wider{{literal(repo) + ":*", "every step of that repository"}}
	}
	values := s.split(sub)
	if values == nil && !s.github() {
		return "", "whether the next run has the same subject is not known", nil
	}
	for i, value := range values {
		mark, part := s.parts[i], literal(value)
		if name := s.part(i); name == "user" || name == "commit" { // another one with each run
			part, open = sameShape(value), fmt.Sprintf(each, name)
		}
		if i > 0 {
			who := "any " + s.part(i)
			for j := i + 1; j < len(s.parts); j++ {
				who += ", any " + s.part(j)
			}
			wider = append([]Wider{{pattern + mark + "*", who}}, wider...)
		}
		pattern += mark + part
	}
	if open == "" {
		pattern = ""
	}
	return pattern, open, wider
}

// sameShape is a pattern for values of the same shape, an id or a hash. It is not "*", which would stand for the parts
// after it too, where the last of them can hold what ends a part (Smallest would then suggest what swallows warns of).
func sameShape(value string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("{-}", r) {
			return r
		}
		return '?'
	}, value)
}
