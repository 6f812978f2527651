package e2e

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"testing"
)

// A get writes two sealed entries, its password and the job's token, and the empty locks that belong to them, and a second
// one nothing more: nothing beside the cache, in the home or anywhere else that it was told of. A refused get writes what
// it was told, sealed, in the place of the password, and in GitHub Actions a note for the action.
func TestGetWritesItsEntryAlone(t *testing.T) {
	entry := regexp.MustCompile(`^runner/ecr-oidc(-\d+)?/[0-9a-f]{64}\.sealed$`)
	lock := regexp.MustCompile(`^runner/ecr-oidc(-\d+)?/[0-9a-f]{64}\.lock$`)
	note := regexp.MustCompile(`^runner/ecr-oidc-failures(-\d+)?\.txt$`)
	for _, tt := range []struct {
		name, role string
		good       bool
	}{{"good", "ci", true}, {"refused", "no-such-role", false}} {
		t.Run(tt.name, func(t *testing.T) {
			j := newJob(t)
			j.env["ECR_OIDC_ROLE"] = tt.role
			for range 2 {
				if _, stderr, err := j.get(defaultHost); (err == nil) != tt.good {
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
				case rel != "ca.pem" && (tt.good || !note.MatchString(rel)): // ca.pem is the test's own
					t.Errorf("it wrote %s", rel)
				}
				return err
			})
			if err != nil || entries != 1 || locks != 1 {
				t.Errorf("%d entries, %d locks, %v; want one each", entries, locks, err)
			}
		})
	}
}
