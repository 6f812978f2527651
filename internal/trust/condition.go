package trust

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// operator is a parsed condition operator.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
type operator struct {
	set      string // "ForAnyValue", "ForAllValues" or empty
	base     string // the name without the set, "Not" and "IfExists"
	negated  bool
	ifExists bool
}

// comparison compares a value of the request with a value of the policy.
type comparison func(got string) Result

// textOperators are the base operators that compare text. Each entry prepares a value of the policy
// for comparison.
var textOperators = map[string]func(want pattern) comparison{
	"StringEquals":           stringEquals,
	"StringEqualsIgnoreCase": stringEqualsIgnoreCase,
	"StringLike":             stringLike,
	"ArnEquals":              arnLike, // IAM evaluates both alike
	"ArnLike":                arnLike,
}

// order describes a base operator that compares numbers, dates and booleans as numbers.
type order struct {
	read  func(string) (float64, bool)
	holds []int // results of cmp.Compare, of the request's value with the policy's
}

var orderOperators = map[string]order{
	"Bool":                     {truth, []int{0}},
	"Null":                     {truth, []int{0}},
	"NumericEquals":            {number, []int{0}},
	"NumericLessThan":          {number, []int{-1}},
	"NumericLessThanEquals":    {number, []int{-1, 0}},
	"NumericGreaterThan":       {number, []int{1}},
	"NumericGreaterThanEquals": {number, []int{1, 0}},
	"DateEquals":               {date, []int{0}},
	"DateLessThan":             {date, []int{-1}},
	"DateLessThanEquals":       {date, []int{-1, 0}},
	"DateGreaterThan":          {date, []int{1}},
	"DateGreaterThanEquals":    {date, []int{1, 0}},
}

// negations are the negated operators, each with its base operator.
var negations = map[string]string{
	"StringNotEquals":           "StringEquals",
	"StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
	"StringNotLike":             "StringLike",
	"ArnNotEquals":              "ArnEquals",
	"ArnNotLike":                "ArnLike",
	"NumericNotEquals":          "NumericEquals",
	"DateNotEquals":             "DateEquals",
}

// parseOperator returns false for an operator that is not evaluated. Those are the operators on IP
// addresses and on bytes, and operators that IAM does not have.
func parseOperator(name string) (operator, bool) {
	var o operator
	if set, rest, ok := strings.Cut(name, ":"); ok {
		if set != "ForAnyValue" && set != "ForAllValues" {
			return o, false
		}
		o.set, name = set, rest
	}
	o.base, o.ifExists = strings.CutSuffix(name, "IfExists")
	if base, ok := negations[o.base]; ok {
		o.base, o.negated = base, true
	}
	if o.base == "Null" {
		return o, o.set == "" && !o.ifExists
	}
	_, ordered := orderOperators[o.base]
	return o, ordered || textOperators[o.base] != nil
}

// compareWith returns the comparison with a value of the policy.
func (o operator) compareWith(want pattern) comparison {
	if prepare, ok := textOperators[o.base]; ok {
		return prepare(want)
	}
	return orderOperators[o.base].compareWith(want.text())
}

// passesWithoutKey reports whether a request without the key passes because of a set operator or
// IfExists.
func (o operator) passesWithoutKey() bool { return o.ifExists || o.set == "ForAllValues" }

// evaluatedCondition is a condition with the results of its evaluation.
type evaluatedCondition struct {
	Check
	at        string // its place in the document
	operator  operator
	supported bool // the operator is evaluated
	seen      value
}

// condition evaluates one key under one operator.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-logic-multiple-context-keys-or-values.html
func (c requestContext) condition(cond Condition) evaluatedCondition {
	e := evaluatedCondition{at: cond.at, seen: c.lookup(cond.Key)}
	e.operator, e.supported = parseOperator(cond.Operator)
	e.Check = Check{Operator: cond.Operator, Key: cond.Key, Want: cond.Values, Got: e.seen.all}
	switch {
	case !e.supported:
		e.Holds, e.Why = Unknown, "this operator is not evaluated here"
	case len(cond.Values) == 0:
		e.Holds, e.Why = Unknown, "there is no value to compare with"
	case e.seen.unknown != "":
		e.Holds, e.Why = Unknown, e.seen.unknown
	case e.operator.base == "Null":
		e.Holds, e.Why = isNull(cond.Values, e.seen)
	case len(e.seen.all) == 0, e.operator.set != "" && strings.Join(e.seen.all, "") == "":
		// For set operators, empty strings count as no value.
		e.Holds, e.Why = withoutKey(e.operator, e.seen)
	default:
		e.Holds, e.Why = c.compare(e.operator, cond.Values, e.seen)
	}
	return e
}

