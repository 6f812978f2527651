//go:build clients

package clients

import (
	"fmt"
	"slices"
	"sync"
	"testing"
)

// TestParallel runs several clients at the same time with an empty cache. They share one token, one
// role session and one password, or one error.
func TestParallel(t *testing.T) {
	crane := need(t, "crane")
	pusher := newJob(t, trustedJob(), host)
	layout := pusher.scratch("layout")
	image(t, layout, "parallel")
	pusher.run(t, crane, "push", layout, host+"/app-parallel:0")
	var refs []string
	for i := range 8 {
		refs = append(refs, fmt.Sprintf("%s/app-parallel:%d", host, i))
		if i > 0 {
			pusher.run(t, crane, "tag", refs[0], fmt.Sprint(i))
		}
	}

	// pull runs a command for all images at the same time, with an empty cache.
	pull := func(t *testing.T, engine, program string, args []string, transport string) {
		t.Helper()
		for name, c := range map[string]struct {
			ci     map[string]string
			denied bool
			calls  [3]int // tokens, STS, ECR
		}{
			"trusted": {trustedJob(), false, [3]int{1, 1, 1}},
			"denied":  {untrustedJob(), true, [3]int{1, 1, 0}},
		} {
			t.Run(name, func(t *testing.T) {
				j := newJob(t, c.ci, host).withEnv("DOCKER_HOST", engine)
				aws.ResetCalls()
				outs, errs := make([]string, len(refs)), make([]error, len(refs))
				var running sync.WaitGroup
				for i, ref := range refs {
					running.Go(func() {
						outs[i], errs[i] = j.exec("", program, append(slices.Clip(args), transport+ref)...)
					})
				}
				running.Wait()
				for i, out := range outs {
					switch {
					case c.denied:
						wantDenied(t, out)
					case errs[i] != nil:
						t.Errorf("%v\n%s", errs[i], out)
					}
				}
				wantCalls(t, c.calls[0], c.calls[1], c.calls[2])
			})
		}
	}

	eachDocker(t, func(t *testing.T, d docker) {
		pull(t, engine(t), d.path, []string{"pull", "--quiet"}, "")
		t.Run("all tags", func(t *testing.T) {
			j := newJob(t, trustedJob(), host).withEnv("DOCKER_HOST", engine(t))
			aws.ResetCalls()
			j.run(t, d.path, "pull", "--all-tags", host+"/app-parallel")
			wantCalls(t, 1, 1, 1)
		})
	})
	t.Run("podman", func(t *testing.T) {
		pull(t, "", need(t, "podman"),
			append(storage(t), "--cgroup-manager", "cgroupfs", "pull", "--quiet"), "")
	})
	t.Run("skopeo", func(t *testing.T) {
		pull(t, "", need(t, "skopeo"), []string{"inspect", "--format", "{{.Digest}}"}, "docker://")
	})
	t.Run("crane", func(t *testing.T) { pull(t, "", crane, []string{"digest"}, "") })
}
