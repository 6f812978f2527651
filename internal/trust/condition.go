package trust

import (
	"strconv"
	"strings"
)

// condition evaluates one key under one operator.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-logic-multiple-context-keys-or-values.html
func (a asking) condition(c Condition) Check {
	seen := a.lookup(c.Key)
	check := Check{Operator: c.Operator, Key: c.Key, Want: c.Values, Got: seen.all, Holds: Unknown, Why: seen.why}
	o, ok := parseOperator(c.Operator)
	switch {
	case !ok:
		check.Why = "this operator is not evaluated here"
		return check
	case len(c.Values) == 0:
		check.Why = "there is no value to compare with"
		return check
	case seen.unknown != "":
		check.Why = seen.unknown
		return check
	}
	// An empty string counts as no value at all for the set operators.
	missing := len(seen.all) == 0 || o.set != "" && strings.Join(seen.all, "") == ""
	switch {
	case o.base == "Null":
		check.Holds = No
		for _, want := range c.Values {
			check.Holds = max(check.Holds, compared(want, truth, relations["Equals"])(strconv.FormatBool(missing)))
		}
		if len(seen.all) == 1 && seen.all[0] == "" {
			check.Holds, check.Why = Unknown, "AWS does not say whether an empty value is null"
		}
	case missing && o.set == "ForAnyValue":
		check.Holds = No
		if o.ifExists {
			check.Holds, check.Why = Unknown, "AWS does not say what IfExists means together with ForAnyValue"
		}
	case missing:
		check.Holds = is(o.negated || o.ifExists || o.set == "ForAllValues")
		if check.Holds == Yes {
			check.Why = "a key that is not there passes this operator" + strings.TrimSuffix(": "+check.Why, ": ")
		}
	default:
		check.Holds, check.Why = a.compareAll(o, c.Values, seen)
	}
	return check
}

// compareAll puts every value of the request to those of the policy.
func (a asking) compareAll(o operator, wanted []string, seen value) (Result, string) {
	unresolved := false
	matches := make([]Result, len(seen.all)) // for each value of the request, whether one of the policy's matches it
	for _, want := range wanted {
		p, known := runes(want), Yes
		if o.variables {
			p, known = a.expand(want)
		}
		compare := func(string) Result { return Unknown }
		switch known {
		case Yes:
			compare = o.prepare(p)
		case No:
			unresolved = true
			continue
		}
		for i, got := range seen.all {
			matches[i] = max(matches[i], compare(got))
		}
	}
	lowest, highest := Yes, No
	for _, result := range matches {
		if o.negated {
			result = not(result)
		}
		lowest, highest = min(lowest, result), max(highest, result)
	}
	result, why := highest, ""
	switch {
	case seen.oneOf != "" && lowest != highest:
		result, why = Unknown, seen.oneOf
	case o.set == "ForAllValues":
		result = lowest
	case o.set == "" && len(seen.all) > 1 && seen.oneOf == "" && highest != No:
		result, why = Unknown, "the key has several values, which wants ForAnyValue or ForAllValues"
	}
	// A variable without a value matches nothing, or takes the whole statement out of force: AWS says "might". Both
	// come to the same where the condition fails anyway.
	if unresolved && result == Yes {
		result, why = Unknown, "a policy variable in it has no value here"
	}
	if result == Unknown && why == "" {
		why = "its values cannot be compared here"
	}
	return result, why
}
