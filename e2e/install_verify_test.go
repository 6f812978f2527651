package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// TestInstallCosign checks that install.sh runs cosign where it is installed, with exactly the
// release workflow at the tag as the identity, and obeys its result.
func TestInstallCosign(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, shell []string) {
		const identity = "https://github.com/ecr-oidc/docker-credential-ecr-oidc/.github/workflows/release.yml@refs/tags/v0.1.0"
		// The stub reads what it was given: it is asked before the archive is, about the checksums as they were served.
		const script = `
if [ "$1" = version ]; then echo "$VERSION"; exit; fi
echo "$*" >"$HOME/asked"
for last; do :; done
cp "$last" "$HOME/signed"
echo "$SAYS" >&2
exit $EXIT`
		cosign := func(t *testing.T, version, says, exit string) *installation {
			box := toolbox(t, "curl", sums)
			stub(t, box, "cosign", script)
			i := newInstallation(t, shell, box)
			i.env["VERSION"], i.env["SAYS"], i.env["EXIT"] = version, says, exit
			return i
		}
		r := newRelease(t)
		s := newShelf(t, r)
		for version, flag := range map[string]string{
			"GitVersion:    v3.1.3": "", "GitVersion:    devel": "", "no version": "", "GitVersion:    v10.0.0": "",
			"GitVersion:    v2.4.0": " --new-bundle-format", "GitVersion:    v2.10.1": " --new-bundle-format",
		} {
			i := cosign(t, version, "Verified OK", "0")
			i.env["ECR_OIDC_VERIFY"] = "required"
			stdout, _ := i.good("--version", released, "--mirror", s.URL)
			i.installed([]byte(scriptBinary))
			contains(t, "stdout", stdout, "signature checked by cosign: "+identity+"\n")
			asked, _ := os.ReadFile(filepath.Join(i.home, "asked"))
			want := `^verify-blob --bundle \S+/checksums.txt.sigstore.json --certificate-identity ` + regexp.QuoteMeta(identity) +
				` --certificate-oidc-issuer https://token.actions.githubusercontent.com` + flag + ` \S+/checksums.txt\n$`
			if !regexp.MustCompile(want).Match(asked) {
				t.Errorf("cosign was asked\n%swant\n%s", asked, want)
			}
			if signed, _ := os.ReadFile(filepath.Join(i.home, "signed")); !bytes.Equal(signed, r["checksums.txt"]) {
				t.Errorf("cosign was asked about %q", signed)
			}
		}
		// An older one cannot read our signatures, and counts as none.
		for version, shown := range map[string]string{"GitVersion:    v2.3.0": "2.3", "GitVersion:    v1.13.6": "1.13"} {
			i := cosign(t, version, "Error: unknown flag", "1")
			stdout, _ := i.good("--version", released, "--mirror", s.URL)
			contains(t, "stdout", stdout, "signature not checked: cosign is version "+shown+"; version 2.4 or later is required\n")
			i = cosign(t, version, "Error: unknown flag", "1")
			i.env["ECR_OIDC_VERIFY"] = "required"
			i.bad("ECR_OIDC_VERIFY is required, but cosign is version "+shown+"; version 2.4 or later is required; install cosign 2.4 or later", "--version", released, "--mirror", s.URL)
		}
		bare := newInstallation(t, shell, toolbox(t, "curl", sums))
		bare.env["ECR_OIDC_VERIFY"] = "required"
		before := len(s.requests())
		bare.bad("ECR_OIDC_VERIFY is required, but cosign is not on PATH; install cosign 2.4 or later", "--version", released, "--mirror", s.URL)
		bare.env["ECR_OIDC_VERIFY"] = "yes"
		bare.bad(`ECR_OIDC_VERIFY is yes; set it to "required", or unset it`, "--version", released, "--mirror", s.URL)
		if asked := s.requests()[before:]; len(asked) > 0 {
			t.Errorf("it downloaded %q first", asked)
		}
		i := cosign(t, "GitVersion: v3.1.3", "Error: none of the expected identities matched what was in the certificate", "1")
		before = len(s.requests())
		i.bad("cosign cannot verify that checksums.txt is signed by "+regexp.QuoteMeta(identity)+": Error: none of the expected identities .*; nothing was installed", "--version", released, "--mirror", s.URL)
		if asked := s.requests()[before:]; slices.Contains(asked, "/v0.1.0/"+ourArchive) {
			t.Errorf("after cosign's no it still asked for %q", asked)
		}
		delete(r, "checksums.txt.sigstore.json")
		cosign(t, "GitVersion: v3.1.3", "Verified OK", "0").bad("downloading http://.*/checksums.txt.sigstore.json: not found; without it, cosign cannot check the signature", "--version", released, "--mirror", newShelf(t, r).URL)
	})
}
