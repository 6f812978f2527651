package trust

import "strings"

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

// like matches wildcards: * stands for any run of characters, none included, and ? for exactly one.
func like(p pattern, s string) bool {
	text := []rune(s)
	star, mark := -1, 0 // the last * and how much of the text it has taken
	i, j := 0, 0
	for j < len(text) {
		switch {
		case i < len(p) && p[i].kind == many:
			star, mark = i, j
			i++
		case i < len(p) && (p[i].kind == one || p[i].r == text[j]):
			i, j = i+1, j+1
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	for i < len(p) && p[i].kind == many {
		i++
	}
	return i == len(p)
}

// expand replaces the policy variables of a value. Its result is Yes when it could; No when a variable has no value in
// this request and no default; Unknown when we do not know what it stands for.
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
	}
	return append(p, runes(text)...), result
}
