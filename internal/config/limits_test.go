package config

import (
	"strings"
	"testing"
)

// TestLengthLimits checks that the shortest and the longest value that AWS accepts are accepted.
func TestLengthLimits(t *testing.T) {
	const arn = "arn:aws:iam::123456789012:role/"
	policy := func(size int) string {
		const begin, end = `{"Statement":[{"Sid":"`, `"}]}`
		return begin + strings.Repeat("x", size-len(begin)-len(end)) + end
	}
	text := func(size int) string { return strings.Repeat("x", size) }
	for _, tt := range []struct {
		name, key         string
		value             func(size int) string
		shortest, longest int
	}{
		{"session name", "session_name", text, 2, 64},
		{"external id", "external_id", text, 2, 1224},
		{"session policy", "session_policy", policy, 100, 2048},
		{"role name", "role", text, 1, 512},
		{"role ARN", "role", func(size int) string { return arn + text(size-len(arn)) },
			len(arn) + 1, 2048},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, size := range []int{tt.shortest, tt.longest} {
				if err := check(tt.key, []string{tt.value(size)}, quoteAny); err != nil {
					t.Errorf("%d characters: %v", size, err)
				}
			}
			if err := check(tt.key, []string{tt.value(tt.longest + 1)}, quoteAny); err == nil {
				t.Errorf("%d characters are accepted", tt.longest+1)
			}
			if tt.shortest == 2 && check(tt.key, []string{tt.value(1)}, quoteAny) == nil {
				t.Error("1 character is accepted")
			}
		})
	}
}

// TestCharacterLimits checks the first and the last letter and digit, and their neighbors in ASCII.
func TestCharacterLimits(t *testing.T) {
	if !onlyChars("azAZ09", "") {
		t.Error("azAZ09 is not accepted")
	}
	for _, char := range "`{@[/:" { // the neighbors of the letters and digits in ASCII
		if onlyChars("x"+string(char), "") {
			t.Errorf("%q is accepted", char)
		}
	}
}

// TestNestingLimit checks that brackets and list dashes are counted, and comments are not.
func TestNestingLimit(t *testing.T) {
	brackets := func(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }
	for _, tt := range []struct {
		name, text string
		want       bool
	}{
		{"deepest", brackets(32), false},
		{"too deep", brackets(33), true},
		{"deepest after others", "{}\n" + brackets(32) + brackets(32), false},
		{"too deep after others", "{}\n" + brackets(33), true},
		{"closed too often", "]]]" + brackets(33), true},
		{"comment", "# " + brackets(33), false},
		{"comment after a value", "a: b # " + brackets(33), false},
		{"comment after a tab", "a: b\t# " + brackets(33), false},
		{"no comment", "a: b#" + brackets(33), true},
		{"list dashes", strings.Repeat("- ", 33) + "x", true},
		{"fewer list dashes", strings.Repeat("- ", 32) + "x", false},
		{"dashes in a text", "a" + strings.Repeat("- ", 33), false},
	} {
		if got := isTooDeep([]byte(tt.text)); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// TestLongNumber checks that the error for a number that is not an account's does not contain it.
func TestLongNumber(t *testing.T) {
	want := "reading f:1:21: audience must be a string; put it in quotes"
	_, err := parse("f", []byte("default: {audience: 1234567890123456}"))
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
