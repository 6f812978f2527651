//go:build clients

package clients

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCredsStore registers the helper as credsStore. Pushes and pulls call it for their registry.
// The classic builder uses only hosts in the output of "list", which contains no ECR registries, so
// it needs a credHelpers entry for private base images. Other hosts are delegated to the other
// helper.
func TestCredsStore(t *testing.T) {
	eachDocker(t, func(t *testing.T, d docker) {
		j := newJob(t, trustedJob(), host).withEnv("DOCKER_HOST", engine(t)).withEnv("DOCKER_BUILDKIT", "0")
		other := filepath.Join(j.dir, "docker-credential-other")
		check(t, os.WriteFile(other, fmt.Appendf(nil, `#!/bin/sh
echo $1 >>%s
[ $1 = list ] && echo '{}' && exit
echo 'credentials not found in native keychain'; exit 1
`, j.scratch("calls")), 0o755))
		j = j.withEnv("PATH", j.dir+":"+j.env["PATH"])
		j.run(t, "docker-credential-ecr-oidc", "configure", "--remove", host)
		j.run(t, "docker-credential-ecr-oidc", "configure", "--creds-store=other")
		aws.ResetCalls()

		ref := host + "/app:store-" + d.major()
		if out := j.run(t, d.path, "build", "--tag", ref,
			buildContext(t, j, "store"+d.major(), "scratch")); strings.Contains(out, "ecr-oidc: ") {
			t.Error("a build without private images prints an error")
		}
		pushed := dockerDigest(t, j.run(t, d.path, "push", ref))
		if pulled := dockerDigest(t, j.run(t, d.path, "pull", ref)); pulled != pushed {
			t.Errorf("pulled %s, pushed %s", pulled, pushed)
		}
		wantCalls(t, 1, 1, 1)
		b, err := os.ReadFile(j.scratch("calls"))
		check(t, err)
		if !strings.Contains(string(b), "list") {
			t.Errorf("calls of the other helper: %q, want list for the build", b)
		}

		from := buildContext(t, j, "from-store"+d.major(), ref)
		if out := j.runFails(t, d.path, "build", "--pull", from); !strings.Contains(out,
			"no basic auth credentials") {
			t.Error("the build failed with another error")
		}
		j.run(t, "docker-credential-ecr-oidc", "configure", host)
		j.run(t, d.path, "build", "--pull", from)
	})
}
