#!/usr/bin/env bash
# Downloads a release, which may be a draft still, and checks it as SECURITY.md
# tells anybody to. Run by release.yml, whose variables it reads.
#
#   packaging/verify.sh TAG FOLDER
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
