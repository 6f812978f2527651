#!/bin/sh
# Installs docker-credential-ecr-oidc from its GitHub release on Linux and macOS. See docs/install.md.
# --help lists the flags.
#
# POSIX only, for dash, ash and bash. All commands are in functions and run from the last line, so that
# a truncated download does nothing. There are no here-documents: this script is also part of a CircleCI
# orb, where two less-than signs begin a parameter.

usage() {
	printf '%s\n' \
		'usage: install.sh [--version VERSION] [--dir DIR] [--mirror URL] [--sudo]' \
		'' \
		'  --version VERSION  version to install, such as 0.1.0 or v0.1.0' \
		'                     (default: ECR_OIDC_VERSION, or the latest release)' \
		'  --dir DIR          directory of the binary' \
		'                     (default: ECR_OIDC_INSTALL_DIR, or ~/.local/bin; on CircleCI, a directory of PATH)' \
		'  --mirror URL       replaces the part of the release'"'"'s URLs before /vVERSION/; requires a version' \
		'                     (default: ECR_OIDC_MIRROR)' \
		'  --sudo             write to DIR with sudo' \
		'' \
		'With ECR_OIDC_VERIFY=required, it installs nothing unless cosign verifies the signature.'
}

say() { printf '%s\n' "$*"; }

warn() { printf 'install.sh: %s\n' "$*" >&2; }

fail() {
	warn "$@"
	exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# privileged runs a command that writes to the directory, with sudo if --sudo is set.
privileged() {
	if [ "$sudo" = yes ]; then sudo "$@"; else "$@"; fi
}

cleanup() {
	rm -rf "$tmp"
	if [ -n "$new" ]; then privileged rm -f "$new"; fi
}

# set_option NAME VALUE sets one flag.
set_option() {
	case $1 in
	--version) version=$2 ;;
	--dir) dir=$2 ;;
	--mirror) mirror=$2 ;;
	*) fail "unknown flag $1; --help lists them" ;;
	esac
	[ -n "$2" ] || fail "$1 needs a value"
}

# last_error prints the last line of $tmp/output, the output of a program, without control characters.
last_error() { grep . "$tmp/output" | tail -n 1 | LC_ALL=C tr -cd '[:print:]'; }

# is_gnu_wget reports whether wget is GNU wget. BusyBox's wget has no timeouts, or crashes with them, as
# Debian 12's does with -T, and reads URLs only from its arguments.
is_gnu_wget() {
	case $(wget --version 2>&1) in GNU*) return 0 ;; esac
	return 1
}

# fetch_with_wget NAME is fetch with wget.
fetch_with_wget() {
	if is_gnu_wget; then
		printf '%s\n' "$base/$1" | LC_ALL=C wget --tries=3 --timeout=60 -i - -O "$tmp/$1"
	else
		LC_ALL=C wget -O "$tmp/$1" "$base/$1"
	fi
}

# fetch NAME downloads a file of the release to $tmp. If it fails, it sets $why to the cause, which is "not
# found" for HTTP status 404. If possible, it passes the URL on stdin: a mirror's URL may contain a login,
# and other processes can read arguments.
fetch() {
	why=
	: >"$tmp/output"
	case $downloader in
	curl)
		protocols='=https'
		case $base in http://*) protocols='=http,https' ;; esac # loopback; redirects must be https
		if code=$(printf 'url = "%s"\n' "$base/$1" | curl -K - -gsSL --proto "$protocols" --proto-redir '=https' --retry 3 --connect-timeout 20 \
			--speed-limit 1 --speed-time 60 -o "$tmp/$1" -w '%{http_code}' 2>"$tmp/output"); then
			case $code in
			200) return 0 ;;
			404) why='not found' ;;
			*) why="HTTP status $code" ;;
			esac
		fi
		;;
	wget)
		if fetch_with_wget "$1" 2>"$tmp/output"; then
			check_wget_output
			return 0
		fi
		check_wget_output
		if grep -q ' 404[ :]' "$tmp/output"; then why='not found'; fi
		;;
	esac
	why=${why:-$(last_error)}
	return 1
}

