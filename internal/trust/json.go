package trust

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// node is a JSON value with its place in the document.
type node struct {
	at    string // Statement[0].Condition
	end   int    // the offset in the document after the value's first token
	value any    // string, json.Number, bool, nil, []node or []member
}

// member is a member of an object. Members keep their order.
type member struct {
	name string
	node
}

// member returns the first member with one of these names. It returns an empty node for a value
// that is not an object.
func (n node) member(names ...string) node {
	members, _ := n.value.([]member)
	for _, m := range members {
		if slices.Contains(names, m.name) {
			return m.node
		}
	}
	return node{}
}

// size returns the minimum number of characters of a value, not counting white space.
func (n node) size() (size int) {
	switch v := n.value.(type) {
	case string:
		size = len(`""`) + countVisible(v)
	case bool, json.Number:
		size = len(fmt.Sprint(v))
	case []node:
		for _, item := range v {
			size += len(",") + item.size() // or the closing bracket
		}
	case []member:
		for _, m := range v {
			size += len(`"":,`) + countVisible(m.name) + m.size()
		}
	}
	return size
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

// reader reads a document and keeps the first error. After an error, its results are invalid.
type reader struct {
	text string
	json *json.Decoder
	err  error
	end  int // the offset in text after the last token
}

// maxPlace is the maximum length of the place of a node. The places of all nodes in it repeat it.
// In a real policy, a place has a few hundred characters.
const maxPlace = 1000

func readJSON(text string) (*reader, node) {
	r := &reader{text: text, json: json.NewDecoder(strings.NewReader(text))}
	r.json.UseNumber()
	n := r.node("", 20)
	if r.json.More() {
		r.fail(n, "there is more after its end")
	}
	return r, n
}

// fail sets the error, unless there is one already.
func (r *reader) fail(n node, format string, args ...any) {
	if r.err == nil {
		at := strings.TrimPrefix(n.at+", ", ", ")
		line := 1 + strings.Count(r.text[:n.end], "\n")
		r.err = fmt.Errorf("%sline %d: %s", at, line, fmt.Sprintf(format, args...))
	}
}

// token returns the next token, and its end.
func (r *reader) token() (json.Token, int) {
	token, err := r.json.Token()
	end := r.json.InputOffset()
	if s := new(json.SyntaxError); errors.As(err, &s) {
		end = s.Offset
	}
	r.end = max(r.end, min(int(end), len(r.text))) // the offset of some errors is relative
	n := node{end: r.end}
	if err != nil {
		hint := ""
		if strings.Contains(r.text, "jsonencode") || strings.Contains(r.text, "aws_iam_") {
			hint = "; for Terraform's own language, give what \"aws iam get-role\" " +
				"or \"terraform show -json\" prints"
		}
		r.fail(n, "this is not JSON%s", hint)
	}
	if text, ok := token.(string); ok && !decoded(text) {
		r.fail(n, "it has a character that cannot be decoded "+
			"(half of a surrogate pair, or no UTF-8)")
	}
	return token, n.end
}

// node reads a value. Like IAM, it does not accept a duplicate member. encoding/json would use the
// last one.
func (r *reader) node(at string, depth int) node {
	token, end := r.token()
	n := node{at: at, end: end, value: token}
	if depth == 0 {
		r.fail(n, "it is nested too deeply")
	}
	if len(at) > maxPlace {
		r.fail(node{end: end}, "a name around it is longer than any in a policy")
	}
	switch token {
	case json.Delim('['):
		list := []node{}
		for r.err == nil && r.json.More() {
			list = append(list, r.node(fmt.Sprintf("%s[%d]", at, len(list)), depth-1))
		}
		n.value = list
		r.token()
	case json.Delim('{'):
		n.value = r.members(at, depth)
		r.token()
	}
	return n
}

// members reads the members of an object.
func (r *reader) members(at string, depth int) []member {
	members, seen := []member{}, map[string]bool{}
	for r.err == nil && r.json.More() {
		token, end := r.token()
		name, _ := token.(string)
		if seen[name] {
			r.fail(node{at: at, end: end}, "%s is there twice", quote(name))
		}
		seen[name] = true
		inner := strings.TrimPrefix(at+"."+show(name), ".")
		// Places are relative to the policy, not to the response of get-role.
		inner = strings.TrimPrefix(inner, "Role.")
		inner = strings.TrimPrefix(inner, "AssumeRolePolicyDocument.")
		members = append(members, member{name, r.node(inner, depth-1)})
	}
	return members
}

// object returns the members of an object. If names are given, each member must have one of them.
func (r *reader) object(n node, names ...string) []member {
	members, ok := n.value.([]member)
	if !ok {
		r.fail(n, "an object is wanted")
	}
	for _, m := range members {
		i := slices.IndexFunc(names, func(s string) bool { return strings.EqualFold(s, m.name) })
		switch {
		case i >= 0 && names[i] != m.name:
			r.fail(m.node, "IAM writes it %s", names[i])
		case i < 0 && names != nil:
			r.fail(m.node, "%s does not belong here", quote(m.name))
		}
	}
	return members
}

// list returns the elements of a list. Like IAM, it accepts a single value instead of a list.
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

// marshal returns a value as JSON. Unlike json.MarshalIndent, it does not escape HTML.
func marshal(v any, indent string) (string, error) {
	var text strings.Builder
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	err := e.Encode(v)
	return text.String(), err
}
