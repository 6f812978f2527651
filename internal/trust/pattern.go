package trust

import (
	"strings"
	"unicode/utf8"
)

// pattern is a value of the policy, with its wildcards told apart from the same characters meant as themselves.
type pattern []glyph

type glyph struct {
	r    rune
	kind byte
}

const (
	plain  = iota
	many   // *
	one    // ?
	quoted // came out of a variable: never a wildcard, and no colon of an ARN
)

func (p pattern) text() string {
	var b strings.Builder
	for _, g := range p {
		b.WriteRune(g.r)
	}
	return b.String()
}

// runes is a pattern of plain text and wildcards.
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

// like reports whether a text matches a pattern: * stands for any run of characters, none included, and ? for exactly
// one.
func like(p pattern, text string) bool { return compile(p).match(text) }

// matcher is a compiled pattern. It simulates the pattern's automaton on sets of states, 64 states to a word, so that
// no pattern takes more than len(pattern)*len(text)/64 steps. In state i the first i characters of the pattern have
// matched, the *s not counted.
type matcher struct {
	last    int               // the state in which all have matched, which is also the least length of a text
	loops   []uint64          // the states in which a * takes any character
	accepts map[rune][]uint64 // for each character of the pattern, the states from which it leads to the next one
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

// expand replaces the policy variables of a value. Its result is Yes when it could; No when a variable has no value in
// this request and no default; Unknown when we do not know what it stands for, or when the value becomes longer than a
// token.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
func (a asking) expand(text string) (pattern, Result) {
	var p pattern
	result := Yes
	for a.variables {
		before, rest, found := strings.Cut(text, "${")
		name, after, closed := strings.Cut(rest, "}")
		if !found {
			break
		}
		if !closed {
			return runes(text), Unknown
		}
		p, text = append(p, runes(before)...), after
		value := name
		if name != "*" && name != "?" && name != "$" {
			key, rest, hasPreset := strings.Cut(name, ", '")
			preset, ended := strings.CutSuffix(rest, "'")
			if strings.ContainsAny(key+preset, `,'"`) || hasPreset != ended {
				return runes(text), Unknown // AWS does not say what it makes of a default in any other form
			}
			seen := a.lookup(key)
			switch {
			case len(seen.all) == 1 && seen.unknown == "":
				value = seen.all[0]
			case len(seen.all) > 1 || seen.unknown != "":
				result = min(result, Unknown)
			case hasPreset:
				value = preset
			default:
				return runes(text), No
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
