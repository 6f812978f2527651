#!/usr/bin/env bash
# Downloads a release, which may be a draft, and verifies it as described in
# SECURITY.md. release.yml runs it and sets its variables.
#
#   packaging/verify.sh TAG DIR
set -euo pipefail
tag=$1
identity=$GITHUB_SERVER_URL/$GITHUB_REPOSITORY/.github/workflows/release.yml@refs/tags/$tag
issuer=https://token.actions.githubusercontent.com
gh release download "$tag" --dir "$2"
cd "$2"
cosign verify-blob --new-bundle-format --bundle checksums.txt.sigstore.json \
	--certificate-identity "$identity" --certificate-oidc-issuer "$issuer" checksums.txt
sha256sum --check checksums.txt
for archive in *.tar.gz *.zip; do
	gh attestation verify "$archive" --repo "$GITHUB_REPOSITORY" --deny-self-hosted-runners \
		--cert-identity "$identity" --cert-oidc-issuer "$issuer"
done
