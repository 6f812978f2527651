package e2e

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"testing"
)

// A get writes one sealed entry, and a second one nothing more: nothing beside the cache, in the home or anywhere else
// that it was told of. A refused get writes nothing at all.
func TestGetWritesItsEntryAlone(t *testing.T) {
	entry := regexp.MustCompile(`^runner/ecr-oidc(-\d+)?/[0-9a-f]{64}\.sealed$`)
	for _, tt := range []struct {
		name, role string
		want       int
	}{{"good", "ci", 1}, {"refused", "no-such-role", 0}} {
		t.Run(tt.name, func(t *testing.T) {
			j := newJob(t)
			j.env["ECR_OIDC_ROLE"] = tt.role
			for range 2 {
				if _, stderr, err := j.get(usual); (err == nil) != (tt.want == 1) {
					t.Fatalf("%v: %s", err, stderr)
				}
			}
			entries := 0
			err := filepath.WalkDir(j.dir, func(path string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				rel, err := filepath.Rel(j.dir, path)
				switch rel = filepath.ToSlash(rel); {
				case entry.MatchString(rel):
					entries++
				case rel != "ca.pem": // the test's own
					t.Errorf("it wrote %s", rel)
				}
				return err
			})
			if err != nil || entries != tt.want {
				t.Errorf("%d entries, %v, want %d", entries, err, tt.want)
			}
		})
	}
}
