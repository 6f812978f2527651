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
	set      string // the set operator: "ForAnyValue", "ForAllValues" or empty
	base     string // the name without the set operator, "Not" and "IfExists"
	negated  bool
	ifExists bool
}

// matchFunc compares a value of the request with a value of the policy.
type matchFunc func(got string) Result

// textOperators are the base operators that compare text. Each function prepares a value of the
// policy once, for all values of the request.
var textOperators = map[string]func(want pattern) matchFunc{
	"StringEquals":           stringEquals,
	"StringEqualsIgnoreCase": stringEqualsIgnoreCase,
	"StringLike":             stringLike,
	"ArnEquals":              arnLike, // in IAM the same as ArnLike
	"ArnLike":                arnLike,
}

// orderedOperator is a base operator that compares numbers, dates or booleans as numbers.
type orderedOperator struct {
	parse  func(string) (float64, bool)
	orders []int // the results of cmp.Compare(request, policy) that satisfy the operator
}

var orderedOperators = map[string]orderedOperator{
	"Bool":                     {parseBool, []int{0}},
	"Null":                     {parseBool, []int{0}},
	"NumericEquals":            {parseNumber, []int{0}},
	"NumericLessThan":          {parseNumber, []int{-1}},
	"NumericLessThanEquals":    {parseNumber, []int{-1, 0}},
	"NumericGreaterThan":       {parseNumber, []int{1}},
	"NumericGreaterThanEquals": {parseNumber, []int{1, 0}},
	"DateEquals":               {parseDate, []int{0}},
	"DateLessThan":             {parseDate, []int{-1}},
	"DateLessThanEquals":       {parseDate, []int{-1, 0}},
	"DateGreaterThan":          {parseDate, []int{1}},
	"DateGreaterThanEquals":    {parseDate, []int{1, 0}},
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

// parseOperator returns false for an operator that this package does not evaluate: the operators
// for IP addresses and for binary data, and operators that IAM does not define.
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
	_, ordered := orderedOperators[o.base]
	return o, ordered || textOperators[o.base] != nil
}

// compareWith returns a function that compares with a value of the policy.
func (o operator) compareWith(want pattern) matchFunc {
	if prepare, ok := textOperators[o.base]; ok {
		return prepare(want)
	}
	return orderedOperators[o.base].compareWith(want.text())
}

// acceptsMissingKey reports whether the condition holds for a request without the key, because of
// ForAllValues or IfExists.
func (o operator) acceptsMissingKey() bool { return o.ifExists || o.set == "ForAllValues" }

// evaluatedCondition is a condition with the results of its evaluation.
type evaluatedCondition struct {
	Check
	path      string // the position in the document
	operator  operator
	supported bool // parseOperator supports the operator
	value     contextValue
}

// evaluateCondition evaluates one key under one operator.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-logic-multiple-context-keys-or-values.html
func (c requestContext) evaluateCondition(cond Condition) evaluatedCondition {
	e := evaluatedCondition{path: cond.path, value: c.lookup(cond.Key)}
	e.operator, e.supported = parseOperator(cond.Operator)
	e.Check = Check{
		Operator: cond.Operator, Key: cond.Key, Want: cond.Values, Got: e.value.values,
	}
	switch {
	case !e.supported:
		e.Holds, e.Why = Unknown, "the helper does not evaluate this operator"
	case len(cond.Values) == 0:
		e.Holds, e.Why = Unknown, "the condition has no values"
	case e.value.unknownReason != "":
		e.Holds, e.Why = Unknown, e.value.unknownReason
	case e.operator.base == "Null":
		e.Holds, e.Why = evaluateNull(cond.Values, e.value)
	case len(e.value.values) == 0,
		e.operator.set != "" && strings.Join(e.value.values, "") == "":
		// Set operators treat a key whose values are empty strings as missing.
		e.Holds, e.Why = evaluateMissingKey(e.operator, e.value)
	default:
		e.Holds, e.Why = c.compare(e.operator, cond.Values, e.value)
	}
	return e
}