// isNull evaluates the operator Null.
func isNull(wanted []string, seen value) (Result, string) {
	if len(seen.all) == 1 && seen.all[0] == "" {
		return Unknown, "AWS does not say whether an empty value is null"
	}
	absent := strconv.FormatBool(len(seen.all) == 0)
	holds := No
	for _, want := range wanted {
		holds = max(holds, orderOperators["Null"].compareWith(want)(absent))
	}
	if holds == Unknown && seen.why == "" {
		return Unknown, "the policy's value is neither true nor false"
	}
	return holds, seen.why
}

// withoutKey evaluates an operator on a key that the request does not have.
func withoutKey(o operator, seen value) (Result, string) {
	switch {
	case o.set == "ForAnyValue" && o.ifExists:
		return Unknown, "AWS does not say what IfExists means together with ForAnyValue"
	case o.set == "ForAnyValue" || !o.negated && !o.passesWithoutKey():
		return No, seen.why
	}
	return Yes, strings.TrimSuffix("a key that is not there passes this operator: "+seen.why, ": ")
}

// compare compares every value of the request with every value of the policy.
func (c requestContext) compare(o operator, wanted []string, seen value) (Result, string) {
	matches, resolved := c.matches(o, wanted, seen.all)
	lowest, highest := Yes, No
	for _, result := range matches {
		if o.negated {
			result = not(result)
		}
		lowest, highest = min(lowest, result), max(highest, result)
	}
	result := highest
	switch {
	case seen.oneOf != "" && lowest != highest:
		return Unknown, seen.oneOf
	case o.set == "ForAllValues":
		result = lowest
	case o.set == "" && len(seen.all) > 1 && seen.oneOf == "" && highest != No:
		return Unknown, "the key has several values, which wants ForAnyValue or ForAllValues"
	}
	switch {
	// AWS says that a variable without a value "might" match nothing or invalidate the whole
	// statement. Both have the same effect if the condition fails anyway.
	case result == Yes && !resolved:
		return Unknown, "a policy variable in it has no value here"
	case result == Unknown:
		return Unknown, "its values cannot be compared here"
	}
	return result, ""
}

// matches returns for each value of the request whether one of the policy's values matches it. It
// also reports whether all policy variables have a value.
func (c requestContext) matches(o operator, wanted, got []string) ([]Result, bool) {
	resolved := true
	results := make([]Result, len(got))
	for _, want := range wanted {
		// IAM's reference contradicts itself on variables under Bool. They compare as Unknown.
		p, known := runes(want), Yes
		if textOperators[o.base] != nil {
			p, known = c.expand(want)
		}
		compare := func(string) Result { return Unknown }
		switch known {
		case Yes:
			compare = o.compareWith(p)
		case No:
			resolved = false
			continue
		}
		for i, value := range got {
			results[i] = max(results[i], compare(value))
		}
	}
	return results, resolved
}

// compareWith returns a comparison that is Unknown if one of the two values cannot be read.
func (o order) compareWith(want string) comparison {
	w, ok1 := o.read(want)
	return func(got string) Result {
		g, ok2 := o.read(got)
		if !ok1 || !ok2 {
			return Unknown
		}
		return is(slices.Contains(o.holds, cmp.Compare(g, w)))
	}
}

func truth(s string) (float64, bool) {
	switch strings.ToLower(s) {
	case "true":
		return 1, true
	case "false":
		return 0, true
	}
	return 0, false
}

// number reads a plain integer or decimal of at most 15 digits. Two different ones also differ as
// float64. AWS does not document how it compares more digits, nor which other forms it reads.
func number(s string) (float64, bool) {
	whole, fraction, point := strings.Cut(strings.TrimPrefix(s, "-"), ".")
	digits := whole + fraction
	if len(digits) > 15 || strings.Trim(digits, "0123456789") != "" ||
		whole == "" || point != (fraction != "") {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}

// date reads seconds since 1970, and the forms of https://www.w3.org/TR/NOTE-datetime except a
// bare year, which looks like seconds. IAM does not document which of the two it reads. Dates have
// at most milliseconds, so that two different ones also differ as float64.
func date(s string) (float64, bool) {
	if seconds, ok := number(s); ok {
		return seconds, len(s) > 4
	}
	layouts := []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02", "2006-01"}
	for _, layout := range layouts {
		t, err := time.Parse(layout, s)
		if err == nil && t.Nanosecond()%int(time.Millisecond) == 0 {
			return float64(t.UnixMilli()) / 1000, true
		}
	}
	return 0, false
}
