package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/atomicfile"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/safetext"
)

// AccountSettings are the settings that configure writes to the file. An empty field is not written.
type AccountSettings struct {
	Role              []string // a role chain
	Profile           string
	Source            string
	Audience          string
	SessionName       string
	SessionDuration   string
	AllowedAccountIDs []string // added to allowed_account_ids, which applies to the whole file
}

// KeyValue is a key of an entry and its value.
type KeyValue struct {
	Key   string
	Texts []string // a role chain; exactly one text for every other key
}

// all returns the settings of an account, in the order in which they are written.
func (s AccountSettings) all() []KeyValue {
	return []KeyValue{
		{"role", s.Role},
		{"source", []string{s.Source}},
		{"profile", []string{s.Profile}},
		{"audience", []string{s.Audience}},
		{"session_name", []string{s.SessionName}},
		{"session_duration", []string{s.SessionDuration}},
	}
}

// NonEmpty returns the settings of an account that are not empty, in the order in which they are
// written.
func (s AccountSettings) NonEmpty() (pairs []KeyValue) {
	for _, pair := range s.all() {
		if len(pair.Texts) > 1 || len(pair.Texts) == 1 && pair.Texts[0] != "" {
			pairs = append(pairs, pair)
		}
	}
	return pairs
}

// SetAccounts writes settings for accounts to the file at path. The account "" is the public
// registry. The error for an invalid setting starts with its flag.
//
// SetAccounts preserves the order, the comments and all other settings of the file, except for
// comments on a value that it replaces. It validates the settings, the current file and the edited
// file before it writes. It creates a missing file with mode 0600. It does not lock the file; the
// caller must prevent concurrent edits.
func SetAccounts(path string, accounts []string, s AccountSettings) error {
	var lines []string
	entry := Entry{}
	for _, setting := range s.NonEmpty() {
		if err := check(setting.Key, setting.Texts, quoteAny); err != nil {
			return fmt.Errorf("--%s %w", strings.ReplaceAll(setting.Key, "_", "-"), err)
		}
		lines = append(lines, setting.Key+": "+yamlValue(setting.Texts))
		entry[setting.Key] = Value{Texts: setting.Texts}
	}
	for _, number := range s.AllowedAccountIDs {
		if !isAccount(number) {
			return fmt.Errorf("--allowed-account-ids has %q, which is not an account number; "+
				"it must have twelve digits", safetext.Sanitize(number))
		}
	}
	if len(lines) == 0 && len(s.AllowedAccountIDs) == 0 {
		return nil
	}
	return edit(path, func(root *ast.MappingNode) error {
		if err := addAllowed(root, s.AllowedAccountIDs); err != nil {
			return err
		}
		if len(lines) == 0 {
			return nil
		}
		for _, account := range accounts {
			if err := merge(root, entryPath(account), lines); err != nil {
				return err
			}
		}
		return nil
	}, func(f *File) {
		for _, account := range accounts {
			f.set(account, entry)
		}
		for _, number := range s.AllowedAccountIDs {
			if f.Allowed == nil {
				f.Allowed = map[string]bool{}
			}
			f.Allowed[number] = true
		}
	})
}

// addAllowed adds account numbers to allowed_account_ids. Without that key, every account is allowed;
// addAllowed then creates the key, and only these accounts are allowed.
func addAllowed(root *ast.MappingNode, numbers []string) error {
	var list *ast.SequenceNode
	var existing []string
	for _, pair := range root.Values {
		if keyOf(pair) != "allowed_account_ids" {
			continue
		}
		list, _ = pair.Value.(*ast.SequenceNode) // parse has checked the type
		for _, item := range list.Values {
			number, err := decoder{}.text(item, "an account number")
			if err != nil {
				return err
			}
			existing = append(existing, number)
		}
	}
	numbers = slices.DeleteFunc(slices.Clone(numbers),
		func(number string) bool { return slices.Contains(existing, number) })
	if len(numbers) == 0 {
		return nil
	}
	if list == nil {
		return merge(root, nil, []string{"allowed_account_ids: " + yamlList(numbers)})
	}
	tree, err := parser.ParseBytes([]byte(yamlList(numbers)), 0)
	if err != nil {
		return err
	}
	list.Merge(body(tree).(*ast.SequenceNode)) // yamlList has returned a list
	return nil
}

