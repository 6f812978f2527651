#!/usr/bin/env bash
# Checks the artifacts of a release with the tools that users install them with.
# Run it in the directory that contains dist, after goreleaser and
# packaging/image. A check that this machine cannot run prints a line that begins
# with "SKIPPED: ".
#
#   packaging/check.sh CRANE
set -euo pipefail
crane=$1
name=docker-credential-ecr-oidc
commit=$(git rev-parse HEAD)
scratch=$(mktemp -d)
registry=
clean() {
	if [ -n "$registry" ]; then kill "$registry" || true; fi
	rm -rf "$scratch"
}
trap clean EXIT

skipped() { echo "SKIPPED: $*"; }

die() {
	echo "packaging/check.sh: $*" >&2
	exit 1
}

case $(uname -sm) in
"Linux x86_64") native=amd64 ;;
"Linux aarch64") native=arm64 ;;
*) native= ;;
esac

# check_version BINARY fails unless the binary runs and prints its commit.
check_version() {
	"$1" version </dev/null | tee "$scratch/version"
	grep -qF "$commit" "$scratch/version" || die "$1 does not print its commit"
}

# contents PACKAGER prints the expected list of files in a package.
contents() {
	local zsh=site-functions doc=licenses license=LICENSE file
	if [ "$1" = deb ]; then zsh=vendor-completions doc=doc license=copyright; fi
	echo "-rwxr-xr-x root/root /usr/bin/$name"
	for file in packaging/share/man/*; do echo "-rw-r--r-- root/root /usr/share/man/man1/${file##*/}"; done
	printf -- '-rw-r--r-- root/root /usr/share/%s\n' \
		"bash-completion/completions/$name" "fish/vendor_completions.d/$name.fish" "zsh/$zsh/_$name" \
		"$doc/$name/$license" "$doc/$name/THIRD_PARTY_LICENSES"
}

# check_contents PACKAGER FILE compares the list of files on stdin with the expected list.
check_contents() {
	diff <(contents "$1" | sort) <(sort) || die "$2 has other files than expected"
	echo "${2##*/}: contents ok"
}

debs() {
	local deb root=$scratch/root
	command -v dpkg-deb >/dev/null || {
		skipped "deb: dpkg is not installed"
		return
	}
	for deb in dist/*.deb; do
		dpkg-deb -c "$deb" | awk '!/^d/ { print $1, $2, substr($6, 2) }' | check_contents deb "$deb"
	done
	[ -n "$native" ] || return 0
	deb=$(echo dist/*_linux_"$native".deb)
	if [ "$(id -u)" != 0 ]; then
		skipped "deb: installation requires root; the package was unpacked instead"
		dpkg-deb -x "$deb" "$root"
		check_version "$root/usr/bin/$name"
		return
	fi
	mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates"
	touch "$root/var/lib/dpkg/status"
	dpkg --root="$root" --log=/dev/null -i "$deb"
	dpkg --root="$root" --verify "$name"
	check_version "$root/usr/bin/$name"
	# shellcheck disable=SC2016
	bash -c 'source "$1"; complete -p "$2"' - "$root/usr/share/bash-completion/completions/$name" "$name"
	dpkg --root="$root" --log=/dev/null -r "$name"
	[ ! -e "$root/usr/bin/$name" ] || die "dpkg -r leaves the binary"
}

rpms() {
	local rpm
	command -v rpm >/dev/null || {
		skipped "rpm: rpm is not installed"
		return
	}
	for rpm in dist/*.rpm; do
		rpm -K --nosignature "$rpm"
		rpm -qp --queryformat '[%{FILEMODES:perms} %{FILEUSERNAME}/%{FILEGROUPNAME} %{FILENAMES}\n]' "$rpm" |
			check_contents rpm "$rpm"
	done
}

# An apk is a tar file of the installed files. The files at its root are apk's metadata.
apks() {
	local apk
	for apk in dist/*.apk; do
		tar -tvzf "$apk" 2>"$scratch/tar.log" |
			awk '!/^d/ && $6 ~ "/" { print $1, $2, "/" $6 }' |
			check_contents apk "$apk"
	done
}

pages() {
	local page
	command -v groff >/dev/null || {
		skipped "man pages: groff is not installed"
		return
	}
	for page in packaging/share/man/*.gz; do
		gzip -dc "$page" | groff -man -Tutf8 -ww -z 2>&1 | tee -a "$scratch/groff.log"
	done
	[ ! -s "$scratch/groff.log" ] || die "groff reports warnings in a man page"
}

archives() {
	local file
	[ -n "$native" ] || return 0
	mkdir "$scratch/unpacked"
	tar -xzf dist/*_linux_"$native".tar.gz -C "$scratch/unpacked"
	check_version "$scratch/unpacked/$name"
	for file in LICENSE README.md THIRD_PARTY_LICENSES man completions; do
		[ -s "$scratch/unpacked/$file" ] || die "the archive has no $file"
	done
}

# The cask and the manifests contain the checksums of these archives.
manifests() {
	local sum file checksums=0
	file=dist/homebrew/Casks/$name.rb
	if command -v ruby >/dev/null; then ruby -c "$file"; else skipped "cask: ruby is not installed"; fi
	while read -r sum; do
		grep -qi "^$sum " dist/checksums.txt ||
			die "a manifest has the checksum $sum, which is not in checksums.txt"
		checksums=$((checksums + 1))
	done < <(grep -hoE '\b[0-9a-fA-F]{64}\b' "$file" "dist/scoop/$name.json" \
		dist/winget/manifests/e/ecr-oidc/"$name"/*/*.installer.yaml)
	[ $checksums = 8 ] ||
		die "the manifests have $checksums checksums; expected 4 for Homebrew, 2 for Scoop and 2 for winget"
	# The archives contain each file that the cask installs.
	while read -r file; do
		[ -e "packaging/share/$file" ] || die "the cask installs $file, which does not exist"
	done < <(sed -nE 's/^ *(manpage|[a-z]+_completion) "(.*)"$/\2/p' dist/homebrew/Casks/"$name".rb)
}

