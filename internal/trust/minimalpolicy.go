package trust

import (
	"errors"
	"fmt"
	"strings"
)

// Suggestion is a policy for a job, and patterns that admit more.
type Suggestion struct {
	Policy string  `json:"policy"`         // a trust policy, as JSON
	Caveat string  `json:"open,omitempty"` // a sentence on others it admits, or on the next run
	Wider  []Wider `json:"wider"`
}

// Wider is a pattern for StringLike on sub, and a description of the jobs that it admits.
type Wider struct {
	Subject string `json:"subject"`
	Scope   string `json:"who"`
}

// MinimalPolicy returns the narrowest policy that admits the request and the same job's next run.
func MinimalPolicy(r Request) (Suggestion, error) {
	c, err := newContext(r)
	if err != nil {
		return Suggestion{}, err
	}
	sub, aud := valueOf(r.Claims["sub"]), c.lookup(c.issuer+":aud")
	switch {
	case len(sub.all) != 1:
		err = errors.New("the claims have no subject (\"sub\")")
	case sub.unknown != "":
		err = fmt.Errorf("of the subject (\"sub\"), %s", sub.unknown)
	case aud.unknown != "":
		err = fmt.Errorf("of the audience (\"aud\"), %s", aud.unknown)
	case r.Role == "":
		err = errors.New("for which role?")
	}
	if err != nil {
		return Suggestion{}, fmt.Errorf("suggesting a trust policy: %w", err)
	}
	s, pattern := c.suggestion(sub.all[0])
	condition := suggestedCondition{Equal: map[string]string{}}
	if pattern != "" {
		condition.Like = map[string]string{c.issuer + ":sub": pattern}
	} else {
		condition.Equal[c.issuer+":sub"] = escapeVariables(sub.all[0])
	}
	// A customized subject does not have to name an owner.
	if scope := c.platform.subject.scope("StringEquals", sub.all[0]); scope.size > oneOwner {
		s.Caveat = "it admits " + scope.text
		repository := c.lookup(c.issuer + ":repository")
		if len(repository.all) == 1 && repository.unknown == "" {
			s.Caveat = ""
			condition.Equal[c.issuer+":repository"] = escapeVariables(repository.all[0])
		}
	}
	if len(aud.all) == 1 {
		condition.Equal[c.issuer+":aud"] = escapeVariables(aud.all[0])
	} else if len(aud.all) > 1 {
		var audiences []string
		for _, one := range aud.all {
			audiences = append(audiences, escapeVariables(one))
		}
		condition.AnyEqual = map[string][]string{c.issuer + ":aud": audiences}
	}
	s.Policy, err = c.format(condition)
	return s, err
}

// suggestedCondition is the Condition of a suggested policy.
type suggestedCondition struct {
	AnyEqual map[string][]string `json:"ForAnyValue:StringEquals,omitempty"`
	Equal    map[string]string   `json:"StringEquals,omitempty"`
	Like     map[string]string   `json:"StringLike,omitempty"`
}

// format returns a policy with one statement for the request's actions, as JSON.
func (c requestContext) format(condition suggestedCondition) (string, error) {
	type statement struct {
		Effect    string
		Principal map[string]string
		Action    any
		Condition suggestedCondition
	}
	s := statement{"Allow", map[string]string{"Federated": c.provider}, c.actions, condition}
	if len(c.actions) == 1 {
		s.Action = assume
	}
	type policy struct {
		Version   string
		Statement []statement
	}
	return marshal(policy{"2012-10-17", []statement{s}}, "  ")
}

// escapeVariables returns a text as a value for StringEquals.
func escapeVariables(text string) string { return strings.ReplaceAll(text, "${", "${$}{") }

// escapePattern returns a text as a value for StringLike.
func escapePattern(text string) string {
	return strings.NewReplacer("*", "${*}", "?", "${?}", "${", "${$}{").Replace(text)
}

// suggestion returns a pattern for the subjects of the same job's next runs, or "" if they are the
// same as sub. The suggestion has no policy yet.
func (c requestContext) suggestion(sub string) (s Suggestion, pattern string) {
	format := c.platform.subject
	if _, context, ok := cutRepo(sub); ok && format.owners != nil && context != "" {
		return githubSuggestion(sub), ""
	}
	if i := strings.LastIndex(sub, ":"); c.platform.issuer == bitbucket && i > 0 {
		repo, _, _ := strings.Cut(sub, ":")
		s.Caveat = eachRun("step")
		s.Wider = []Wider{{escapePattern(repo) + ":*", "every step of that repository"}}
		return s, escapePattern(sub[:i+1]) + sameForm(sub[i+1:])
	}
	values := format.split(sub)
	if values == nil && !format.isGitHub() {
		s.Caveat = "whether the next run has the same subject is not known"
	}
	for i, value := range values {
		if i > 0 {
			who := "any " + format.partName(i)
			for j := i + 1; j < len(format.parts); j++ {
				who += ", any " + format.partName(j)
			}
			wider := Wider{pattern + format.parts[i] + "*", who}
			s.Wider = append([]Wider{wider}, s.Wider...)
		}
		part := escapePattern(value)
		if name := format.partName(i); name == "user" || name == "commit" {
			part, s.Caveat = sameForm(value), eachRun(name)
		}
		pattern += format.parts[i] + part
	}
	if s.Caveat == "" {
		pattern = ""
	}
	return s, pattern
}

// githubSuggestion returns what is wider than a subject of GitHub, which is the same in each run.
func githubSuggestion(sub string) (s Suggestion) {
	repo, context, _ := cutRepo(sub)
	owner, _, _ := strings.Cut(repo, "/")
	name := escapePattern(repo)
	add := func(subject, who string) { s.Wider = append(s.Wider, Wider{"repo:" + subject, who}) }
	if strings.HasPrefix(context, "ref:refs/heads/") {
		add(name+":ref:refs/heads/*", "every branch of "+name+": whoever may push one")
	}
	if strings.HasPrefix(context, "ref:refs/tags/") {
		add(name+":ref:refs/tags/*", "every tag of "+name+": whoever may push one")
	}
	if context == "pull_request" {
		s.Caveat = "it admits every pull request of " + name + ", from whatever branch, " +
			"with the workflow as that branch has it; from a fork only where the repository's " +
			"settings give those a token"
	}
	add(name+":*", "every branch, tag, environment and pull request of "+name)
	add(escapePattern(owner)+"/*",
		"the same of every repository of that owner, and of those still to be made")
	return s
}

// eachRun returns a warning about a part of the subject that is different in each run.
func eachRun(part string) string {
	return fmt.Sprintf("its wildcard admits any %s, which is another one with each run", part)
}

// sameForm returns a pattern for values of the same form, which is an id or a hash. The pattern has
// no "*", because a "*" can also match the parts after it if the last part can contain a separator.
// Smallest would then suggest a pattern that overrun warns about.
func sameForm(value string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("{-}", r) {
			return r
		}
		return '?'
	}, value)
}
