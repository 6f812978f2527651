package e2e

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"testing"
)

// TestGetWrites checks that a get writes one encrypted cache entry and its empty lock file, and no other
// file. The entry contains the password, or the error if AWS refuses the role. A second get writes
// nothing.
func TestGetWrites(t *testing.T) {
	entry := regexp.MustCompile(`^runner/ecr-oidc(-\d+)?/[0-9a-f]{64}\.enc$`)
	lock := regexp.MustCompile(`^runner/ecr-oidc(-\d+)?/[0-9a-f]{64}\.lock$`)
	note := regexp.MustCompile(`^runner/ecr-oidc-failures(-\d+)?\.txt$`)
	for _, tt := range []struct {
		name, role string
		succeeds   bool
	}{{"success", "ci", true}, {"refusal", "no-such-role", false}} {
		t.Run(tt.name, func(t *testing.T) {
			j := newJob(t)
			j.env["ECR_OIDC_ROLE"] = tt.role
			for range 2 {
				if _, stderr, err := j.get(defaultHost); (err == nil) != tt.succeeds {
					t.Fatalf("%v: %s", err, stderr)
				}
			}
			entries, locks := 0, 0
			err := filepath.WalkDir(j.dir, func(path string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				rel, err := filepath.Rel(j.dir, path)
				switch rel = filepath.ToSlash(rel); {
				case entry.MatchString(rel):
					entries++
				case lock.MatchString(rel):
					locks++
					if fi, err := d.Info(); err != nil || fi.Size() != 0 {
						t.Errorf("the lock has %d bytes", fi.Size())
					}
				case !tt.succeeds && note.MatchString(rel): // for the action
				case rel != "ca.pem": // written by the test
					t.Errorf("get wrote %s", rel)
				}
				return err
			})
			if err != nil || entries != 1 || locks != 1 {
				t.Errorf("%d entries, %d locks, %v; want one each", entries, locks, err)
			}
		})
	}
}
