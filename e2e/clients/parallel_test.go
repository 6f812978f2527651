//go:build clients

package clients

import (
	"fmt"
	"slices"
	"sync"
	"testing"
)

// Many clients at once, with nothing cached: they wait for one token, one role and one password, or for one refusal.
func TestParallel(t *testing.T) {
	crane := need(t, "crane")
	pusher := newJob(t, trusted(), host)
	layout := pusher.scratch("layout")
	image(t, layout, "parallel")
	pusher.ok(t, crane, "push", layout, host+"/app-parallel:0")
	var refs []string
	for i := range 8 {
		refs = append(refs, fmt.Sprintf("%s/app-parallel:%d", host, i))
		if i > 0 {
			pusher.ok(t, crane, "tag", refs[0], fmt.Sprint(i))
		}
	}

	// pull runs a command for each image, all at once, as a job with nothing cached.
	pull := func(t *testing.T, engine, program string, args []string, transport string) {
		t.Helper()
		for name, c := range map[string]struct {
			ci     map[string]string
			fails  bool
			expect [3]int
		}{
			"trusted": {trusted(), false, [3]int{1, 1, 1}},
			"refused": {untrusted(), true, [3]int{1, 1, 0}},
		} {
			t.Run(name, func(t *testing.T) {
				j := newJob(t, c.ci, host).with("DOCKER_HOST", engine)
				aws.ResetCalls()
				outs, errs := make([]string, len(refs)), make([]error, len(refs))
				var all sync.WaitGroup
				for i, ref := range refs {
					all.Go(func() {
						outs[i], errs[i] = j.try("", program, append(slices.Clip(args), transport+ref)...)
					})
				}
				all.Wait()
				for i, out := range outs {
					switch {
					case c.fails:
						saysUntrusted(t, out)
					case errs[i] != nil:
						t.Errorf("%v\n%s", errs[i], out)
					}
				}
				asked(t, c.expect[0], c.expect[1], c.expect[2])
			})
		}
	}

	eachDocker(t, func(t *testing.T, d docker) {
		pull(t, engine(t), d.path, []string{"pull", "--quiet"}, "")
		t.Run("all tags", func(t *testing.T) {
			j := newJob(t, trusted(), host).with("DOCKER_HOST", engine(t))
			aws.ResetCalls()
			j.ok(t, d.path, "pull", "--all-tags", host+"/app-parallel")
			asked(t, 1, 1, 1)
		})
	})
	t.Run("podman", func(t *testing.T) {
		pull(t, "", need(t, "podman"), append(storage(t), "--cgroup-manager", "cgroupfs", "pull", "--quiet"), "")
	})
	t.Run("skopeo", func(t *testing.T) {
		pull(t, "", need(t, "skopeo"), []string{"inspect", "--format", "{{.Digest}}"}, "docker://")
	})
	t.Run("crane", func(t *testing.T) { pull(t, "", crane, []string{"digest"}, "") })
}
