package trust

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// node is a JSON value that knows its place.
type node struct {
	at    string // Statement[0].Condition
	line  int
	size  int // at least so many characters, white space apart
	value any // string, json.Number, bool, nil, []node or []member
}

// member is a member of an object. Members keep their order.
type member struct {
	name string
	node
}

// member returns the first member that has one of these names; of anything but an object an empty node.
func (n node) member(names ...string) node {
	members, _ := n.value.([]member)
	for _, m := range members {
		if slices.Contains(names, m.name) {
			return m.node
		}
	}
	return node{}
}

// reader reads a document and keeps the first thing that is wrong with it; what it returns after that is of no use.
type reader struct {
	text string
	json *json.Decoder
	err  error

	offset, line int // the end of the last token, and its line
	size         int // of the tokens up to there
}

// maxPlace is the greatest length of a node's place, which all nodes below it repeat. In a policy it is a few hundred
// characters.
const maxPlace = 1000

func readJSON(text string) (*reader, node) {
	r := &reader{text: text, json: json.NewDecoder(strings.NewReader(text)), line: 1}
	r.json.UseNumber()
	n := r.node("", 20)
	if r.json.More() {
		r.fail(n, "there is more after its end")
	}
	return r, n
}

func (r *reader) fail(n node, format string, args ...any) {
	if r.err == nil {
		at := strings.TrimPrefix(n.at+", ", ", ")
		r.err = fmt.Errorf("%sline %d: %s", at, max(n.line, 1), fmt.Sprintf(format, args...))
	}
}

func (r *reader) token() (json.Token, int) {
	token, err := r.json.Token()
	end := min(int(r.json.InputOffset()), len(r.text))
	if s := new(json.SyntaxError); errors.As(err, &s) {
		end = min(int(s.Offset), len(r.text))
	}
	if end > r.offset {
		r.line += strings.Count(r.text[r.offset:end], "\n")
		r.offset = end
	}
	if err != nil {
		hint := ""
		if strings.Contains(r.text, "jsonencode") || strings.Contains(r.text, "aws_iam_") {
			hint = "; for Terraform's own language, give what \"aws iam get-role\" or \"terraform show -json\" prints"
		}
		r.fail(node{line: r.line}, "this is not JSON%s", hint)
	}
	switch v := token.(type) {
	case string:
		if !decoded(v) {
			r.fail(node{line: r.line},
				"it has a character that cannot be decoded (half of a surrogate pair, or no UTF-8)")
		}
		r.size += len(`""`) + countVisible(v)
	case bool, json.Number:
		r.size += len(fmt.Sprint(v))
	}
	return token, r.line
}

// countVisible returns the number of characters in a text that are not white space.
func countVisible(text string) (n int) {
	for _, c := range text {
		if !unicode.IsSpace(c) {
			n++
		}
	}
	return n
}

// node reads a value. A member that is there twice is an error, as it is to IAM; encoding/json would take the last.
func (r *reader) node(at string, depth int) node {
	before := r.size
	token, line := r.token()
	n := node{at: at, line: line, value: token}
	if depth == 0 {
		r.fail(n, "it is nested too deeply")
	}
	if len(at) > maxPlace {
		r.fail(node{line: line}, "a name around it is longer than any in a policy")
	}
	switch token {
	case json.Delim('['):
		list := []node{}
		for r.err == nil && r.json.More() {
			r.size++ // a comma or the closing bracket
			list = append(list, r.node(fmt.Sprintf("%s[%d]", at, len(list)), depth-1))
		}
		n.value = list
		r.token()
	case json.Delim('{'):
		members, seen := []member{}, map[string]bool{}
		for r.err == nil && r.json.More() {
			token, line := r.token()
			name, _ := token.(string)
			if seen[name] {
				r.fail(node{at: at, line: line}, "%s is there twice", quote(name))
			}
			seen[name] = true
			inner := strings.TrimPrefix(at+"."+show(name), ".")
			for _, wrapping := range []string{"Role.", "AssumeRolePolicyDocument."} { // places are those in the policy
				inner = strings.TrimPrefix(inner, wrapping)
			}
			r.size += len(":,") // or the closing bracket
			members = append(members, member{name, r.node(inner, depth-1)})
		}
		n.value = members
		r.token()
	}
	n.size = r.size - before
	return n
}

// object returns the members of an object, all of which must have one of these names, if there are any.
func (r *reader) object(n node, names ...string) []member {
	members, ok := n.value.([]member)
	if !ok {
		r.fail(n, "an object is wanted")
	}
	for _, m := range members {
		if i := slices.IndexFunc(names, func(s string) bool { return strings.EqualFold(s, m.name) }); i >= 0 && names[i] != m.name {
			r.fail(m.node, "IAM writes it %s", names[i])
		} else if i < 0 && names != nil {
			r.fail(m.node, "%s does not belong here", quote(m.name))
		}
	}
	return members
}

// list returns the elements of a list, or the value itself, which IAM takes in place of a list of one.
func (n node) list() []node {
	if list, ok := n.value.([]node); ok {
		return list
	}
	return []node{n}
}

// string returns a string.
func (r *reader) string(n node) string {
	text, ok := n.value.(string)
	if !ok {
		r.fail(n, "a string is wanted")
	}
	return text
}

// texts returns a list of strings.
func (r *reader) texts(n node) (texts []string) {
	for _, item := range n.list() {
		texts = append(texts, r.string(item))
	}
	return texts
}

// conditionValues returns a list of strings. Like IAM, it also accepts booleans and numbers.
func (r *reader) conditionValues(n node) (texts []string) {
	for _, item := range n.list() {
		switch item.value.(type) {
		case bool, json.Number:
			item.value = fmt.Sprint(item.value)
		}
		texts = append(texts, r.string(item))
	}
	return texts
}
