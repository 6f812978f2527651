#!/usr/bin/env bash
# The second tier: real clients against the emulated AWS, in a namespace of
# their own. Needs root and Linux; clients that are absent are skipped, by name.
#
#   e2e/clients/run.sh [flags of go test's binary, as -test.run Docker]
#
# CLIENTS_HELPER=FILE tests that binary instead of building one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
mkdir "$out/bin"
if [ -n "${CLIENTS_HELPER-}" ]; then
	cp "$CLIENTS_HELPER" "$out/bin/docker-credential-ecr-oidc"
else
	CGO_ENABLED=0 go build -trimpath -o "$out/bin/" ./cmd/docker-credential-ecr-oidc
fi
if command -v wine >/dev/null; then
	GOOS=windows GOARCH=amd64 go build -trimpath -o "$out/bin/" ./cmd/docker-credential-ecr-oidc
fi
CGO_ENABLED=0 go test -c -tags clients -o "$out/clients.test" ./e2e/clients

path=$out/bin
for tool in $(go run ./packaging/tools -path clients docker28); do
	path=$path:$(dirname "$tool")
done
# sbin: a login without it has no dockerd.
PATH=$path:$PATH:/usr/sbin:/sbin e2e/clients/enter.sh "$out/clients.test" -test.v -test.timeout 10m "$@"
