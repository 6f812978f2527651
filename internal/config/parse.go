package config

import (
	"bytes"
	"cmp"
	"fmt"
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
	regionName = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}$`)
	})
	helperName = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]*$`)
	})
)

// parse reads the file's text. It is strict: a key that is unknown or there twice, a value of
// another kind, an account that is not a string (unquoted, 012345670123 would be the number
// 1402433619 to a YAML reader), an anchor, an alias or a tag is an error with its line and column.
func parse(path string, b []byte) (File, error) {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")) // as Windows' editors begin a file
	if !utf8.Valid(b) {                             // the parser takes it, and an edit would lose what it says
		return File{}, fmt.Errorf("reading %s: it is not UTF-8", path)
	}
	if line, bad := markers(b); bad {
		return File{}, fmt.Errorf("reading %s:%d:1: there may be one document, with nothing before "+
			"it but comments and one ---", path, line)
	}
	if nested(b) {
		return File{}, fmt.Errorf("reading %s: it nests deeper than %d levels", path, deepest)
	}
	// The parser's own error about a duplicate key quotes it; reader.pairs finds them too.
	tree, err := parser.ParseBytes(b, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return File{}, syntax(path, err)
	}
	r := reader{path}
	var f File
	body := body(tree)
	if body == nil {
		return f, nil
	}
	err = r.mapping(body, "the file", map[string]func(ast.Node) error{
		"default":             func(n ast.Node) (err error) { f.Default, err = r.entry(n, nil); return },
		"accounts":            func(n ast.Node) (err error) { f.Accounts, err = r.accounts(n); return err },
		"public":              func(n ast.Node) (err error) { f.Public, err = r.entry(n, nil); return err },
		"allowed_account_ids": func(n ast.Node) (err error) { f.Allowed, err = r.allowed(n); return err },
		"creds_store":         func(n ast.Node) (err error) { f.CredsStore, err = r.store(n); return err },
	})
	return f, err
}

// reader turns nodes into settings, and into errors that say where.
type reader struct{ path string }

func (r reader) errorf(n ast.Node, format string, args ...any) error {
	p := n.GetToken().Position
	return fmt.Errorf("reading %s:%d:%d: %s", r.path, p.Line, p.Column, fmt.Sprintf(format, args...))
}

// quotedKey returns a space and the key in quotes, or "" for text that does not look like a key.
func quotedKey(key string) string {
	if len(key) > 32 || strings.Trim(key, "abcdefghijklmnopqrstuvwxyz_-") != "" {
		return ""
	}
	return " " + strconv.Quote(key)
}

// quotedNumber returns a space and the number, or "" for text that does not look like an account's.
func quotedNumber(number string) string {
	if len(number) > 14 || strings.Trim(number, "0123456789") != "" {
		return ""
	}
	return " " + number
}

// mapping reads a mapping whose keys are all known.
func (r reader) mapping(n ast.Node, what string, known map[string]func(ast.Node) error) error {
	return r.pairs(n, what, func(key string, at, value ast.Node) error {
		read, ok := known[key]
		if !ok {
			names := make([]string, 0, len(known))
			for name := range known {
				names = append(names, name)
			}
			slices.Sort(names)
			return r.errorf(at, "unknown key%s; allowed are %s", quotedKey(key), strings.Join(names, ", "))
		}
		return read(value)
	})
}

// pairs calls f for each key of a mapping.
func (r reader) pairs(n ast.Node, what string, f func(key string, at, value ast.Node) error) error {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		return r.errorf(n, "%s must be a mapping of keys to values", what)
	}
	seen := map[string]bool{}
	for _, pair := range m.Values {
		key, ok := pair.Key.(*ast.StringNode)
		if !ok {
			return r.errorf(pair.Key, "the key%s must be a string in quotes",
				quotedNumber(pair.Key.GetToken().Value))
		}
		if seen[key.Value] {
			return r.errorf(key, "the key%s is there twice",
				cmp.Or(quotedKey(key.Value), quotedNumber(key.Value)))
		}
		seen[key.Value] = true
		if err := f(key.Value, key, pair.Value); err != nil {
			return err
		}
	}
	return nil
}

func (r reader) accounts(n ast.Node) (map[string]Account, error) {
	accounts := map[string]Account{}
	err := r.pairs(n, "accounts", func(number string, at, value ast.Node) error {
		if !isAccount(number) {
			return r.errorf(at, "the key%s is not an account number, which has twelve digits",
				quotedNumber(number))
		}
		var regions map[string]Entry
		entry, err := r.entry(value,
			func(n ast.Node) (err error) { regions, err = r.regions(n); return err })
		accounts[number] = Account{Entry: entry, Regions: regions}
		return err
	})
	return accounts, err
}

