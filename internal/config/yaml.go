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

// body is what the file has in it; nil for nothing but comments.
func body(tree *ast.File) ast.Node {
	for _, d := range tree.Docs {
		if d.Body != nil && d.Body.Type() != ast.CommentType {
			return d.Body
		}
	}
	return nil
}

// markers looks for lines that begin or end a document, or direct the parser, where there may be
// none; the parser would read one document of the file and pass over the others.
func markers(b []byte) (line int, bad bool) {
	begun := false
	for text := range strings.Lines(string(b)) {
		line++
		marks := strings.HasPrefix(text, "---") || strings.HasPrefix(text, "...") ||
			strings.HasPrefix(text, "%")
		switch trimmed := strings.TrimSpace(text); {
		case marks && (begun || trimmed != "---"):
			return line, true
		case trimmed != "" && trimmed[0] != '#':
			begun = true
		}
	}
	return 0, false
}

// syntax returns the place of a parser's error, and its message if that quotes no text of the file.
func syntax(path string, err error) error {
	var e interface {
		error
		GetMessage() string
		GetToken() *token.Token
	}
	if !errors.As(err, &e) || e.GetToken() == nil {
		return fmt.Errorf("reading %s: it is not YAML", path)
	}
	message := e.GetMessage()
	if strings.Contains(message, `"`) { // text of the file: the parser writes it with %q
		message = "it is not YAML"
	}
	p := e.GetToken().Position
	return fmt.Errorf("reading %s:%d:%d: %s", path, p.Line, p.Column, message)
}

// document is a file that is being edited. Comments are kept.
type document struct {
	root *ast.MappingNode

	tree        *ast.File
	comments    string // the whole file, when it has nothing but comments
	placeholder int    // number of keys at the start of root that are not the file's
}

func parseDocument(path string, b []byte) (d document, err error) {
	if d.tree, err = parser.ParseBytes(b, parser.ParseComments); err != nil {
		return d, syntax(path, err)
	}
	if body(d.tree) == nil { // merging takes its indentation from a key that is there
		if d.comments = string(b); d.comments != "" && !strings.HasSuffix(d.comments, "\n") {
			d.comments += "\n"
		}
		d.placeholder = 1
		if d.tree, err = parser.ParseBytes([]byte("default: {}"), 0); err != nil {
			return d, syntax(path, err)
		}
	}
	root, ok := body(d.tree).(*ast.MappingNode)
	if !ok {
		return d, fmt.Errorf("writing %s: it is not a mapping of keys to values", path)
	}
	d.root = root
	return d, nil
}

// text returns the document as it is now. It must be called once.
func (d document) text() []byte {
	d.root.Values = d.root.Values[d.placeholder:]
	out := []byte(d.comments)
	if len(d.root.Values) > 0 {
		out = append(out, strings.TrimRight(d.tree.String(), "\n")+"\n"...)
	}
	return out
}

// merge puts lines of "key: value" into the mapping that keys lead to, which is made where it is missing.
func merge(root *ast.MappingNode, keys, lines []string) error {
	at := root
	for len(keys) > 0 {
		next := find(at, keys[0])
		if next == nil {
			break
		}
		at, keys = next, keys[1:]
	}
	var text strings.Builder
	for i, key := range keys {
		fmt.Fprintf(&text, "%s%s:\n", strings.Repeat("  ", i), quoteKey(key))
	}
	for _, line := range lines {
		fmt.Fprintf(&text, "%s%s\n", strings.Repeat("  ", len(keys)), line)
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
		return fmt.Errorf("the mapping at line %d is written in braces, to which nothing can be "+
			"added; write it in lines", p.Line)
	}
	addition.AddColumn(at.Values[0].Key.GetToken().Position.Column - 1)
	for _, pair := range addition.Values {
		if i := slices.IndexFunc(at.Values,
			func(old *ast.MappingValueNode) bool { return keyOf(old) == keyOf(pair) }); i >= 0 {
			at.Values[i].Value = pair.Value
		} else {
			at.Values = append(at.Values, pair)
		}
	}
	return nil
}

func find(m *ast.MappingNode, key string) *ast.MappingNode {
	for _, pair := range m.Values {
		if keyOf(pair) == key {
			value, _ := pair.Value.(*ast.MappingNode)
			return value
		}
	}
	return nil
}

func keyOf(pair *ast.MappingValueNode) string {
	if key, ok := pair.Key.(*ast.StringNode); ok {
		return key.Value
	}
	return ""
}

func quoteKey(key string) string {
	if isAccount(key) {
		return strconv.Quote(key)
	}
	return key
}

// yamlTexts writes a string, or a list of several, as YAML.
func yamlTexts(texts []string) string {
	if len(texts) == 1 {
		return strconv.Quote(texts[0])
	}
	return yamlList(texts)
}

// yamlList writes strings as YAML: in quotes, which never mean anything else.
func yamlList(texts []string) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = strconv.Quote(text)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
