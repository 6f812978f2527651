package config

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

var (
	regionPattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}$`)
	})
	helperPattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]*$`)
	})
)

// parse parses and validates the text of the file. It is strict: an unknown key, a duplicate key, a
// value of the wrong type, an anchor, an alias and a tag are errors with the line and the column. An
// account number must be a string, because YAML reads an unquoted 012345670123 as the octal number
// 1402433619.
func parse(path string, b []byte) (File, error) {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")) // the byte order mark of Windows editors
	// The YAML parser accepts other encodings, but an edit would corrupt the text.
	if !utf8.Valid(b) {
		return File{}, fmt.Errorf("reading %s: it is not valid UTF-8", path)
	}
	if line, found := findExtraMarker(b); found {
		return File{}, fmt.Errorf("reading %s:%d:1: only one YAML document is allowed, "+
			"and only comments and one --- before it", path, line)
	}
	if isTooDeep(b) {
		return File{}, fmt.Errorf("reading %s: it is nested more than %d levels deep", path,
			maxDepth)
	}
	// decoder.pairs reports duplicate keys, because the parser's error for them quotes the key.
	tree, err := parser.ParseBytes(b, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return File{}, syntaxError(path, err)
	}
	d := decoder{path}
	var f File
	root := body(tree)
	if root == nil {
		return f, nil
	}
	err = d.mapping(root, "the file", map[string]func(ast.Node) error{
		"default":             into(&f.Default, d.entry),
		"accounts":            into(&f.Accounts, d.accounts),
		"public":              into(&f.Public, d.entry),
		"allowed_account_ids": into(&f.Allowed, d.allowed),
		"creds_store":         into(&f.CredsStore, d.credsStore),
	})
	return f, err
}

// into returns a function that decodes a node and stores the result in v.
func into[T any](v *T, decode func(ast.Node) (T, error)) func(ast.Node) error {
	return func(n ast.Node) (err error) {
		*v, err = decode(n)
		return err
	}
}

// decoder converts YAML nodes to settings. Its errors name the file, the line and the column.
type decoder struct{ path string }

func (d decoder) errorf(n ast.Node, format string, args ...any) error {
	p := n.GetToken().Position
	text := fmt.Sprintf(format, args...)
	return fmt.Errorf("reading %s:%d:%d: %s", d.path, p.Line, p.Column, text)
}

// keySuffix returns " " and the key in quotes, to append to a message. It returns "" if the text
// does not look like a key, because it may be a secret from another file.
func keySuffix(key string) string {
	if len(key) > 32 || strings.Trim(key, "abcdefghijklmnopqrstuvwxyz_-") != "" {
		return ""
	}
	return " " + strconv.Quote(key)
}

// numberSuffix returns " " and the number, to append to a message. It returns "" if the text does
// not look like an account number, because it may be a secret from another file.
func numberSuffix(number string) string {
	if len(number) > 14 || strings.Trim(number, "0123456789") != "" {
		return ""
	}
	return " " + number
}

// mapping decodes a mapping with a fixed set of keys. name describes the mapping in errors.
func (d decoder) mapping(n ast.Node, name string, fields map[string]func(ast.Node) error) error {
	return d.pairs(n, name, func(key string, keyNode, value ast.Node) error {
		decode, ok := fields[key]
		if !ok {
			return d.errorf(keyNode, "unknown key%s", describeUnknownKey(key,
				slices.Sorted(maps.Keys(fields))))
		}
		return decode(value)
	})
}

// pairs calls f for each key of a mapping. name describes the mapping in errors.
func (d decoder) pairs(n ast.Node, name string,
	f func(key string, keyNode, value ast.Node) error) error {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		return d.errorf(n, "%s must be a mapping of keys to values", name)
	}
	seen := map[string]bool{}
	for _, pair := range m.Values {
		key, ok := pair.Key.(*ast.StringNode)
		if !ok {
			return d.errorf(pair.Key, "the key%s must be a string in quotes",
				numberSuffix(pair.Key.GetToken().Value))
		}
		if seen[key.Value] {
			return d.errorf(key, "duplicate key%s",
				cmp.Or(keySuffix(key.Value), numberSuffix(key.Value)))
		}
		seen[key.Value] = true
		if err := f(key.Value, key, pair.Value); err != nil {
			return err
		}
	}
	return nil
}

func (d decoder) accounts(n ast.Node) (map[string]Account, error) {
	accounts := map[string]Account{}
	err := d.pairs(n, "accounts", func(number string, keyNode, value ast.Node) error {
		if !isAccount(number) {
			return d.errorf(keyNode, "the key%s is not an account number; "+
				"it must have twelve digits", numberSuffix(number))
		}
		var regions map[string]Entry
		entry, err := d.entryWith(value, into(&regions, d.regions))
		accounts[number] = Account{Entry: entry, Regions: regions}
		return err
	})
	return accounts, err
}