func (r reader) regions(n ast.Node) (map[string]Entry, error) {
	regions := map[string]Entry{}
	err := r.pairs(n, "regions", func(region string, at, value ast.Node) (err error) {
		if !regionName().MatchString(region) {
			return r.errorf(at, "%s is not a region, such as eu-west-2",
				quotedIfLike(region, "-", 32, "the key"))
		}
		regions[region], err = r.entry(value, nil)
		return err
	})
	return regions, err
}

// entry reads the settings of one place, and checks each by itself.
func (r reader) entry(n ast.Node, regions func(ast.Node) error) (Entry, error) {
	e := Entry{}
	known := map[string]func(ast.Node) error{}
	for _, key := range keys {
		known[key] = func(n ast.Node) (err error) { e[key], err = r.value(key, n); return err }
	}
	if regions != nil {
		known["regions"] = regions
	}
	if err := r.mapping(n, "an entry", known); err != nil {
		return nil, err
	}
	file, source := e["token_file"], e["source"]
	if file.set() && source.set() && source.Texts[0] != "file" {
		return nil, fmt.Errorf("reading %s: token_file goes with source: file, and source is %q (%s)",
			file.From,
			source.Texts[0], source.From)
	}
	return e, nil
}

func (r reader) value(key string, n ast.Node) (Value, error) {
	v := Value{From: fmt.Sprintf("%s:%d", r.path, n.GetToken().Position.Line)}
	if list, ok := n.(*ast.SequenceNode); ok && key == "role" {
		if len(list.Values) == 0 {
			return v, r.errorf(n, "role has no link in its chain")
		}
		for _, link := range list.Values {
			text, err := r.text(link, "a link of a role's chain")
			if err != nil {
				return v, err
			}
			v.Texts = append(v.Texts, text)
		}
	} else {
		text, err := r.text(n, key)
		if err != nil {
			return v, err
		}
		v.Texts = []string{text}
	}
	if err := check(key, v.Texts, quotedIfLike); err != nil {
		return v, r.errorf(n, "%s %v", key, err)
	}
	return v, nil
}

// text reads a string. A duration may be written as a number of seconds.
func (r reader) text(n ast.Node, what string) (string, error) {
	text := ""
	switch n := n.(type) {
	case *ast.StringNode:
		text = n.Value
	case *ast.LiteralNode:
		text = n.Value.Value
	case *ast.IntegerNode:
		if what != "session_duration" {
			return "", r.errorf(n, "%s must be a string; put%s in quotes",
				what, cmp.Or(quotedNumber(n.GetToken().Value), " it"))
		}
		text = n.GetToken().Value
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		return "", r.errorf(n, "anchors, aliases and tags are not allowed")
	default:
		return "", r.errorf(n, "%s must be a string", what)
	}
	if text = strings.TrimSpace(text); text == "" {
		return "", r.errorf(n, "%s is empty", what)
	}
	return text, nil
}

func (r reader) allowed(n ast.Node) (map[string]bool, error) {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		return nil, r.errorf(n, "allowed_account_ids must be a list")
	}
	allowed := map[string]bool{}
	for _, item := range list.Values {
		number, err := r.text(item, "an account number")
		if err != nil {
			return nil, err
		}
		if !isAccount(number) {
			return nil, r.errorf(item, "the value%s is not an account number, which has twelve digits",
				quotedNumber(number))
		}
		allowed[number] = true
	}
	return allowed, nil
}

func (r reader) store(n ast.Node) (string, error) {
	name, err := r.text(n, "creds_store")
	if err == nil {
		if wrong := checkStore(name); wrong != nil {
			err = r.errorf(n, "creds_store %v", wrong)
		}
	}
	return name, err
}

// HelperName is the name of this helper in Docker's configuration: the binary's name without its
// prefix "docker-credential-".
const HelperName = "ecr-oidc"

// IsHelperName says whether name can be a helper's, which becomes part of a command's.
func IsHelperName(name string) bool { return helperName().MatchString(name) }

// checkStore says what is wrong with a creds_store, in words that follow that.
func checkStore(name string) error {
	if !IsHelperName(name) || name == HelperName {
		return fmt.Errorf("is %s; it must be the name of another helper, such as desktop for "+
			"docker-credential-desktop", quotedIfLike(name, "._/-", 64, "invalid"))
	}
	return nil
}
