//go:build clients

package clients

import (
	"strings"
	"testing"
)

// TestRegctl copies an image from one account to the other. If regctl gets no login, it prints the
// helper's error and continues anonymously.
func TestRegctl(t *testing.T) {
	regctl := need(t, "regctl")
	j := jobWithSpokeRole(t)
	layout := j.scratch("layout")
	want := image(t, layout, "regctl")
	aws.ResetCalls()
	j.run(t, regctl, "image", "copy", "ocidir://"+layout+":v1", host+"/app:regctl")
	j.run(t, regctl, "image", "copy", host+"/app:regctl", spokeHost+"/app:regctl")
	if got := lastLine(j.run(t, regctl, "image", "digest", spokeHost+"/app:regctl")); got != want {
		t.Errorf("copied %s, want %s", got, want)
	}
	wantCalls(t, 2, 3, 2)
	a, err := j.get(host)
	check(t, err)
	j.checkNoSecrets(t, a.Secret)

	t.Run("one account denied", func(t *testing.T) {
		j := jobWithoutSpokeRole(t)
		out := j.runFails(t, regctl, "image", "copy", host+"/app:regctl", spokeHost+"/app:regctl")
		wantSpokeDenied(t, out)
		if !strings.HasSuffix(out, "unauthorized\n") {
			t.Error("regctl did not continue anonymously")
		}
		wantNoHelperError(t, j.run(t, regctl, "tag", "ls", host+"/app"))
	})
}