// evaluateNull evaluates the operator Null.
func evaluateNull(wanted []string, value contextValue) (Result, string) {
	if len(value.values) == 1 && value.values[0] == "" {
		return Unknown, "AWS does not document whether an empty value is null"
	}
	absent := strconv.FormatBool(len(value.values) == 0)
	holds := No
	for _, want := range wanted {
		holds = max(holds, orderedOperators["Null"].compareWith(want)(absent))
	}
	if holds == Unknown && value.missingReason == "" {
		return Unknown, "the value of the policy is neither true nor false"
	}
	return holds, value.missingReason
}

// evaluateMissingKey evaluates an operator for a key that the request does not have.
func evaluateMissingKey(o operator, value contextValue) (Result, string) {
	switch {
	case o.set == "ForAnyValue" && o.ifExists:
		return Unknown, "AWS does not document IfExists together with ForAnyValue"
	case o.set == "ForAnyValue" || !o.negated && !o.acceptsMissingKey():
		return No, value.missingReason
	}
	return Yes, strings.TrimSuffix("this operator accepts a missing key: "+value.missingReason, ": ")
}

// compare compares every value of the request with every value of the policy.
func (c requestContext) compare(
	o operator, wanted []string, value contextValue,
) (Result, string) {
	matches, allResolved := c.matchValues(o, wanted, value.values)
	lowest, highest := Yes, No
	for _, result := range matches {
		if o.negated {
			result = negate(result)
		}
		lowest, highest = min(lowest, result), max(highest, result)
	}
	result := highest
	switch {
	case value.ambiguousReason != "" && lowest != highest:
		return Unknown, value.ambiguousReason
	case o.set == "ForAllValues":
		result = lowest
	case o.set == "" && len(value.values) > 1 && value.ambiguousReason == "" && highest != No:
		return Unknown, "a key with several values requires ForAnyValue or ForAllValues"
	}
	switch {
	// According to AWS, a variable without a value "might" match nothing or invalidate the
	// whole statement. The difference matters only if the other values match.
	case result == Yes && !allResolved:
		return Unknown, "a policy variable in the condition has no value"
	case result == Unknown:
		return Unknown, "the helper cannot compare these values"
	}
	return result, ""
}

// matchValues returns, for each value of the request, whether a value of the policy matches it. It
// also reports whether all policy variables have a value.
func (c requestContext) matchValues(o operator, wanted, got []string) ([]Result, bool) {
	allResolved := true
	results := make([]Result, len(got))
	for _, want := range wanted {
		// IAM's reference contradicts itself on variables under Bool. Their text is not a
		// boolean, so the result is Unknown.
		p, resolved := parsePattern(want), Yes
		if textOperators[o.base] != nil {
			p, resolved = c.expand(want)
		}
		compare := func(string) Result { return Unknown }
		switch resolved {
		case Yes:
			compare = o.compareWith(p)
		case No:
			allResolved = false
			continue
		}
		for i, text := range got {
			results[i] = max(results[i], compare(text))
		}
	}
	return results, allResolved
}

// compareWith returns a function whose result is Unknown if one of the two values cannot be parsed.
func (o orderedOperator) compareWith(want string) matchFunc {
	w, ok1 := o.parse(want)
	return func(got string) Result {
		g, ok2 := o.parse(got)
		if !ok1 || !ok2 {
			return Unknown
		}
		return resultOf(slices.Contains(o.orders, cmp.Compare(g, w)))
	}
}

func parseBool(s string) (float64, bool) {
	switch strings.ToLower(s) {
	case "true":
		return 1, true
	case "false":
		return 0, true
	}
	return 0, false
}

// parseNumber parses an integer or a decimal without exponent of at most 15 digits. Different
// numbers of that length also differ as float64. AWS does not document how it compares longer
// numbers or which other formats it accepts.
func parseNumber(s string) (float64, bool) {
	whole, fraction, point := strings.Cut(strings.TrimPrefix(s, "-"), ".")
	digits := whole + fraction
	if len(digits) > 15 || strings.Trim(digits, "0123456789") != "" ||
		whole == "" || point != (fraction != "") {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}

// parseDate parses seconds since 1970, and the formats of https://www.w3.org/TR/NOTE-datetime
// except a year alone. IAM does not document whether it reads that as a year or as seconds. A date
// has at most milliseconds, so that different dates also differ as float64.
func parseDate(s string) (float64, bool) {
	if seconds, ok := parseNumber(s); ok {
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
