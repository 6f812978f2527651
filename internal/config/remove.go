package config

import (
	"slices"

	"github.com/goccy/go-yaml/ast"
)

// allowedKey is the key of the list of allowed accounts.
const allowedKey = "allowed_account_ids"

// Removal describes what RemoveAccounts does for an account.
type Removal struct {
	Account string   // "" for the public registry
	Removed []string // keys of the entry; allowed_account_ids if the account is removed from that list
	Kept    []string // all other keys of the account
}

// PlanRemoval returns what RemoveAccounts would remove from the file at path: all settings of these
// accounts that configure can write. It omits accounts without settings. It does not remove
// the last account from allowed_account_ids: an empty list allows no account, and without the key
// every account is allowed. It writes nothing. A missing file is not an error.
func PlanRemoval(path string, accounts []string) (plan []Removal, err error) {
	f, err := readOptional(path)
	if err != nil {
		return nil, err
	}
	othersAllowed := false
	for number := range f.Allowed {
		othersAllowed = othersAllowed || !slices.Contains(accounts, number)
	}
	var writable []string
	for _, setting := range (AccountSettings{}).all() {
		writable = append(writable, setting.Key)
	}
	for _, account := range accounts {
		removal := Removal{Account: account}
		entry := f.Accounts[account].Entry
		if account == "" {
			entry = f.Public
		}
		for _, key := range entryKeys {
			switch _, set := entry[key]; {
			case set && slices.Contains(writable, key):
				removal.Removed = append(removal.Removed, key)
			case set:
				removal.Kept = append(removal.Kept, key)
			}
		}
		if len(f.Accounts[account].Regions) > 0 {
			removal.Kept = append(removal.Kept, "regions")
		}
		switch {
		case f.Allowed[account] && othersAllowed:
			removal.Removed = append(removal.Removed, allowedKey)
		case f.Allowed[account]:
			removal.Kept = append(removal.Kept, allowedKey)
		}
		if len(removal.Removed)+len(removal.Kept) > 0 {
			plan = append(plan, removal)
		}
	}
	return plan, nil
}

// RemoveAccounts removes the settings of a plan from the file at path. Like SetAccounts, it preserves
// all other settings, and does not lock the file.
func RemoveAccounts(path string, plan []Removal) error {
	plan = slices.DeleteFunc(slices.Clone(plan), func(r Removal) bool { return len(r.Removed) == 0 })
	if len(plan) == 0 {
		return nil
	}
	return edit(path, func(root *ast.MappingNode) error {
		for _, r := range plan {
			removeKeys(root, entryPath(r.Account), r.Removed)
			if slices.Contains(r.Removed, allowedKey) {
				removeAllowed(root, r.Account)
			}
		}
		return nil
	}, func(f *File) {
		for _, r := range plan {
			for _, key := range r.Removed {
				if r.Account == "" {
					delete(f.Public, key)
				} else {
					delete(f.Accounts[r.Account].Entry, key)
				}
			}
			if slices.Contains(r.Removed, allowedKey) {
				delete(f.Allowed, r.Account)
			}
		}
	})
}

// entryPath returns the keys that lead to the entry of an account. The account "" is the public
// registry.
func entryPath(account string) []string {
	if account == "" {
		return []string{"public"}
	}
	return []string{"accounts", account}
}

// removeKeys removes keys from the mapping at a path of keys. It also removes the mappings of the path
// that are empty then.
func removeKeys(m *ast.MappingNode, path, keys []string) {
	if len(path) > 0 {
		child := findMapping(m, path[0])
		if child == nil {
			return
		}
		removeKeys(child, path[1:], keys)
		if len(child.Values) > 0 {
			return
		}
		keys = path[:1]
	}
	m.Values = slices.DeleteFunc(m.Values,
		func(pair *ast.MappingValueNode) bool { return slices.Contains(keys, keyOf(pair)) })
}

// removeAllowed removes an account number from allowed_account_ids.
func removeAllowed(root *ast.MappingNode, account string) {
	for _, pair := range root.Values {
		list, ok := pair.Value.(*ast.SequenceNode)
		if !ok || keyOf(pair) != allowedKey {
			continue
		}
		for i := len(list.Values) - 1; i >= 0; i-- {
			if number, err := (decoder{}).text(list.Values[i], ""); err != nil || number != account {
				continue
			}
			if len(list.ValueHeadComments) == len(list.Values) {
				list.ValueHeadComments = slices.Delete(list.ValueHeadComments, i, i+1)
			}
			list.Values = slices.Delete(list.Values, i, i+1)
		}
	}
}
