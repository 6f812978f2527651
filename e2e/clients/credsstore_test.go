//go:build clients

package clients

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// As credsStore we are asked for the host at hand when pushing and pulling. The classic builder takes only what "list"
// names, and ours names no host of ECR; it needs an entry for what it builds from. Other hosts' logins reach it.
func TestCredsStore(t *testing.T) {
	eachDocker(t, func(t *testing.T, d docker) {
		j := newJob(t, trusted(), host).with("DOCKER_HOST", engine(t)).with("DOCKER_BUILDKIT", "0")
		other := filepath.Join(j.dir, "docker-credential-other")
		check(t, os.WriteFile(other, []byte("#!/bin/sh\necho $1 >>"+j.scratch("asked")+"\n[ $1 = list ] && echo '{}' && exit\necho 'credentials not found in native keychain'; exit 1\n"), 0o755))
		j = j.with("PATH", j.dir+":"+j.env["PATH"])
		j.ok(t, "docker-credential-ecr-oidc", "configure", "--remove", host)
		j.ok(t, "docker-credential-ecr-oidc", "configure", "--creds-store=other")
		aws.ResetCalls()

		ref := host + "/app:store-" + d.major()
		if out := j.ok(t, d.path, "build", "--tag", ref, buildContext(t, j, "store"+d.major(), "scratch")); strings.Contains(out, "ecr-oidc: ") {
			t.Error("a build that needs no login complains")
		}
		pushed := dockerDigest(t, j.ok(t, d.path, "push", ref))
		if pulled := dockerDigest(t, j.ok(t, d.path, "pull", ref)); pulled != pushed {
			t.Errorf("pulled %s, pushed %s", pulled, pushed)
		}
		asked(t, 1, 1, 1)
		b, err := os.ReadFile(j.scratch("asked"))
		check(t, err)
		if !strings.Contains(string(b), "list") {
			t.Errorf("the helper for other hosts was asked %q, want its list for the build", b)
		}

		from := buildContext(t, j, "from-store"+d.major(), ref)
		if out := j.refused(t, d.path, "build", "--pull", from); !strings.Contains(out, "no basic auth credentials") {
			t.Error("it failed for another reason")
		}
		j.ok(t, "docker-credential-ecr-oidc", "configure", host)
		j.ok(t, d.path, "build", "--pull", from)
	})
}
