package lazyregexp

import (
	"slices"
	"testing"
)

func TestRegexp(t *testing.T) {
	r := New(`^([a-z]+)-([0-9]+)$`)
	if !r.MatchString("eu-2") || r.MatchString("2") {
		t.Error("MatchString")
	}
	if m := r.FindStringSubmatch("eu-2"); !slices.Equal(m, []string{"eu-2", "eu", "2"}) {
		t.Error(m)
	}
	if s := r.ReplaceAllLiteralString("eu-2", "$1"); s != "$1" {
		t.Error(s)
	}
}

// What is no expression is found out when it is used, and not before.
func TestBroken(t *testing.T) {
	broken := New(`[`)
	defer func() {
		if recover() == nil {
			t.Error("it matched")
		}
	}()
	broken.MatchString("")
}
