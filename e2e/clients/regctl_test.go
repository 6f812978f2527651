//go:build clients

package clients

import (
	"strings"
	"testing"
)

// regctl copies from one account to the other. Refused, it shows our line, and goes on without a login.
func TestRegctl(t *testing.T) {
	regctl := need(t, "regctl")
	j := twoAccounts(t)
	layout := j.scratch("layout")
	want := image(t, layout, "regctl")
	aws.ResetCalls()
	j.ok(t, regctl, "image", "copy", "ocidir://"+layout+":v1", good+"/app:regctl")
	j.ok(t, regctl, "image", "copy", good+"/app:regctl", bad+"/app:regctl")
	if got := lastLine(j.ok(t, regctl, "image", "digest", bad+"/app:regctl")); got != want {
		t.Errorf("copied %s, want %s", got, want)
	}
	asked(t, 2, 3, 2)
	a, err := j.get(host)
	check(t, err)
	j.leftNothing(t, a.Secret)

	t.Run("one account refused", func(t *testing.T) {
		j := severalJob(t)
		out := j.refused(t, regctl, "image", "copy", good+"/app:regctl", bad+"/app:regctl")
		saysRefusal(t, out)
		if !strings.HasSuffix(out, "unauthorized\n") {
			t.Error("it did not go on without a login")
		}
		silent(t, j.ok(t, regctl, "tag", "ls", good+"/app"))
	})
}
