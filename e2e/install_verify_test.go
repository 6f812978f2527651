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
		// The stub records its arguments, and copies the file whose signature it is to verify.
		const script = `
if [ "$1" = version ]; then echo "$VERSION"; exit; fi
echo "$*" >"$HOME/arguments"
for last; do :; done
cp "$last" "$HOME/signed"
echo "$OUTPUT" >&2
exit $EXIT`
		cosign := func(t *testing.T, version, output, exit string) *installation {
			tools := newToolDir(t, "curl", checksumTool)
			stub(t, tools, "cosign", script)
			i := newInstallation(t, shell, tools)
			i.env["VERSION"], i.env["OUTPUT"], i.env["EXIT"] = version, output, exit
			return i
		}
		r := newRelease(t)
		s := newMirror(t, r)
		for version, flag := range map[string]string{
			"GitVersion:    v3.1.3":  "",
			"GitVersion:    devel":   "",
			"no version":             "",
			"GitVersion:    v10.0.0": "",
			"GitVersion:    v2.4.0":  " --new-bundle-format",
			"GitVersion:    v2.10.1": " --new-bundle-format",
		} {
			i := cosign(t, version, "Verified OK", "0")
			i.env["ECR_OIDC_VERIFY"] = "required"
			stdout, _ := i.mustInstall("--version", released, "--mirror", s.URL)
			i.requireInstalled([]byte(scriptBinary))
			contains(t, "stdout", stdout, "signature checked by cosign: "+identity+"\n")
			arguments, _ := os.ReadFile(filepath.Join(i.home, "arguments"))
			want := `^verify-blob --bundle \S+/checksums.txt.sigstore.json` +
				` --certificate-identity ` + regexp.QuoteMeta(identity) +
				` --certificate-oidc-issuer https://token.actions.githubusercontent.com` + flag +
				` \S+/checksums.txt\n$`
			if !regexp.MustCompile(want).Match(arguments) {
				t.Errorf("cosign ran with\n%swant\n%s", arguments, want)
			}
			signed, _ := os.ReadFile(filepath.Join(i.home, "signed"))
			if !bytes.Equal(signed, r["checksums.txt"]) {
				t.Errorf("cosign verified %q", signed)
			}
		}
		// An older cosign cannot read the signature, and is treated like a missing one.
		for version, shown := range map[string]string{
			"GitVersion:    v2.3.0":  "2.3",
			"GitVersion:    v1.13.6": "1.13",
		} {
			i := cosign(t, version, "Error: unknown flag", "1")
			stdout, _ := i.mustInstall("--version", released, "--mirror", s.URL)
			contains(
				t,
				"stdout",
				stdout,
				"signature not checked: cosign is version "+shown+"; version 2.4 or later is required\n",
			)
			i = cosign(t, version, "Error: unknown flag", "1")
			i.env["ECR_OIDC_VERIFY"] = "required"
			i.mustFail(
				"ECR_OIDC_VERIFY is required, but cosign is version "+shown+
					"; version 2.4 or later is required; install cosign 2.4 or later",
				"--version", released, "--mirror", s.URL,
			)
		}
		bare := newInstallation(t, shell, newToolDir(t, "curl", checksumTool))
		bare.env["ECR_OIDC_VERIFY"] = "required"
		before := len(s.requests())
		bare.mustFail(
			"ECR_OIDC_VERIFY is required, but cosign is not on PATH; install cosign 2.4 or later",
			"--version", released, "--mirror", s.URL,
		)
		bare.env["ECR_OIDC_VERIFY"] = "yes"
		bare.mustFail(
			`ECR_OIDC_VERIFY is yes; set it to "required", or unset it`,
			"--version", released, "--mirror", s.URL,
		)
		if requests := s.requests()[before:]; len(requests) > 0 {
			t.Errorf("requests %q, want none", requests)
		}
		i := cosign(
			t,
			"GitVersion: v3.1.3",
			"Error: none of the expected identities matched what was in the certificate",
			"1",
		)
		before = len(s.requests())
		i.mustFail(
			"cosign cannot verify that checksums.txt is signed by "+regexp.QuoteMeta(identity)+
				": Error: none of the expected identities .*; nothing was installed",
			"--version", released, "--mirror", s.URL,
		)
		if requests := s.requests()[before:]; slices.Contains(requests, "/v0.1.0/"+hostArchive) {
			t.Errorf("requests after cosign failed: %q", requests)
		}
		delete(r, "checksums.txt.sigstore.json")
		cosign(t, "GitVersion: v3.1.3", "Verified OK", "0").mustFail(
			"downloading http://.*/checksums.txt.sigstore.json: not found; "+
				"without it, cosign cannot check the signature",
			"--version", released, "--mirror", newMirror(t, r).URL,
		)
	})
}