# Pushes the image to a registry, and copies the binary from it into another image.
image() {
	local ref architecture tag=check store
	"$crane" registry serve --address 127.0.0.1:0 >"$scratch/registry.log" 2>&1 &
	registry=$!
	until grep -q 'serving on port' "$scratch/registry.log"; do
		kill -0 $registry 2>/dev/null || die "crane registry serve failed: $(cat "$scratch/registry.log")"
		sleep 0.1
	done
	ref=127.0.0.1:$(sed -n 's/.*serving on port //p' "$scratch/registry.log")/$name:$tag
	"$crane" push dist/image "$ref" 2>"$scratch/push.log" || die "$(cat "$scratch/push.log")"
	"$crane" validate --remote "$ref"
	[ "$("$crane" digest "$ref")" = "$(cat dist/image.digest)" ] ||
		die "the image does not have the digest that packaging/image printed"
	for architecture in amd64 arm64; do
		mkdir "$scratch/$architecture"
		"$crane" export --platform "linux/$architecture" "$ref" - | tar -x -C "$scratch/$architecture"
		cmp "$scratch/$architecture/$name" dist/"$name"_linux_"$architecture"*/"$name"
	done
	command -v buildah >/dev/null || {
		skipped "image: buildah is not installed"
		return
	}
	[ "$(id -u)" = 0 ] || {
		skipped "image: buildah requires root"
		return
	}
	store=(--root "$scratch/store" --runroot "$scratch/run" --storage-driver vfs)
	mkdir "$scratch/context"
	printf 'FROM scratch\nCOPY --from=%s /%s /usr/local/bin/\n' "$ref" "$name" >"$scratch/context/Dockerfile"
	buildah "${store[@]}" bud --isolation chroot --tls-verify=false --tag copied "$scratch/context" \
		</dev/null >"$scratch/buildah.log" 2>&1 || die "$(cat "$scratch/buildah.log")"
	buildah "${store[@]}" push copied "dir:$scratch/pushed" 2>"$scratch/buildah.log" ||
		die "$(cat "$scratch/buildah.log")"
	mkdir "$scratch/copied"
	for layer in "$scratch"/pushed/*; do
		if gzip -t "$layer" 2>/dev/null; then tar -xzf "$layer" -C "$scratch/copied"; fi
	done
	check_version "$scratch/copied/usr/local/bin/$name"
}

(cd dist && sha256sum --check --quiet checksums.txt)
archives
debs
rpms
apks
pages
manifests
image