func (d decoder) regions(n ast.Node) (map[string]Entry, error) {
	regions := map[string]Entry{}
	err := d.pairs(n, "regions", func(region string, keyNode, value ast.Node) (err error) {
		if !regionPattern().MatchString(region) {
			return d.errorf(keyNode, "%s is not the name of a region, such as eu-west-2",
				quotePlausible(region, "-", 32, "the key"))
		}
		regions[region], err = d.entry(value)
		return err
	})
	return regions, err
}

// entry decodes and validates an entry without regions.
func (d decoder) entry(n ast.Node) (Entry, error) { return d.entryWith(n, nil) }

// entryWith decodes and validates an entry. regions decodes its key "regions". If regions is nil, the
// entry must not have that key.
func (d decoder) entryWith(n ast.Node, regions func(ast.Node) error) (Entry, error) {
	e := Entry{}
	fields := map[string]func(ast.Node) error{}
	for _, key := range entryKeys {
		fields[key] = func(n ast.Node) (err error) { e[key], err = d.value(key, n); return err }
	}
	if regions != nil {
		fields["regions"] = regions
	}
	if err := d.mapping(n, "an entry", fields); err != nil {
		return nil, err
	}
	file, source := e["token_file"], e["source"]
	if file.isSet() && source.isSet() && source.Texts[0] != "file" {
		const format = "reading %s: token_file requires source: file, but source is %q (%s)"
		return nil, fmt.Errorf(format, file.From, source.Texts[0], source.From)
	}
	return e, nil
}

// value decodes and validates the value of a key of an entry.
func (d decoder) value(key string, n ast.Node) (Value, error) {
	v := Value{From: fmt.Sprintf("%s:%d", d.path, n.GetToken().Position.Line)}
	if list, ok := n.(*ast.SequenceNode); ok && key == "role" {
		if len(list.Values) == 0 {
			return v, d.errorf(n, "role is an empty list")
		}
		for _, role := range list.Values {
			text, err := d.text(role, "a role of the chain")
			if err != nil {
				return v, err
			}
			v.Texts = append(v.Texts, text)
		}
	} else {
		text, err := d.text(n, key)
		if err != nil {
			return v, err
		}
		v.Texts = []string{text}
	}
	if err := check(key, v.Texts, quotePlausible); err != nil {
		return v, d.errorf(n, "%s %v", key, err)
	}
	return v, nil
}

// text decodes a string. It also accepts a number for session_duration. name describes the value in
// errors.
func (d decoder) text(n ast.Node, name string) (string, error) {
	text := ""
	switch n := n.(type) {
	case *ast.StringNode:
		text = n.Value
	case *ast.LiteralNode:
		text = n.Value.Value
	case *ast.IntegerNode:
		if name != "session_duration" {
			return "", d.errorf(n, "%s must be a string; put%s in quotes",
				name, cmp.Or(numberSuffix(n.GetToken().Value), " it"))
		}
		text = n.GetToken().Value
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		return "", d.errorf(n, "anchors, aliases and tags are not allowed")
	default:
		return "", d.errorf(n, "%s must be a string", name)
	}
	if text = strings.TrimSpace(text); text == "" {
		return "", d.errorf(n, "%s is empty", name)
	}
	return text, nil
}

func (d decoder) allowed(n ast.Node) (map[string]bool, error) {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		return nil, d.errorf(n, "allowed_account_ids must be a list")
	}
	allowed := map[string]bool{}
	for _, item := range list.Values {
		number, err := d.text(item, "an account number")
		if err != nil {
			return nil, err
		}
		if !isAccount(number) {
			return nil, d.errorf(item, "the value%s is not an account number; "+
				"it must have twelve digits", numberSuffix(number))
		}
		allowed[number] = true
	}
	return allowed, nil
}

func (d decoder) credsStore(n ast.Node) (string, error) {
	name, err := d.text(n, "creds_store")
	if err != nil {
		return "", err
	}
	if err := checkCredsStore(name); err != nil {
		return "", d.errorf(n, "creds_store %v", err)
	}
	return name, nil
}

// HelperName is the name of this helper in Docker's configuration: the name of the binary without the
// prefix "docker-credential-".
const HelperName = "ecr-oidc"

// IsHelperName reports whether name can be the name of a credential helper. Docker appends that name
// to "docker-credential-" and runs the result as a command.
func IsHelperName(name string) bool { return helperPattern().MatchString(name) }

// checkCredsStore validates the value of creds_store. The error is a predicate; see check.
func checkCredsStore(name string) error {
	if !IsHelperName(name) || name == HelperName {
		return fmt.Errorf("is %s; it must be the name of another helper, "+
			"such as desktop for docker-credential-desktop",
			quotePlausible(name, "._/-", 64, "invalid"))
	}
	return nil
}
