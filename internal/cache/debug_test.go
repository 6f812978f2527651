package cache

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// recordDebug returns the debug lines that c has written.
func recordDebug(c *Cache) func() []string {
	var lines []string
	c.Debug = func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	return func() []string { return lines }
}

// TestDebugHiddenFailure checks that a debug line reports a failed fetch that a usable entry hides.
func TestDebugHiddenFailure(t *testing.T) {
	c := openCache(t, filepath.Join(t.TempDir(), "c"), secret)
	stale := Entry{Secret: "old", CreatedAt: noon.Add(-time.Hour), TTL: 12 * time.Hour}
	if err := c.Put("id", stale); err != nil {
		t.Fatal(err)
	}
	debugLines := recordDebug(c)
	fetched := 0
	e, failure := c.GetOrFetch(t.Context(), "id", func(context.Context) (Entry, *Failure) {
		fetched = len(debugLines())
		return Entry{}, &Failure{}
	})
	if lines := debugLines(); failure != nil || e.Secret != "old" || len(lines) != fetched+1 ||
		lines[fetched] == "" {
		t.Errorf("%v, %v, %q after the fetch", e, failure, lines[fetched:])
	}
}

// TestDebugEntryNotDeleted checks that a debug line reports an entry that cannot be deleted after a
// refusal.
func TestDebugEntryNotDeleted(t *testing.T) {
	c := openCache(t, filepath.Join(t.TempDir(), "c"), secret)
	path := c.path("id", entrySuffix) // a directory that is not empty stays
	if err := os.MkdirAll(filepath.Join(path, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	removal := c.Remove("id")
	if removal == nil {
		t.Fatal("the directory was deleted")
	}
	debugLines := recordDebug(c)
	_, failure := c.GetOrFetch(t.Context(), "id", func(context.Context) (Entry, *Failure) {
		return Entry{}, &Failure{IdentityRefused: true}
	})
	if lines := debugLines(); failure == nil || !slices.Contains(lines, removal.Error()) {
		t.Errorf("%v, %q, want %v", failure, lines, removal)
	}
}

// TestDebugNotCached checks that only an entry that is not stored has a debug line after its fetch.
func TestDebugNotCached(t *testing.T) {
	for _, tt := range []struct {
		name  string
		size  int // of the password
		lines int
	}{{"stored", 100, 0}, {"too large", maxFileSize, 1}} {
		t.Run(tt.name, func(t *testing.T) {
			c := openCache(t, filepath.Join(t.TempDir(), "c"), secret)
			debugLines := recordDebug(c)
			fetched := 0
			entry := Entry{CreatedAt: noon, TTL: 12 * time.Hour}
			entry.Secret = strings.Repeat("x", tt.size)
			fetch := func(context.Context) (Entry, *Failure) {
				fetched = len(debugLines())
				return entry, nil
			}
			_, failure := c.GetOrFetch(t.Context(), "id", fetch)
			if lines := debugLines()[fetched:]; failure != nil || len(lines) != tt.lines {
				t.Errorf("%v, %q after the fetch", failure, lines)
			}
		})
	}
}

// TestDebugHit checks that a debug line names the directory of the entry that is returned.
func TestDebugHit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "c")
	c := openCache(t, dir, secret)
	fresh := Entry{Secret: "fresh", CreatedAt: noon, TTL: 12 * time.Hour, FreshFor: time.Hour}
	if err := c.Put("id", fresh); err != nil {
		t.Fatal(err)
	}
	debugLines := recordDebug(c)
	e, failure := c.GetOrFetch(t.Context(), "id", nil)
	if lines := debugLines(); failure != nil || e.Secret != "fresh" || len(lines) != 1 ||
		!strings.Contains(lines[0], dir) {
		t.Errorf("%v, %v, %q", e, failure, lines)
	}
}
