#!/usr/bin/env bash
# Runs the tests with real clients against the emulated AWS, in namespaces of their own. It needs
# Linux and root. Tests of clients that are not installed are skipped.
#
#   e2e/clients/run.sh [flags of the test binary, such as -test.run Docker]
#
# CLIENTS_HELPER=FILE tests an existing binary instead of building one.
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
# dockerd is in sbin, which is not on PATH in every login shell.
PATH=$path:$PATH:/usr/sbin:/sbin e2e/clients/enter.sh "$out/clients.test" -test.v -test.timeout 10m "$@"