# check_wget_output exits if wget did not verify the server's certificate, or followed a redirect to http.
# BusyBox's wget only prints a note about the certificate. GNU wget prints redirects. curl does not follow
# redirects to http.
check_wget_output() {
	if grep -qi '^ *location: *http:' "$tmp/output"; then
		fail "downloading from ${shown:-$repository}: it redirects to http; nothing was installed"
	fi
	if grep -q 'certificate validation not implemented' "$tmp/output"; then
		fail "this wget does not check TLS certificates; install curl or GNU wget"
	fi
}

# latest prints the version to which releases/latest redirects. Unlike the API, it has no rate limit.
latest() {
	: >"$tmp/output"
	case $downloader in
	curl)
		to=$(curl -sS --proto '=https' --retry 3 --connect-timeout 20 -o /dev/null -w '%{redirect_url}' \
			"$repository/releases/latest" 2>"$tmp/output") || fail "requesting the latest version: $(last_error); specify one with --version"
		;;
	wget)
		if is_gnu_wget; then set -- --tries=3 --timeout=60; fi
		LC_ALL=C wget "$@" -S --spider -O /dev/null "$repository/releases/latest" >"$tmp/output" 2>&1 ||
			fail "requesting the latest version: $(last_error); specify one with --version"
		check_wget_output
		to=$(sed -n 's/^ *[Ll]ocation: *\([^ ]*\).*/\1/p' "$tmp/output" | head -n 1 | tr -d '\r')
		;;
	esac
	case $to in
	"$repository"/releases/tag/v*) printf '%s\n' "${to##*/v}" ;;
	*) fail "requesting the latest version: $repository/releases/latest redirects to ${to:-no release}; specify one with --version" ;;
	esac
}

# is_loopback reports whether a URL's host, which may have a port, is this machine.
is_loopback() {
	case $1 in '[::1]' | '[::1]:'*) return 0 ;; esac
	case ${1%%:*} in
	localhost) return 0 ;;
	*[!0-9.]* | *.*.*.*.*) return 1 ;; # a host name
	127.*.*.*) return 0 ;;
	esac
	return 1
}

sha256() {
	if have sha256sum; then
		sha256sum
	elif have shasum; then
		shasum -a 256
	else
		openssl dgst -sha256 -r
	fi <"$1" | cut -d ' ' -f 1
}

# listed_checksum NAME prints the checksum of a file in checksums.txt.
listed_checksum() {
	while read -r sum name; do
		if [ "${name#\*}" = "$1" ]; then
			printf '%s\n' "$sum"
			return
		fi
	done <"$tmp/checksums.txt"
}

# can_verify reports whether cosign 2.4 or later is available. If it is not, can_verify sets $why. A cosign
# without a version was built from source and is treated as new.
can_verify() {
	why="cosign is not on PATH"
	have cosign || return 1
	cosign=$(cosign version 2>/dev/null </dev/null | sed -n 's/^GitVersion:[[:space:]]*v\{0,1\}\([0-9]\{1,\}\.[0-9]\{1,\}\).*/\1/p')
	why="cosign is version $cosign; version 2.4 or later is required"
	case $cosign in [01].* | 2.[0-3]) return 1 ;; esac
}

# check_signature verifies with cosign, if it is available, that this repository's release workflow signed
# checksums.txt at the tag of this version.
check_signature() {
	if ! can_verify; then
		say "signature not checked: $why"
		return
	fi
	fetch checksums.txt.sigstore.json ||
		fail "downloading $shown/checksums.txt.sigstore.json: $why; without it, cosign cannot check the signature"
	identity=$repository/.github/workflows/release.yml@refs/tags/v$version
	set -- verify-blob --bundle "$tmp/checksums.txt.sigstore.json" --certificate-identity "$identity" \
		--certificate-oidc-issuer https://token.actions.githubusercontent.com
	case $cosign in 2.*) set -- "$@" --new-bundle-format ;; esac # the default of later versions
	cosign "$@" "$tmp/checksums.txt" >"$tmp/output" 2>&1 </dev/null ||
		fail "cosign cannot verify that checksums.txt is signed by $identity: $(last_error); nothing was installed"
	say "signature checked by cosign: $identity"
}

on_path() {
	case :$PATH: in *":$1:"*) return 0 ;; esac
	return 1
}

