package trust

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// node is a JSON value with its position in the document.
type node struct {
	path  string // for example Statement[0].Condition
	end   int    // the offset after the first token of the value
	value any    // string, json.Number, bool, nil, []node or []member
}

// member is a member of an object. Objects keep the order of their members.
type member struct {
	name string
	node
}

// member returns the first member that has one of the names. It returns an empty node if there is
// no such member, or if the value is not an object.
func (n node) member(names ...string) node {
	members, _ := n.value.([]member)
	for _, m := range members {
		if slices.Contains(names, m.name) {
			return m.node
		}
	}
	return node{}
}

// minLength returns the minimum length of the JSON of a value in characters, not counting white
// space.
func (n node) minLength() (size int) {
	switch v := n.value.(type) {
	case string:
		size = len(`""`) + countVisible(v)
	case bool, json.Number:
		size = len(fmt.Sprint(v))
	case []node:
		for _, item := range v {
			size += len(",") + item.minLength() // or the bracket after the last element
		}
	case []member:
		for _, m := range v {
			size += len(`"":,`) + countVisible(m.name) + m.minLength()
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

// jsonReader reads a JSON document and keeps the first error. After an error, its results are
// invalid.
type jsonReader struct {
	text string
	json *json.Decoder
	err  error
	end  int // the offset in text after the last token
}

// maxPathLength limits the length of a path. Each node has the full path, so that many nodes with a
// long path would need much memory. The paths in a real policy have a few hundred characters.
const maxPathLength = 1000

func readJSON(text string) (*jsonReader, node) {
	r := &jsonReader{text: text, json: json.NewDecoder(strings.NewReader(text))}
	r.json.UseNumber()
	n := r.decodeValue("", 20)
	if r.json.More() {
		r.fail(n, "unexpected data after the document")
	}
	return r, n
}

// fail sets the error, unless it is already set.
func (r *jsonReader) fail(n node, format string, args ...any) {
	if r.err == nil {
		path := strings.TrimPrefix(n.path+", ", ", ")
		line := 1 + strings.Count(r.text[:n.end], "\n")
		r.err = fmt.Errorf("%sline %d: %s", path, line, fmt.Sprintf(format, args...))
	}
}

// nextToken returns the next token and the offset after it.
func (r *jsonReader) nextToken() (json.Token, int) {
	token, err := r.json.Token()
	end := r.json.InputOffset()
	if s := new(json.SyntaxError); errors.As(err, &s) {
		end = s.Offset
	}
	r.end = max(r.end, min(int(end), len(r.text))) // some errors have a relative offset
	n := node{end: r.end}
	if err != nil {
		hint := ""
		if strings.Contains(r.text, "jsonencode") || strings.Contains(r.text, "aws_iam_") {
			hint = "; instead of Terraform code, use the output of " +
				"\"aws iam get-role\" or \"terraform show -json\""
		}
		r.fail(n, "invalid JSON%s", hint)
	}
	if text, ok := token.(string); ok && !isDecoded(text) {
		r.fail(n, "invalid character: half of a surrogate pair, or not UTF-8")
	}
	return token, n.end
}

// decodeValue decodes the next value. Like IAM, it rejects an object with duplicate names.
// encoding/json would use the last value.
func (r *jsonReader) decodeValue(path string, depth int) node {
	token, end := r.nextToken()
	n := node{path: path, end: end, value: token}
	if depth == 0 {
		r.fail(n, "the value is nested too deeply")
	}
	if len(path) > maxPathLength {
		r.fail(node{end: end}, "the names of the enclosing objects are too long")
	}
	switch token {
	case json.Delim('['):
		list := []node{}
		for r.err == nil && r.json.More() {
			list = append(list, r.decodeValue(fmt.Sprintf("%s[%d]", path, len(list)), depth-1))
		}
		n.value = list
		r.nextToken()
	case json.Delim('{'):
		n.value = r.decodeMembers(path, depth)
		r.nextToken()
	}
	return n
}

// decodeMembers decodes the members of an object.
func (r *jsonReader) decodeMembers(path string, depth int) []member {
	members, seen := []member{}, map[string]bool{}
	for r.err == nil && r.json.More() {
		token, end := r.nextToken()
		name, _ := token.(string)
		if seen[name] {
			r.fail(node{path: path, end: end}, "duplicate name %s", quote(name))
		}
		seen[name] = true
		inner := strings.TrimPrefix(path+"."+escape(name), ".")
		// Paths are relative to the policy, not to the output of get-role.
		inner = strings.TrimPrefix(inner, "Role.")
		inner = strings.TrimPrefix(inner, "AssumeRolePolicyDocument.")
		members = append(members, member{name, r.decodeValue(inner, depth-1)})
	}
	return members
}

// objectMembers returns the members of a node that is an object. If names are given, each member
// must have one of them.
func (r *jsonReader) objectMembers(n node, names ...string) []member {
	members, ok := n.value.([]member)
	if !ok {
		r.fail(n, "expected an object")
	}
	for _, m := range members {
		i := slices.IndexFunc(names, func(s string) bool { return strings.EqualFold(s, m.name) })
		switch {
		case i >= 0 && names[i] != m.name:
			r.fail(m.node, "names are case-sensitive; use %s", names[i])
		case i < 0 && names != nil:
			r.fail(m.node, "unexpected name %s", quote(m.name))
		}
	}
	return members
}

// elements returns the elements of a list. Like IAM, it accepts a single value instead of a list.
func (n node) elements() []node {
	if list, ok := n.value.([]node); ok {
		return list
	}
	return []node{n}
}

func (r *jsonReader) readString(n node) string {
	text, ok := n.value.(string)
	if !ok {
		r.fail(n, "expected a string")
	}
	return text
}

// readStrings returns a list of strings.
func (r *jsonReader) readStrings(n node) (texts []string) {
	for _, item := range n.elements() {
		texts = append(texts, r.readString(item))
	}
	return texts
}

// readConditionValues returns a list of strings. Like IAM, it also accepts booleans and numbers.
func (r *jsonReader) readConditionValues(n node) (texts []string) {
	for _, item := range n.elements() {
		switch item.value.(type) {
		case bool, json.Number:
			item.value = fmt.Sprint(item.value)
		}
		texts = append(texts, r.readString(item))
	}
	return texts
}

// marshal returns the JSON of a value. Unlike json.MarshalIndent, it does not escape HTML.
func marshal(v any, indent string) (string, error) {
	var text strings.Builder
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	err := e.Encode(v)
	return text.String(), err
}
