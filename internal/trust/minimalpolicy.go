package trust

import (
	"errors"
	"fmt"
	"strings"
)

// Suggestion is a trust policy for a job, with patterns that admit more jobs.
type Suggestion struct {
	Policy string  `json:"policy"`           // the trust policy, as JSON
	Caveat string  `json:"caveat,omitempty"` // a limit of the policy, in one sentence; can be empty
	Wider  []Wider `json:"wider"`
}

// Wider is a pattern for StringLike on sub, with a description of the jobs that it admits.
type Wider struct {
	Subject string `json:"subject"`
	Scope   string `json:"scope"`
}

// MinimalPolicy returns the narrowest policy that admits the request and the job's next runs. It
// returns an error if the role is empty, or if the claims have no usable issuer or subject, or
// an audience that cannot be evaluated. Without an audience, the policy has no condition on it.
func MinimalPolicy(r Request) (Suggestion, error) {
	c, s, condition, err := suggest(r)
	if err != nil {
		return Suggestion{}, err
	}
	s.Policy, err = c.format(condition)
	return s, err
}

// suggest returns the parts of MinimalPolicy: the suggestion without its policy, and the condition.
func suggest(r Request) (c requestContext, s Suggestion, condition minimalCondition, err error) {
	if c, err = newRequestContext(r); err != nil {
		return c, s, condition, err
	}
	sub, aud := claimValue(r.Claims["sub"]), c.lookup(c.issuer+":aud")
	switch {
	case len(sub.values) != 1:
		err = errors.New("the claims have no subject (\"sub\")")
	case sub.unknownReason != "":
		err = fmt.Errorf("subject (\"sub\"): %s", sub.unknownReason)
	case aud.unknownReason != "":
		err = fmt.Errorf("audience (\"aud\"): %s", aud.unknownReason)
	case r.Role == "":
		err = errors.New("the role is not known")
	}
	if err != nil {
		return c, s, condition, fmt.Errorf("creating a minimal trust policy: %w", err)
	}
	s, pattern := c.suggestSubject(sub.values[0])
	condition.Equal = map[string]any{}
	if pattern != "" {
		condition.Like = map[string]string{c.issuer + ":sub": pattern}
	} else {
		condition.Equal[c.issuer+":sub"] = escapeVariables(sub.values[0])
	}
	// A customized subject can lack an owner.
	if scope := c.platform.subject.scope("StringEquals", sub.values[0]); scope.size > oneOwner {
		s.Caveat = "it admits " + scope.text
		repository := c.lookup(c.issuer + ":repository")
		if len(repository.values) == 1 && repository.unknownReason == "" {
			s.Caveat = ""
			condition.Equal[c.issuer+":repository"] = escapeVariables(repository.values[0])
		}
	}
	if len(aud.values) == 1 {
		condition.Equal[c.issuer+":aud"] = escapeVariables(aud.values[0])
	} else if len(aud.values) > 1 {
		var audiences []string
		for _, audience := range aud.values {
			audiences = append(audiences, escapeVariables(audience))
		}
		condition.AnyEqual = map[string][]string{c.issuer + ":aud": audiences}
	}
	return c, s, condition, nil
}

// minimalCondition is the Condition of a minimal policy.
type minimalCondition struct {
	AnyEqual map[string][]string `json:"ForAnyValue:StringEquals,omitempty"`
	Equal    map[string]any      `json:"StringEquals,omitempty"` // a text, or a list of texts
	Like     map[string]string   `json:"StringLike,omitempty"`
}

// format returns a policy with one statement for the actions of the request, as JSON.
func (c requestContext) format(condition minimalCondition) (string, error) {
	type statement struct {
		Effect    string
		Principal map[string]string
		Action    any
		Condition minimalCondition
	}
	s := statement{"Allow", map[string]string{"Federated": c.provider}, c.actions, condition}
	if len(c.actions) == 1 {
		s.Action = assumeAction
	}
	type policy struct {
		Version   string
		Statement []statement
	}
	return marshal(policy{"2012-10-17", []statement{s}}, "  ")
}

// escapeVariables escapes a text for use as a value of StringEquals.
func escapeVariables(text string) string { return strings.ReplaceAll(text, "${", "${$}{") }

// escapePattern escapes a text for use as a value of StringLike.
func escapePattern(text string) string {
	return strings.NewReplacer("*", "${*}", "?", "${?}", "${", "${$}{").Replace(text)
}

// suggestSubject returns a suggestion without its policy, and a pattern for the subjects of the
// job's next runs. The pattern is "" if all runs have the same subject.
func (c requestContext) suggestSubject(sub string) (s Suggestion, pattern string) {
	format := c.platform.subject
	if _, context, ok := cutRepo(sub); ok && format.ownerKeys != nil && context != "" {
		return widerGitHubSubjects(sub), ""
	}
	if i := strings.LastIndex(sub, ":"); c.platform.issuer == bitbucket && i > 0 {
		repo, _, _ := strings.Cut(sub, ":")
		s.Caveat = wildcardCaveat("step")
		s.Wider = []Wider{{escapePattern(repo) + ":*", "every step of that repository"}}
		return s, escapePattern(sub[:i+1]) + sameLengthPattern(sub[i+1:])
	}
	values := format.split(sub)
	if values == nil && !format.isGitHub() {
		s.Caveat = "the next run can have another subject"
	}
	for i, value := range values {
		if i > 0 {
			scope := "any " + format.partName(i)
			for j := i + 1; j < len(format.partPrefixes); j++ {
				scope += ", any " + format.partName(j)
			}
			wider := Wider{pattern + format.partPrefixes[i] + "*", scope}
			s.Wider = append([]Wider{wider}, s.Wider...)
		}
		part := escapePattern(value)
		if name := format.partName(i); name == "user" || name == "commit" {
			part, s.Caveat = sameLengthPattern(value), wildcardCaveat(name)
		}
		pattern += format.partPrefixes[i] + part
	}
	if s.Caveat == "" {
		pattern = ""
	}
	return s, pattern
}

// widerGitHubSubjects returns wider patterns for a subject of GitHub. All runs of a job have the
// same subject.
func widerGitHubSubjects(sub string) (s Suggestion) {
	repo, context, _ := cutRepo(sub)
	owner, _, _ := strings.Cut(repo, "/")
	name := escapePattern(repo)
	add := func(subject, scope string) {
		s.Wider = append(s.Wider, Wider{"repo:" + subject, scope})
	}
	if strings.HasPrefix(context, "ref:refs/heads/") {
		add(name+":ref:refs/heads/*", "every branch of "+name+" (anyone who can push one)")
	}
	if strings.HasPrefix(context, "ref:refs/tags/") {
		add(name+":ref:refs/tags/*", "every tag of "+name+" (anyone who can push one)")
	}
	if context == "pull_request" {
		s.Caveat = "it admits every pull request of " + name + ", and each runs the workflow in " +
			"its own branch; pull requests from forks get a token only if the repository's " +
			"settings allow it"
	}
	add(name+":*", "every branch, tag, environment and pull request of "+name)
	add(escapePattern(owner)+"/*",
		"the same for every repository of that owner, including future repositories")
	return s
}

// wildcardCaveat returns the caveat for a part of the subject that can differ between runs.
func wildcardCaveat(part string) string {
	return fmt.Sprintf("its wildcard admits any %s, because the %[1]s can differ in each run", part)
}

// sameLengthPattern returns a pattern for IDs or hashes of the same length. It contains no "*",
// which can match several parts of a subject and which describeOverrun would report.
func sameLengthPattern(value string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("{-}", r) {
			return r
		}
		return '?'
	}, value)
}
