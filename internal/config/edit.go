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

// AccountSettings are what configure writes for an account. Empty fields are left as they are.
type AccountSettings struct {
	Role              []string // a chain
	Profile           string
	Source            string
	Audience          string
	SessionName       string
	SessionDuration   string
	AllowedAccountIDs []string // for the whole file: these accounts too
}

// Setting is one of them that is not empty.
type Setting struct {
	Key   string
	Texts []string
}

// NonEmpty returns those that are for an account, in the order in which the file gets them.
func (s AccountSettings) NonEmpty() (set []Setting) {
	for _, one := range []Setting{
		{"role", s.Role}, {"source", []string{s.Source}}, {"profile", []string{s.Profile}},
		{"audience", []string{s.Audience}},
		{"session_name", []string{s.SessionName}}, {"session_duration", []string{s.SessionDuration}},
	} {
		if len(one.Texts) > 1 || len(one.Texts) == 1 && one.Texts[0] != "" {
			set = append(set, one)
		}
	}
	return set
}

// SetAccounts writes settings for accounts into the file at path, "" being the public registry.
// Order, comments (but those on a value that is replaced) and everything else stay. The settings
// are checked first, the file before and after; one that is missing is made, for its owner alone.
// An error about a setting begins with its flag.
func SetAccounts(path string, accounts []string, s AccountSettings) error {
	var lines []string
	entry := Entry{}
	for _, set := range s.NonEmpty() {
		if err := check(set.Key, set.Texts, quoted); err != nil {
			return fmt.Errorf("--%s %w", strings.ReplaceAll(set.Key, "_", "-"), err)
		}
		lines = append(lines, set.Key+": "+yamlTexts(set.Texts))
		entry[set.Key] = Value{Texts: set.Texts}
	}
	for _, number := range s.AllowedAccountIDs {
		if !isAccount(number) {
			return fmt.Errorf("--allowed-account-ids has %q, which is not an account number; one has "+
				"twelve digits", safetext.Sanitize(number))
		}
	}
	if len(lines) == 0 && len(s.AllowedAccountIDs) == 0 {
		return nil
	}
	return edit(path, func(root *ast.MappingNode) error {
		if err := allow(root, s.AllowedAccountIDs); err != nil {
			return err
		}
		if len(lines) == 0 {
			return nil
		}
		for _, account := range accounts {
			keys := []string{"public"}
			if account != "" {
				keys = []string{"accounts", account}
			}
			if err := merge(root, keys, lines); err != nil {
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

// allow adds to the list of allowed_account_ids. Where there is none every account is allowed, and
// then these alone are.
func allow(root *ast.MappingNode, numbers []string) error {
	var list *ast.SequenceNode
	var there []string
	for _, pair := range root.Values {
		if keyOf(pair) != "allowed_account_ids" {
			continue
		}
		list, _ = pair.Value.(*ast.SequenceNode) // reading the file has made sure
		for _, item := range list.Values {
			number, err := reader{}.text(item, "an account number")
			if err != nil {
				return err
			}
			there = append(there, number)
		}
	}
	numbers = slices.DeleteFunc(slices.Clone(numbers),
		func(number string) bool { return slices.Contains(there, number) })
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
	list.Merge(body(tree).(*ast.SequenceNode)) // as it was written just above
	return nil
}

// CredsStore reads the file's creds_store; "" when it has none, or is not there.
func CredsStore(path string) (string, error) {
	f, err := readAt(path)
	return f.CredsStore, err
}

// readAt reads and checks the file at path; one that is not there says nothing.
func readAt(path string) (File, error) {
	b, err := readAll(path)
	if errors.Is(err, fs.ErrNotExist) {
		return File{}, nil
	}
	if err != nil {
		return File{}, fmt.Errorf("reading %s: %w", path, unpath(err))
	}
	return parse(path, b)
}

// SetCredsStore writes the file's creds_store; "" takes it out.
func SetCredsStore(path, name string) error {
	if name != "" {
		if err := checkStore(name); err != nil {
			return fmt.Errorf("creds_store %w", err)
		}
	}
	return edit(path, func(root *ast.MappingNode) error {
		if name != "" {
			return merge(root, nil, []string{"creds_store: " + strconv.Quote(name)})
		}
		for i, pair := range root.Values {
			if keyOf(pair) == "creds_store" {
				root.Values = append(root.Values[:i], root.Values[i+1:]...)
				break
			}
		}
		return nil
	}, func(f *File) { f.CredsStore = name })
}

// set puts settings into the entry of an account, "" being the public registry.
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

// settings is everything that the file says, by what it is said of; not where.
func (f File) settings() map[string][]string {
	all := map[string][]string{
		"creds_store": {f.CredsStore},
		"allowed":     slices.Sorted(maps.Keys(f.Allowed)),
		"allows all":  {fmt.Sprint(f.Allowed == nil)},
	}
	add := func(place string, e Entry) {
		for key, value := range e {
			all[place+" "+key] = value.Texts
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

// edit changes the file at path. Before anything is written, what the new text says is compared
// with what the old one said and what expect makes of that.
func edit(path string, change func(root *ast.MappingNode) error, expect func(*File)) error {
	file, err := atomicfile.ResolveSymlinks(path)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	old, fi, err := atomicfile.Read(file, MaxSize)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return fmt.Errorf("writing %s: %w", path, unpath(err))
		}
	case err != nil:
		return fmt.Errorf("reading %s: %w", path, unpath(err))
	}
	before, err := parse(path, old)
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
	after, err := parse(path, out)
	if err != nil {
		return fmt.Errorf("writing %s: it cannot be edited as it is written; please edit it by hand", path)
	}
	expect(&before)
	if !reflect.DeepEqual(before.settings(), after.settings()) {
		return fmt.Errorf("writing %s: the edit would change something else; please edit it by hand", path)
	}
	if fi != nil {
		err = atomicfile.Replace(file, out, fi)
	} else {
		err = atomicfile.Write(file, out, 0o600)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, unpath(err))
	}
	return nil
}