// CredsStore returns creds_store of the file at path, or "" if the key or the file is missing.
func CredsStore(path string) (string, error) {
	f, err := readOptional(path)
	return f.CredsStore, err
}

// SetCredsStore writes creds_store to the file at path. If name is "", it removes the key.
func SetCredsStore(path, name string) error {
	if name != "" {
		if err := checkCredsStore(name); err != nil {
			return fmt.Errorf("creds_store %w", err)
		}
	}
	return edit(path, func(root *ast.MappingNode) error {
		if name != "" {
			return merge(root, nil, []string{"creds_store: " + strconv.Quote(name)})
		}
		removeKeys(root, nil, []string{"creds_store"})
		return nil
	}, func(f *File) { f.CredsStore = name })
}

// set merges settings into the entry of an account. The account "" is the public registry.
func (f *File) set(account string, settings Entry) {
	if account == "" {
		if f.Public == nil {
			f.Public = Entry{}
		}
		maps.Copy(f.Public, settings)
		return
	}
	a := f.Accounts[account]
	if a.Entry == nil {
		a.Entry = Entry{}
	}
	maps.Copy(a.Entry, settings)
	if f.Accounts == nil {
		f.Accounts = map[string]Account{}
	}
	f.Accounts[account] = a
}

// flatten returns all settings of the file, without their line numbers, to compare two files. The
// keys of the map consist of the entry and the key, such as "123456789012 role".
func (f File) flatten() map[string][]string {
	all := map[string][]string{
		"creds_store": {f.CredsStore},
		"allowed":     slices.Sorted(maps.Keys(f.Allowed)),
		"allows all":  {fmt.Sprint(f.Allowed == nil)},
	}
	add := func(name string, e Entry) {
		for key, value := range e {
			all[name+" "+key] = value.Texts
		}
	}
	add("default", f.Default)
	add("public", f.Public)
	for number, a := range f.Accounts {
		add(number, a.Entry)
		for region, e := range a.Regions {
			add(number+" "+region, e)
		}
	}
	return all
}

// edit edits the file at path. change edits the YAML tree, and expect makes the same edit to the
// parsed File. If the edited text does not parse as the expected File, edit returns an error and
// writes nothing. This detects files that the YAML library does not edit correctly.
func edit(path string, change func(root *ast.MappingNode) error, expect func(*File)) error {
	target, err := atomicfile.ResolveSymlinks(path)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	old, fi, err := atomicfile.Read(target, MaxSize)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			return fmt.Errorf("writing %s: %w", path, withoutPath(err))
		}
	case err != nil:
		return fmt.Errorf("reading %s: %w", path, withoutPath(err))
	}
	want, err := parse(path, old)
	if err != nil {
		return err
	}
	doc, err := parseDocument(path, old)
	if err != nil {
		return err
	}
	if err := change(doc.root); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	out := doc.text()
	if len(out) > MaxSize {
		return fmt.Errorf("writing %s: it would be larger than %d KiB", path, MaxSize>>10)
	}
	got, err := parse(path, out)
	if err != nil {
		return fmt.Errorf("writing %s: configure cannot edit this file; edit it by hand", path)
	}
	expect(&want)
	if !reflect.DeepEqual(want.flatten(), got.flatten()) {
		return fmt.Errorf("writing %s: the edit would change other settings; edit it by hand",
			path)
	}
	if fi != nil {
		err = atomicfile.Replace(target, out, fi)
	} else {
		err = atomicfile.Write(target, out, 0o600)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, withoutPath(err))
	}
	return nil
}
