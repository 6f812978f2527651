package trust

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// pattern is a value of the policy in which wildcards differ from the same characters as such.
type pattern []glyph

type glyph struct {
	r    rune
	kind byte
}

// The kinds of glyphs.
const (
	plain  = iota
	many   // *
	one    // ?
	quoted // from a variable: never a wildcard, and never a colon between the parts of an ARN
)

func (p pattern) text() string {
	var b strings.Builder
	for _, g := range p {
		b.WriteRune(g.r)
	}
	return b.String()
}

// runes returns the pattern of a text with wildcards and without variables.
func runes(s string) pattern {
	p := make(pattern, 0, len(s))
	for _, r := range s {
		g := glyph{r, plain}
		switch r {
		case '*':
			g.kind = many
		case '?':
			g.kind = one
		}
		p = append(p, g)
	}
	return p
}

// like reports whether a text matches a pattern. * matches any number of characters, including
// none, and ? matches exactly one.
func like(p pattern, text string) bool { return compile(p).match(text) }

// matcher is a compiled pattern. It simulates the automaton of the pattern on sets of states, with
// 64 states in a word, so that a match takes at most len(pattern)*len(text)/64 steps. In state i,
// the first i characters of the pattern have matched, not counting each *.
type matcher struct {
	last    int               // the final state, and the minimum length of a text
	loops   []uint64          // the states in which a * matches any character
	accepts map[rune][]uint64 // by character of the pattern, the states that it leads out of
	others  []uint64          // the same for all other characters: the states with a ?
}

func compile(p pattern) matcher {
	m := matcher{accepts: map[rune][]uint64{}}
	for _, g := range p {
		if g.kind != many {
			m.last++
		}
	}
	words := m.last/64 + 1
	m.loops, m.others = make([]uint64, words), make([]uint64, words)
	state := 0
	for _, g := range p {
		set := m.others
		switch {
		case g.kind == many:
			m.loops[state/64] |= 1 << (state % 64)
			continue
		case g.kind != one:
			if m.accepts[g.r] == nil {
				m.accepts[g.r] = make([]uint64, words)
			}
			set = m.accepts[g.r]
		}
		set[state/64] |= 1 << (state % 64)
		state++
	}
	for _, set := range m.accepts {
		for i, others := range m.others {
			set[i] |= others
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
			accepts = m.others
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

func stringEquals(want pattern) comparison {
	text := want.text()
	return func(got string) Result { return is(text == got) }
}

func stringEqualsIgnoreCase(want pattern) comparison {
	text := want.text()
	return func(got string) Result { return is(strings.EqualFold(text, got)) }
}

func stringLike(want pattern) comparison {
	m := compile(want)
	return func(got string) Result { return is(m.match(got)) }
}

// arnLike compares the six parts of an ARN one by one, so that a wildcard never matches a colon
// between two parts. The last part can contain colons. AWS does not document how it compares a
// pattern or a value that is not an ARN.
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

// expand replaces the policy variables of a value. The result is Yes if it could replace all of
// them, and No if a variable has neither a value in this request nor a default. It is Unknown if a
// variable's value is not known, or if the text becomes longer than a token. The pattern is valid
// only if the result is Yes.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
func (c requestContext) expand(text string) (pattern, Result) {
	var p pattern
	result := Yes
	for c.variables {
		before, rest, found := strings.Cut(text, "${")
		name, after, closed := strings.Cut(rest, "}")
		if !found {
			break
		}
		if !closed {
			return nil, Unknown
		}
		p, text = append(p, runes(before)...), after
		value := name
		if name != "*" && name != "?" && name != "$" {
			key, rest, hasDefault := strings.Cut(name, ", '")
			fallback, ended := strings.CutSuffix(rest, "'")
			if strings.ContainsAny(key+fallback, `,'"`) || hasDefault != ended {
				return nil, Unknown // AWS documents no other form of a default
			}
			seen := c.lookup(key)
			switch {
			case len(seen.all) == 1 && seen.unknown == "":
				value = seen.all[0]
			case len(seen.all) > 1 || seen.unknown != "":
				result = min(result, Unknown)
			case hasDefault:
				value = fallback
			default:
				return nil, No
			}
		}
		for _, r := range value {
			p = append(p, glyph{r, quoted})
		}
		if len(p) > maxToken { // no claim is that long
			return nil, Unknown
		}
	}
	return append(p, runes(text)...), result
}
