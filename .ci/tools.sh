# shellcheck shell=bash
# Builds the tools of .ci/run from the Go module proxy, each at a fixed version, in
# a directory outside the repository. This file is sourced, not run.
#
# A tool that exists at the same version is not built again.

TOOLS=${ECR_OIDC_CI_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/ecr-oidc-ci/tools}

# The tools that e2e/clients runs. If the machine has no Docker CLI 28, docker28 is built too.
# shellcheck disable=SC2034
CLIENT_TOOLS=(crane docker29 act regctl docker-buildx buildctl buildkitd docker-compose minio helm ko kaniko)

# name, version, package
tool_table() {
	cat <<-'TABLE'
		staticcheck v0.8.2 honnef.co/go/tools/cmd/staticcheck
		actionlint v1.7.12 github.com/rhysd/actionlint/cmd/actionlint
		gosec v2.22.9 github.com/securego/gosec/v2/cmd/gosec
		govulncheck v1.1.4 golang.org/x/vuln/cmd/govulncheck
		act v0.2.89 github.com/nektos/act
		crane v0.22.1 github.com/google/go-containerregistry/cmd/crane
		regctl v0.11.7 github.com/regclient/regclient/cmd/regctl
		helm v4.3.1 helm.sh/helm/v4/cmd/helm
		buildkitd v0.25.2 github.com/moby/buildkit/cmd/buildkitd
		buildctl v0.25.2 github.com/moby/buildkit/cmd/buildctl
		docker-buildx v0.29.1 github.com/docker/buildx/cmd/buildx
		docker-compose v2.40.3 github.com/docker/compose/v2/cmd
		ko v0.19.1 github.com/google/ko
		kaniko v1.25.3 github.com/chainguard-dev/kaniko/cmd/executor
		docker28 v28.2.2+incompatible github.com/docker/cli/cmd/docker
		docker29 v29.9.3+incompatible github.com/docker/cli/cmd/docker
		goreleaser v2.12.5 github.com/goreleaser/goreleaser/v2
		syft v1.52.0 github.com/anchore/syft/cmd/syft
		cosign v3.1.3 github.com/sigstore/cosign/v3/cmd/cosign
		minio v0.0.0-20260212201848-7aac2a2c5b7c github.com/minio/minio
	TABLE
}

tool_row() {
	local row
	row=$(tool_table | awk -v n="$1" '$1 == n')
	[ -n "$row" ] || {
		echo "tools.sh: unknown tool $1" >&2
		return 1
	}
	echo "$row"
}

# tool_path NAME prints the path of a tool, which may not exist yet.
tool_path() {
	local row name version
	row=$(tool_row "$1") || return 1
	read -r name version _ <<<"$row"
	echo "$TOOLS/$name-${version%+incompatible}/$name"
}

# tool_install NAME builds a tool unless it exists. The tool is built in a temporary
# directory and then renamed, so that an incomplete build is never used.
tool_install() {
	local row name version pkg path tmp
	row=$(tool_row "$1") || return 1
	read -r name version pkg <<<"$row"
	path=$(tool_path "$name")
	[ -x "$path" ] && return 0
	mkdir -p "$TOOLS" "${path%/*}"
	tmp=$(mktemp -d "$TOOLS/.build.XXXXXX")
	local build=tool_build
	[ "${pkg%/cmd/docker}" = github.com/docker/cli ] && build=tool_build_docker
	if ! (
		export GOWORK=off GOFLAGS=-mod=mod CGO_ENABLED=0
		cd "$tmp" && "$build" "$pkg" "$version" "$tmp"
	) >"$tmp/log" 2>&1 || [ ! -s "$tmp/built" ]; then
		echo "could not build $name $version:" >&2
		tail -n 15 "$tmp/log" >&2
		rm -rf "$tmp"
		return 1
	fi
	mv -f "$tmp/built" "$path"
	rm -rf "$tmp"
}

# The commands of a build are joined by &&, because "set -e" has no effect in a
# command that is the condition of an "if".

# tool_build PACKAGE VERSION DIRECTORY builds a tool in a temporary module, because
# "go install package@version" does not accept modules with exclude or replace
# directives, such as BuildKit's. Compose reads the version of buildx, so -X sets it.
# The linker ignores -X for programs without this variable.
tool_build() {
	go mod init tools &&
		go get "$1@$2" &&
		GOBIN=$3/bin go install -trimpath -ldflags "-s -w -X ${1%/cmd/*}/version.Version=$2" "$1" &&
		mv "$3"/bin/* "$3/built"
}

# tool_build_docker PACKAGE VERSION DIRECTORY builds the Docker CLI. It has a
# vendor.mod instead of a go.mod, with the same format, so the build uses the same
# modules as Docker. Only swarmkit is replaced with a release that every module proxy
# has. It implements "docker swarm" and "docker service", which the tests do not use.
tool_build_docker() {
	local dir v=${2#v}
	dir=$(cd / && go mod download -json "${1%/cmd/docker}@$2" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p') &&
		cp -r "$dir" "$3/src" &&
		chmod -R u+w "$3/src" &&
		cd "$3/src" &&
		rm -rf vendor &&
		mv vendor.mod go.mod &&
		mv vendor.sum go.sum &&
		go mod edit -replace github.com/moby/swarmkit/v2=github.com/moby/swarmkit/v2@v2.1.2 || return 1
	if grep -q '^	github.com/docker/docker ' go.mod; then # version 28: the tag of the same commit
		go mod edit -require "github.com/docker/docker@$2" || return 1
	fi
	go build -trimpath -ldflags "-s -w -X github.com/docker/cli/cli/version.Version=${v%+incompatible}" -o "$3/built" ./cmd/docker
}
