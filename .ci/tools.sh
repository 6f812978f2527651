# shellcheck shell=bash
# The programs that .ci/run needs, each at one version, built from the Go
# module proxy into a folder outside the repository. Sourced, not run.
#
# What is there already, at that version, is not built again.

TOOLS=${ECR_OIDC_CI_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/ecr-oidc-ci/tools}

# name, version, package
tool_table() {
	cat <<-'TABLE'
		staticcheck v0.8.2 honnef.co/go/tools/cmd/staticcheck
		actionlint v1.7.12 github.com/rhysd/actionlint/cmd/actionlint
		crane v0.22.1 github.com/google/go-containerregistry/cmd/crane
		docker28 v28.2.2+incompatible github.com/docker/cli/cmd/docker
		docker29 v29.9.3+incompatible github.com/docker/cli/cmd/docker
		goreleaser v2.12.5 github.com/goreleaser/goreleaser/v2
		minio v0.0.0-20260212201848-7aac2a2c5b7c github.com/minio/minio
	TABLE
}

tool_row() {
	local row
	row=$(tool_table | awk -v n="$1" '$1 == n')
	[ -n "$row" ] || {
		echo "tools.sh: no tool called $1" >&2
		return 1
	}
	echo "$row"
}

# tool_path NAME prints where NAME lies, or will lie.
tool_path() {
	local row name version
	row=$(tool_row "$1") || return 1
	read -r name version _ <<<"$row"
	echo "$TOOLS/$name-${version%+incompatible}/$name"
}

# tool_install NAME builds NAME unless it is there. The build has a folder of
# its own and is renamed into place, so that half a build is never used.
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
		set -e
		cd "$tmp"
		export GOWORK=off GOFLAGS=-mod=mod CGO_ENABLED=0
		"$build" "$pkg" "$version" "$tmp"
	) >"$tmp/log" 2>&1 || [ ! -s "$tmp/built" ]; then
		echo "could not build $name $version:" >&2
		tail -n 15 "$tmp/log" >&2
		rm -rf "$tmp"
		return 1
	fi
	mv -f "$tmp/built" "$path"
	rm -rf "$tmp"
}

tool_build() { # package version folder
	GOBIN=$3/bin go install -trimpath "$1@$2"
	mv "$3"/bin/* "$3/built"
}

# Docker's CLI has no go.mod but a vendor.mod, with the same contents and no
# promises; building from it gives the very modules that Docker builds with.
# swarmkit alone is moved to a release that every proxy has: it is behind
# "docker swarm" and "docker service", which nobody here calls.
tool_build_docker() { # package version folder
	local dir
	dir=$(cd / && go mod download -json "${1%/cmd/docker}@$2" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
	cp -r "$dir" "$3/src"
	chmod -R u+w "$3/src"
	cd "$3/src"
	rm -rf vendor
	mv vendor.mod go.mod
	mv vendor.sum go.sum
	go mod edit -replace github.com/moby/swarmkit/v2=github.com/moby/swarmkit/v2@v2.1.2
	if grep -q '^	github.com/docker/docker ' go.mod; then # 28: the same commit, by its tag
		go mod edit -require "github.com/docker/docker@$2"
	fi
	local v=${2#v}
	go build -trimpath -ldflags "-s -w -X github.com/docker/cli/cli/version.Version=${v%+incompatible}" -o "$3/built" ./cmd/docker
}
