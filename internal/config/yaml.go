package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// body returns the content of the file, or nil if the file has only comments.
func body(tree *ast.File) ast.Node {
	for _, d := range tree.Docs {
		if d.Body != nil && d.Body.Type() != ast.CommentType {
			return d.Body
		}
	}
	return nil
}

// findExtraMarker returns the number of the first line that starts with "---", "..." or "%". It
// allows one "---" after nothing but comments. Every other marker is an error, because the parser
// would ignore all documents but one.
func findExtraMarker(b []byte) (line int, found bool) {
	begun := false
	for text := range strings.Lines(string(b)) {
		line++
		isMarker := strings.HasPrefix(text, "---") || strings.HasPrefix(text, "...") ||
			strings.HasPrefix(text, "%")
		switch trimmed := strings.TrimSpace(text); {
		case isMarker && (begun || trimmed != "---"):
			return line, true
		case trimmed != "" && trimmed[0] != '#':
			begun = true
		}
	}
	return 0, false
}

// syntaxError returns an error with the position of an error of the YAML parser. It contains the
// parser's message only if that does not quote text of the file.
func syntaxError(path string, err error) error {
	var e interface {
		error
		GetMessage() string
		GetToken() *token.Token
	}
	if !errors.As(err, &e) || e.GetToken() == nil {
		return fmt.Errorf("reading %s: it is not YAML", path)
	}
	message := e.GetMessage()
	switch {
	case strings.Contains(message, "'\t'"), strings.Contains(message, "tab character"):
		message = "the line is indented with a tab; YAML allows only spaces"
	case strings.Contains(message, `"`): // the parser quotes text of the file with %q
		message = "it is not YAML"
	}
	p := e.GetToken().Position
	return fmt.Errorf("reading %s:%d:%d: %s", path, p.Line, p.Column, message)
}

// document is a file that is being edited. It keeps the comments of the file.
type document struct {
	root *ast.MappingNode

	tree         *ast.File
	comments     string // the whole file, if it has only comments
	placeholders int    // number of keys at the start of root that are not in the file
}

func parseDocument(path string, b []byte) (d document, err error) {
	if d.tree, err = parser.ParseBytes(b, parser.ParseComments); err != nil {
		return d, syntaxError(path, err)
	}
	if body(d.tree) == nil { // merge needs an existing key to determine the indentation
		if d.comments = string(b); d.comments != "" && !strings.HasSuffix(d.comments, "\n") {
			d.comments += "\n"
		}
		d.placeholders = 1
		if d.tree, err = parser.ParseBytes([]byte("default: {}"), 0); err != nil {
			return d, syntaxError(path, err)
		}
	}
	root, ok := body(d.tree).(*ast.MappingNode)
	if !ok {
		return d, fmt.Errorf("writing %s: it is not a mapping of keys to values", path)
	}
	d.root = root
	return d, nil
}

// text returns the text of the edited document. It must be called only once.
func (d document) text() []byte {
	d.root.Values = d.root.Values[d.placeholders:]
	out := []byte(d.comments)
	if len(d.root.Values) > 0 {
		out = append(out, strings.TrimRight(d.tree.String(), "\n")+"\n"...)
	}
	return out
}

// merge adds lines of the form "key: value" to the mapping at a path of keys, or replaces the values
// of existing keys. It creates the mapping if it is missing.
func merge(root *ast.MappingNode, path, lines []string) error {
	at := root
	for len(path) > 0 {
		next := findMapping(at, path[0])
		if next == nil {
			break
		}
		at, path = next, path[1:]
	}
	var text strings.Builder
	for i, key := range path {
		fmt.Fprintf(&text, "%s%s:\n", strings.Repeat("  ", i), quoteKey(key))
	}
	for _, line := range lines {
		fmt.Fprintf(&text, "%s%s\n", strings.Repeat("  ", len(path)), line)
	}
	tree, err := parser.ParseBytes([]byte(text.String()), 0)
	if err != nil {
		return err
	}
	addition, ok := tree.Docs[0].Body.(*ast.MappingNode)
	if !ok {
		return errors.New("the settings are not a mapping")
	}
	if at.IsFlowStyle || len(at.Values) == 0 {
		p := at.GetToken().Position
		return fmt.Errorf("the mapping at line %d is in braces, which configure cannot edit; "+
			"write one key per line instead", p.Line)
	}
	addition.AddColumn(at.Values[0].Key.GetToken().Position.Column - 1)
	for _, pair := range addition.Values {
		i := slices.IndexFunc(at.Values,
			func(old *ast.MappingValueNode) bool { return keyOf(old) == keyOf(pair) })
		if i >= 0 {
			at.Values[i].Value = pair.Value
		} else {
			at.Values = append(at.Values, pair)
		}
	}
	return nil
}

// findMapping returns the mapping at a key of m, or nil if there is none.
func findMapping(m *ast.MappingNode, key string) *ast.MappingNode {
	for _, pair := range m.Values {
		if keyOf(pair) == key {
			value, _ := pair.Value.(*ast.MappingNode)
			return value
		}
	}
	return nil
}

// keyOf returns the key of a pair, or "" if the key is not a string.
func keyOf(pair *ast.MappingValueNode) string {
	if key, ok := pair.Key.(*ast.StringNode); ok {
		return key.Value
	}
	return ""
}

// quoteKey quotes an account number, which YAML would otherwise read as a number.
func quoteKey(key string) string {
	if isAccount(key) {
		return strconv.Quote(key)
	}
	return key
}

// yamlValue returns a string, or a list of several strings, as YAML.
func yamlValue(texts []string) string {
	if len(texts) == 1 {
		return strconv.Quote(texts[0])
	}
	return yamlList(texts)
}

// yamlList returns a list of strings as YAML. The strings are in quotes, so that YAML does not read
// them as another type.
func yamlList(texts []string) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = strconv.Quote(text)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
