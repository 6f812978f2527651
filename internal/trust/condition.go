package trust

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
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

// operator is a condition operator taken apart.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
type operator struct {
	set       string // "ForAnyValue", "ForAllValues" or empty
	base      string // its name without "Not", the set and "IfExists"
	negated   bool
	ifExists  bool
	variables bool // policy variables are replaced in its values

	// prepare returns the comparison of the request's values with one of the policy's.
	prepare func(want pattern) comparison
}

type comparison func(got string) Result

// parseOperator returns false for an operator that is not evaluated here: one that IAM does not know, and those on
// addresses and on bytes.
func parseOperator(name string) (operator, bool) {
	var o operator
	if set, rest, ok := strings.Cut(name, ":"); ok {
		if set != "ForAnyValue" && set != "ForAllValues" {
			return o, false
		}
		o.set, name = set, rest
	}
	name, o.ifExists = strings.CutSuffix(name, "IfExists")
	o.base = strings.Replace(name, "Not", "", 1)
	o.negated = o.base != name
	if o.negated && (strings.HasPrefix(name, "Not") || !strings.Contains(name, "NotEquals") && !strings.Contains(name, "NotLike")) {
		return o, false
	}
	switch o.base {
	case "StringEquals":
		o.prepare = func(want pattern) comparison {
			text := want.text()
			return func(got string) Result { return is(text == got) }
		}
	case "StringEqualsIgnoreCase":
		o.prepare = func(want pattern) comparison {
			text := want.text()
			return func(got string) Result { return is(strings.EqualFold(text, got)) }
		}
	case "StringLike":
		o.prepare = func(want pattern) comparison {
			m := compile(want)
			return func(got string) Result { return is(m.match(got)) }
		}
	case "ArnEquals", "ArnLike": // they behave identically
		o.prepare = arnLike
	case "Bool":
		o.prepare = func(want pattern) comparison { return compared(want.text(), truth, relations["Equals"]) }
	case "Null":
		return o, o.set == "" && !o.ifExists
	default:
		kind, relation := "Numeric", ""
		if rest, ok := strings.CutPrefix(o.base, "Date"); ok {
			kind, relation = "Date", rest
		} else {
			relation = strings.TrimPrefix(o.base, kind)
		}
		holds, ok := relations[relation]
		if !ok || relation == o.base || o.negated && relation != "Equals" {
			return o, false
		}
		read := number
		if kind == "Date" {
			read = date
		}
		o.prepare = func(want pattern) comparison { return compared(want.text(), read, holds) }
		return o, true
	}
	// IAM's reference contradicts itself on variables under Bool; the comparison is then Unknown.
	o.variables = o.base != "Bool"
	return o, true
}

// relations say what the comparison of the request's value with the policy's must come to.
var relations = map[string]func(c int) bool{
	"Equals":            func(c int) bool { return c == 0 },
	"LessThan":          func(c int) bool { return c < 0 },
	"LessThanEquals":    func(c int) bool { return c <= 0 },
	"GreaterThan":       func(c int) bool { return c > 0 },
	"GreaterThanEquals": func(c int) bool { return c >= 0 },
}

// compared returns a comparison that is Unknown when one of the two values cannot be read.
func compared(want string, read func(string) (float64, bool), holds func(c int) bool) comparison {
	w, ok1 := read(want)
	return func(got string) Result {
		g, ok2 := read(got)
		if !ok1 || !ok2 {
			return Unknown
		}
		return is(holds(cmp.Compare(g, w)))
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

// number reads a plain integer or decimal of at most 15 digits. Two of those that differ also differ as float64. AWS
// does not document how precisely it compares more digits, nor which other forms it reads.
func number(s string) (float64, bool) {
	whole, fraction, point := strings.Cut(strings.TrimPrefix(s, "-"), ".")
	digits := whole + fraction
	if len(digits) > 15 || strings.Trim(digits, "0123456789") != "" || whole == "" || point != (fraction != "") {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}

// date reads seconds since 1970, and the forms of https://www.w3.org/TR/NOTE-datetime but one: a bare year looks like
// seconds, and IAM does not say which it takes it for. It reads no more than milliseconds, so that two
// dates that differ also differ as float64.
func date(s string) (float64, bool) {
	if seconds, ok := number(s); ok {
		return seconds, len(s) > 4
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02", "2006-01"} {
		if t, err := time.Parse(layout, s); err == nil && t.Nanosecond()%int(time.Millisecond) == 0 {
			return float64(t.UnixMilli()) / 1000, true
		}
	}
	return 0, false
}

// arnLike compares the six parts of an ARN one by one, so that a wildcard never reaches across a colon; the last part
// may have colons of its own. AWS does not say what becomes of a pattern or a value that is no ARN.
func arnLike(want pattern) comparison {
	var parts []matcher
	for len(parts) < 5 {
		i := slices.Index(want, glyph{':', plain})
		if i < 0 {
			return func(string) Result { return Unknown }
		}
		parts, want = append(parts, compile(want[:i])), want[i+1:]
	}
	parts = append(parts, compile(want))
	return func(got string) Result {
		values := strings.SplitN(got, ":", 6)
		if len(values) < 6 {
			return Unknown
		}
		for i, part := range parts {
			if !part.match(values[i]) {
				return No
			}
		}
		return Yes
	}
}