# reads_bash_env reports whether later steps of the job read BASH_ENV. bash reads it, and CircleCI runs
# steps with bash if /bin/bash exists
# (https://circleci.com/docs/reference/configuration-reference/#default-shell-options).
reads_bash_env() {
	[ -n "${BASH_ENV:-}" ] && { [ -n "${BASH_VERSION:-}" ] || [ -x /bin/bash ]; }
}

# choose_dir sets the default directory. On CircleCI, it is a directory of PATH, because a job without bash
# cannot change PATH for later steps.
choose_dir() {
	[ -n "${HOME:-}" ] || fail "HOME is not set; specify a directory with --dir"
	dir=$HOME/.local/bin
	if [ -z "${CIRCLECI:-}" ]; then return; fi
	for known in /usr/local/bin "$HOME/.local/bin" "$HOME/bin"; do
		if on_path "$known" && mkdir -p "$known" 2>/dev/null && [ -w "$known" ]; then
			dir=$known
			return
		fi
	done
	reads_bash_env ||
		fail "no directory of PATH is writable, and a job without bash cannot change PATH for its later steps; specify one with --dir"
}

# resolve_dir makes the directory an absolute path. It rejects a path that cannot be in PATH, or that would
# add a line to GITHUB_PATH or code to BASH_ENV. The path may contain the working directory, so the check
# is after the path is absolute.
resolve_dir() {
	case $dir in
	'$'* | '~'*) fail "the directory begins with \$ or ~, which is not expanded; use an absolute path" ;;
	/*) ;;
	*)
		here=$(pwd && echo .) || fail "there is no working directory; specify an absolute path with --dir"
		dir=${here%??}/$dir # removes only the newline of pwd; the name may end with a newline
		;;
	esac
	case $dir in
	*[[:cntrl:]]*) fail "the path of the directory contains a control character; specify another with --dir" ;;
	*"'"* | *:*) fail "the directory is $dir; its path must not contain a quote or a colon; specify another with --dir" ;;
	esac
}

# add_to_path adds the directory to PATH for later steps of a CI job, or warns that it is not on PATH.
add_to_path() {
	if on_path "$dir"; then
		first=$(command -v "$program" || true)
		case $first in
		"$dir/$program") ;;
		*) warn "PATH has $first before $dir/$program" ;;
		esac
	elif [ "${GITHUB_ACTIONS:-}" = true ] && [ -n "${GITHUB_PATH:-}" ]; then
		printf '%s\n' "$dir" >>"$GITHUB_PATH"
		say "$dir is on PATH in later steps of this job"
	elif [ -n "${CIRCLECI:-}" ] && reads_bash_env; then
		printf "export PATH='%s':\"\$PATH\"\n" "$dir" >>"$BASH_ENV"
		say "$dir is on PATH in later steps of this job"
	else
		warn "$dir is not on PATH, where Docker looks for $program; add it: export PATH='$dir':\"\$PATH\""
	fi
}

main() {
	set -eu
	program=docker-credential-ecr-oidc
	repository=https://github.com/ecr-oidc/$program
	version=${ECR_OIDC_VERSION:-latest}
	dir=${ECR_OIDC_INSTALL_DIR:-}
	mirror=${ECR_OIDC_MIRROR:-}
	verify=${ECR_OIDC_VERIFY:-}
	sudo=no
	new=

	while [ $# -gt 0 ]; do
		case $1 in
		--help | -h)
			usage
			return
			;;
		--sudo)
			sudo=yes
			shift
			;;
		--*=*)
			set_option "${1%%=*}" "${1#*=}"
			shift
			;;
		--*)
			set_option "$1" "${2:-}"
			shift 2
			;;
		*) fail "unknown argument $1; --help lists the flags" ;;
		esac
	done

	os=$(uname -s)
	arch=$(uname -m)
	case $os in
	Linux) os=linux ;;
	Darwin) os=darwin ;;
	MINGW* | MSYS* | CYGWIN* | Windows*) fail "on Windows, use install.ps1" ;;
	*) fail "there is no release for $os; to build it from source: go install github.com/ecr-oidc/$program/cmd/$program@latest" ;;
	esac
	case $arch in
	x86_64 | amd64) arch=amd64 ;;
	aarch64 | arm64) arch=arm64 ;;
	*) fail "there is no release for $arch; to build it from source: go install github.com/ecr-oidc/$program/cmd/$program@latest" ;;
	esac

	if have curl; then
		downloader=curl
	elif have wget; then
		downloader=wget
	else
		fail "neither curl nor wget is on PATH; install one of them"
	fi
	have sha256sum || have shasum || have openssl ||
		fail "none of sha256sum, shasum and openssl is on PATH; install one of them"
	if [ "$sudo" = yes ]; then have sudo || fail "--sudo: sudo is not on PATH"; fi
	case $verify in
	'') ;;
	required) can_verify || fail "ECR_OIDC_VERIFY is required, but $why; install cosign 2.4 or later" ;;
	*) fail "ECR_OIDC_VERIFY is $verify; set it to \"required\", or unset it" ;;
	esac

	if [ -z "$dir" ]; then choose_dir; fi
	resolve_dir
	privileged mkdir -p "$dir" 2>/dev/null || fail "cannot create the directory $dir; specify another with --dir, or use --sudo"
	# -L removes ".." and does not resolve symlinks, so that the path has only names that were checked.
	dir=$(CDPATH='' cd -L -- "$dir" && pwd -L)
	[ -w "$dir" ] || [ "$sudo" = yes ] || fail "the directory $dir is not writable; specify another with --dir, or use --sudo"
	[ ! -d "$dir/$program" ] || fail "$dir/$program is a directory; move it away"

	tmp=$(mktemp -d)
	trap cleanup EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM

	version=${version#v}
	if [ "$version" = latest ]; then
		[ -z "$mirror" ] || fail "a mirror has no latest version; specify one with --version or ECR_OIDC_VERSION"
		version=$(latest)
	fi
	case $version in
	[0-9]*.[0-9]*.[0-9]*) ;;
	*) fail "$version is not a version; use a version such as 0.1.0" ;;
	esac
	case $version in *[!0-9A-Za-z.+-]*) fail "$version is not a version; use a version such as 0.1.0" ;; esac

	base=${mirror:-$repository/releases/download}
	base=${base%/}/v$version
	case $base in *[[:space:][:cntrl:]\"\\]*) fail "the mirror's URL contains an invalid character" ;; esac
	# Messages contain the URL without its login.
	authority=${base#*://}
	authority=${authority%%[/?#]*}
	login=${authority%"${authority##*@}"}
	shown=${base%%://*}://${base#*://"$login"}
	case $base in
	https://*) ;;
	http://*)
		is_loopback "${authority#"$login"}" || fail "the mirror must begin with https://: with http, an attacker in the network can replace the archive and its checksum"
		unset http_proxy HTTP_PROXY all_proxy ALL_PROXY # the proxy is not on this machine
		;;
	*) fail "the mirror must begin with https://" ;;
	esac
	if [ -n "$login" ] && [ "$downloader" = wget ] && ! is_gnu_wget; then
		fail "with this wget, other processes can read the mirror's login; install curl or GNU wget"
	fi
	archive=${program}_${version}_${os}_$arch.tar.gz

	if ! fetch checksums.txt; then
		[ "$why" != 'not found' ] || why="not found; check that version $version exists"
		fail "downloading $shown/checksums.txt: $why"
	fi
	check_signature
	want=$(listed_checksum "$archive")
	[ -n "$want" ] || fail "version $version has no build for $os/$arch: checksums.txt does not list $archive"
	fetch "$archive" || fail "downloading $shown/$archive: $why"
	got=$(sha256 "$tmp/$archive")
	[ "$got" = "$want" ] ||
		fail "checksum mismatch: $shown/$archive has $got, checksums.txt lists $want; nothing was installed"
	say "checksum ok: $archive $got"

	tar -xzf "$tmp/$archive" -C "$tmp" "$program" 2>"$tmp/output" || fail "unpacking $archive: $(last_error); nothing was installed"
	new=$(privileged mktemp "$dir/.$program.XXXXXX" 2>"$tmp/output") || fail "writing to $dir: $(last_error)"
	privileged cp "$tmp/$program" "$new" 2>"$tmp/output" || fail "writing to $dir: $(last_error)"
	privileged chmod 0755 "$new"
	runs=$("$new" version 2>"$tmp/output") || fail "the downloaded binary does not run: $(last_error); nothing was installed"
	privileged mv -f "$new" "$dir/$program"
	new=
	say "installed $dir/$program: $runs"
	add_to_path
}

{ main "$@"; }
