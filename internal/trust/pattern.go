package trust

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// pattern is a value of the policy. It distinguishes wildcards from literal characters.
type pattern []patternRune

type patternRune struct {
	r    rune
	kind byte
}

// The kinds of a patternRune.
const (
	literal      = iota
	anyRunes     // *
	anyRune      // ?
	fromVariable // literal, and not a separator between the parts of an ARN
)

func (p pattern) text() string {
	var b strings.Builder
	for _, g := range p {
		b.WriteRune(g.r)
	}
	return b.String()
}

// parsePattern returns the pattern of a text. It does not expand variables.
func parsePattern(s string) pattern {
	p := make(pattern, 0, len(s))
	for _, r := range s {
		g := patternRune{r, literal}
		switch r {
		case '*':
			g.kind = anyRunes
		case '?':
			g.kind = anyRune
		}
		p = append(p, g)
	}
	return p
}

// match reports whether a text matches the pattern. A * matches any number of characters, including
// none. A ? matches exactly one character.
func (p pattern) match(text string) bool { return compile(p).match(text) }

// matcher is a compiled pattern. It simulates a nondeterministic automaton: in state i, the first
// i characters of the pattern have matched, not counting any *. A word holds 64 states, so that a
// match takes at most len(pattern)*len(text)/64 steps.
type matcher struct {
	last      int               // the final state, and the minimum length of a text
	loops     []uint64          // the states in which a * matches any character
	accepts   map[rune][]uint64 // for each character of the pattern, the states that accept it
	wildcards []uint64          // the states of a ?, which accept every character
}

func compile(p pattern) matcher {
	m := matcher{accepts: map[rune][]uint64{}}
	for _, g := range p {
		if g.kind != anyRunes {
			m.last++
		}
	}
	words := m.last/64 + 1
	m.loops, m.wildcards = make([]uint64, words), make([]uint64, words)
	state := 0
	for _, g := range p {
		set := m.wildcards
		switch {
		case g.kind == anyRunes:
			m.loops[state/64] |= 1 << (state % 64)
			continue
		case g.kind != anyRune:
			if m.accepts[g.r] == nil {
				m.accepts[g.r] = make([]uint64, words)
			}
			set = m.accepts[g.r]
		}
		set[state/64] |= 1 << (state % 64)
		state++
	}
	for _, set := range m.accepts {
		for i, wildcards := range m.wildcards {
			set[i] |= wildcards
		}
	}
	return m
}

func (m matcher) match(text string) bool {
	if len(text) < m.last || utf8.RuneCountInString(text) < m.last {
		return false
	}
	states := make([]uint64, len(m.loops))
	states[0] = 1
	for _, r := range text {
		accepts, ok := m.accepts[r]
		if !ok {
			accepts = m.wildcards
		}
		carry, live := uint64(0), uint64(0)
		for i, set := range states {
			next := set & accepts[i]
			states[i] = set&m.loops[i] | next<<1 | carry
			carry = next >> 63
			live |= states[i]
		}
		if live == 0 {
			return false
		}
	}
	return states[m.last/64]>>(m.last%64)&1 == 1
}

func stringEquals(want pattern) matchFunc {
	text := want.text()
	return func(got string) Result { return resultOf(text == got) }
}

func stringEqualsIgnoreCase(want pattern) matchFunc {
	text := want.text()
	return func(got string) Result { return resultOf(strings.EqualFold(text, got)) }
}

func stringLike(want pattern) matchFunc {
	m := compile(want)
	return func(got string) Result { return resultOf(m.match(got)) }
}

// arnLike compares each of the six parts of an ARN, so that a wildcard never matches a colon
// between two parts. The last part can contain colons. If the pattern or the value is not an ARN,
// the result is Unknown, because AWS does not document it.
func arnLike(want pattern) matchFunc {
	var parts []matcher
	for len(parts) < 5 {
		i := slices.Index(want, patternRune{':', literal})
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

// expand replaces the policy variables of a value and reports whether it could resolve all of them:
// Yes if every variable has a value or a default, No if one has neither, and Unknown if the value
// of a variable is not known or the pattern becomes longer than a token. The pattern is valid only
// if the result is Yes.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
func (c requestContext) expand(text string) (pattern, Result) {
	if !c.supportsVariables {
		return parsePattern(text), Yes
	}
	var p pattern
	result := Yes
	for {
		before, rest, ok := strings.Cut(text, "${")
		name, after, closed := strings.Cut(rest, "}")
		if !ok {
			break
		}
		if !closed {
			return nil, Unknown
		}
		p, text = append(p, parsePattern(before)...), after
		value := name
		if name != "*" && name != "?" && name != "$" {
			key, rest, hasDefault := strings.Cut(name, ", '")
			fallback, ended := strings.CutSuffix(rest, "'")
			if strings.ContainsAny(key+fallback, `,'"`) || hasDefault != ended {
				return nil, Unknown // no other syntax of a default is documented
			}
			found := c.lookup(key)
			switch {
			case len(found.values) == 1 && found.unknownReason == "":
				value = found.values[0]
			case len(found.values) > 1 || found.unknownReason != "":
				result = min(result, Unknown)
			case hasDefault:
				value = fallback
			default:
				return nil, No
			}
		}
		for _, r := range value {
			p = append(p, patternRune{r, fromVariable})
		}
		if len(p) > maxTokenLength { // longer than any claim
			return nil, Unknown
		}
	}
	return append(p, parsePattern(text)...), result
}
