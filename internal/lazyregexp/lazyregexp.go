// Package lazyregexp has regular expressions that are compiled when they are first used. A get that the cache answers
// uses few of this program's, and compiling all of them took a twentieth of its time. (cmd/go has a package of this name
// for the same reason.)
package lazyregexp

import (
	"regexp"
	"sync"
)

// Regexp is a regular expression, for any number of goroutines. Its first use panics where it is none.
type Regexp struct {
	expr string
	once sync.Once
	rx   *regexp.Regexp
}

// New returns the regular expression and does not look at it.
func New(expr string) *Regexp { return &Regexp{expr: expr} }

func (r *Regexp) compiled() *regexp.Regexp {
	r.once.Do(func() { r.rx = regexp.MustCompile(r.expr) })
	return r.rx
}

// MatchString is regexp's.
func (r *Regexp) MatchString(s string) bool { return r.compiled().MatchString(s) }

// FindStringSubmatch is regexp's.
func (r *Regexp) FindStringSubmatch(s string) []string { return r.compiled().FindStringSubmatch(s) }

// ReplaceAllLiteralString is regexp's.
func (r *Regexp) ReplaceAllLiteralString(s, with string) string {
	return r.compiled().ReplaceAllLiteralString(s, with)
}
