//go:build lab

package lab

import (
	"os"
	"path/filepath"
	"testing"
)

// On a disk that is full or read-only nothing can be cached, and get still
// answers, each time anew.
func TestDisk(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, j *job, disk string){
		"full": func(t *testing.T, j *job, disk string) {
			f, err := os.Create(filepath.Join(disk, "filler"))
			check(t, err)
			defer f.Close()
			for err == nil {
				_, err = f.Write(make([]byte, 1<<10))
			}
		},
		"read-only": func(t *testing.T, j *job, disk string) {
			j.ok(t, "mount", "-o", "remount,ro", disk)
		},
	} {
		t.Run(name, func(t *testing.T) {
			j := newJob(t, trusted(), host)
			disk := j.scratch("disk")
			check(t, os.Mkdir(disk, 0o700))
			j.ok(t, "mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", disk)
			t.Cleanup(func() { j.ok(t, "umount", disk) })
			spoil(t, j, disk)
			j = j.with("RUNNER_TEMP", disk).with("HOME", disk).with("TMPDIR", disk)
			aws.Reset()
			for range 2 {
				if a, err := j.get(host); err != nil || a.Secret == "" {
					t.Errorf("get: %v", err)
				}
			}
			asked(t, 2, 2, 2)
		})
	}
}
