package config

import (
	"reflect"
	"testing"
)

// TestSettingsCompare checks that files with different settings compare as different. An edit is
// written only if no other setting changes.
func TestSettingsCompare(t *testing.T) {
	texts := []string{
		"",
		"default: {role: ci}",
		"default: {role: [ci, next]}",
		"default: {audience: ci}",
		"public: {role: ci}",
		`accounts: {"123456789012": {role: ci}}`,
		`accounts: {"123456789012": {regions: {eu-west-2: {role: ci}}}}`,
		`accounts: {"123456789012": {regions: {eu-west-1: {role: ci}}}}`,
		"allowed_account_ids: []",
		`allowed_account_ids: ["123456789012"]`,
		`allowed_account_ids: ["123456789012", "210987654321"]`,
		"creds_store: desktop",
	}
	for i, a := range texts {
		for j, b := range texts {
			fileA, errA := parse("a", []byte(a))
			fileB, errB := parse("b", []byte(b))
			if errA != nil || errB != nil {
				t.Fatal(errA, errB)
			}
			if equal := reflect.DeepEqual(fileA.flatten(), fileB.flatten()); equal != (i == j) {
				t.Errorf("%s and %s: equal %v", a, b, equal)
			}
		}
	}
}

// TestEmptyCredsStore checks that the error for an empty name contains the key.
func TestEmptyCredsStore(t *testing.T) {
	want := "reading f:1:14: creds_store is empty"
	if _, err := parse("f", []byte("creds_store: ''")); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
