#!/bin/sh
# Installs docker-credential-ecr-oidc from its GitHub release, on Linux and macOS. docs/install.md says how, and --help
# lists the flags.
#
# Strictly POSIX, for dash, ash and bash. Nothing runs before the last line has been read, so that a download which was
# cut off does nothing. There are no here-documents: this text is part of a CircleCI orb too, where two less-than signs
# begin a parameter.

usage() {
	printf '%s\n' \
		'usage: install.sh [--version VERSION] [--dir DIR] [--mirror URL] [--sudo]' \
		'' \
		'  --version VERSION  0.1.0 or v0.1.0; else ECR_OIDC_VERSION, else the latest release' \
		'  --dir DIR          where the binary goes; else ECR_OIDC_INSTALL_DIR, else ~/.local/bin, on CircleCI a directory' \
		'                     of PATH' \
		'  --mirror URL       takes the place of all before /vVERSION/ in the release'"'"'s addresses; else ECR_OIDC_MIRROR;' \
		'                     needs a version' \
		'  --sudo             write into DIR with sudo' \
		'' \
		'With ECR_OIDC_VERIFY=required it installs nothing unless cosign verifies the signature.'
}

say() { printf '%s\n' "$*"; }

warn() { printf 'install.sh: %s\n' "$*" >&2; }

fail() {
	warn "$@"
	exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# privileged runs what writes into the directory, with sudo when that was asked for.
privileged() {
	if [ "$sudo" = yes ]; then sudo "$@"; else "$@"; fi
}

cleanup() {
	rm -rf "$tmp"
	if [ -n "$new" ]; then privileged rm -f "$new"; fi
}

# option NAME VALUE is one flag.
option() {
	case $1 in
	--version) version=$2 ;;
	--dir) dir=$2 ;;
	--mirror) mirror=$2 ;;
	*) fail "unknown flag $1; --help lists them" ;;
	esac
	[ -n "$2" ] || fail "$1 needs a value"
}

# said prints the last line that a program wrote into $tmp/said, without control characters.
said() { grep . "$tmp/said" | tail -n 1 | LC_ALL=C tr -cd '[:print:]'; }

# gnu_wget says whether wget is GNU's. BusyBox's has no limits to set, or crashes of them, as Debian 12's does of -T, and
# takes a URL as an argument only.
gnu_wget() {
	case $(wget --version 2>&1) in GNU*) return 0 ;; esac
	return 1
}

# wgot NAME is fetch with wget.
wgot() {
	if gnu_wget; then
		printf '%s\n' "$base/$1" | LC_ALL=C wget --tries=3 --timeout=60 -i - -O "$tmp/$1"
	else
		LC_ALL=C wget -O "$tmp/$1" "$base/$1"
	fi
}

# fetch NAME downloads a file of the release into $tmp. A failure leaves its cause in $why, which is "not found" where the
# server says so. The URL goes to stdin where that can be: a mirror's may have a login in it, and arguments are for all to
# read.
fetch() {
	why=
	: >"$tmp/said"
	case $downloader in
	curl)
		protocols='=https'
		case $base in http://*) protocols='=http,https' ;; esac # on loopback; what it leads to is https all the same
		if code=$(printf 'url = "%s"\n' "$base/$1" | curl -K - -gsSL --proto "$protocols" --proto-redir '=https' --retry 3 --connect-timeout 20 \
			--speed-limit 1 --speed-time 60 -o "$tmp/$1" -w '%{http_code}' 2>"$tmp/said"); then
			case $code in
			200) return 0 ;;
			404) why='not found' ;;
			*) why="HTTP status $code" ;;
			esac
		fi
		;;
	wget)
		if wgot "$1" 2>"$tmp/said"; then
			checked
			return 0
		fi
		checked
		if grep -q ' 404[ :]' "$tmp/said"; then why='not found'; fi
		;;
	esac
	why=${why:-$(said)}
	return 1
}

# checked refuses a wget that has just spoken TLS with it knows not whom, which some of BusyBox's do and only mention, and
# what came along a redirect to http, which curl does not follow and GNU wget mentions.
checked() {
	if grep -qi '^ *location: *http:' "$tmp/said"; then
		fail "downloading from ${shown:-$repository}: it leads away from https; nothing was installed"
	fi
	if grep -q 'certificate validation not implemented' "$tmp/said"; then
		fail "this wget does not check TLS certificates; install curl, or GNU wget"
	fi
}

# latest prints the version that releases/latest leads to: one redirect, and none of the API's rate limits.
latest() {
	: >"$tmp/said"
	case $downloader in
	curl)
		to=$(curl -sS --proto '=https' --retry 3 --connect-timeout 20 -o /dev/null -w '%{redirect_url}' \
			"$repository/releases/latest" 2>"$tmp/said") || fail "asking for the latest version: $(said); name one with --version"
		;;
	wget)
		if gnu_wget; then set -- --tries=3 --timeout=60; fi
		LC_ALL=C wget "$@" -S --spider -O /dev/null "$repository/releases/latest" >"$tmp/said" 2>&1 ||
			fail "asking for the latest version: $(said); name one with --version"
		checked
		to=$(sed -n 's/^ *[Ll]ocation: *\([^ ]*\).*/\1/p' "$tmp/said" | head -n 1 | tr -d '\r')
		;;
	esac
	case $to in
	"$repository"/releases/tag/v*) printf '%s\n' "${to##*/v}" ;;
	*) fail "asking for the latest version: $repository/releases/latest leads to ${to:-no release}; name one with --version" ;;
	esac
}

# loopback says whether a URL's host, with its port, is this machine.
loopback() {
	case $1 in '[::1]' | '[::1]:'*) return 0 ;; esac
	case ${1%%:*} in
	localhost) return 0 ;;
	*[!0-9.]* | *.*.*.*.*) return 1 ;; # a name
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

# listed prints what checksums.txt says of a file.
listed() {
	while read -r sum name; do
		if [ "${name#\*}" = "$1" ]; then
			printf '%s\n' "$sum"
			return
		fi
	done <"$tmp/checksums.txt"
}

# can_verify says whether there is a cosign that reads our signatures, which it does from 2.4 on; a failure leaves what is
# missing in $why. One that does not know its version was built by hand, and is new.
can_verify() {
	why="cosign is not on PATH"
	have cosign || return 1
	cosign=$(cosign version 2>/dev/null </dev/null | sed -n 's/^GitVersion:[[:space:]]*v\{0,1\}\([0-9]\{1,\}\.[0-9]\{1,\}\).*/\1/p')
	why="cosign is $cosign, and 2.4 is the first that can"
	case $cosign in [01].* | 2.[0-3]) return 1 ;; esac
}

# check_signature asks cosign, where there is one, whether our release workflow at this version's tag signed
# checksums.txt.
check_signature() {
	if ! can_verify; then
		say "signature not checked: $why"
		return
	fi
	fetch checksums.txt.sigstore.json ||
		fail "downloading $shown/checksums.txt.sigstore.json: $why; cosign is here and has nothing to check"
	identity=$repository/.github/workflows/release.yml@refs/tags/v$version
	set -- verify-blob --bundle "$tmp/checksums.txt.sigstore.json" --certificate-identity "$identity" \
		--certificate-oidc-issuer https://token.actions.githubusercontent.com
	case $cosign in 2.*) set -- "$@" --new-bundle-format ;; esac # later ones take that for granted
	cosign "$@" "$tmp/checksums.txt" >"$tmp/said" 2>&1 </dev/null ||
		fail "cosign does not find checksums.txt signed by $identity: $(said); nothing was installed"
	say "signature checked by cosign: $identity"
}

on_path() {
	case :$PATH: in *":$1:"*) return 0 ;; esac
	return 1
}

# reads_bash_env says whether the job's later steps read BASH_ENV: bash does, and CircleCI takes bash for its steps where
# there is /bin/bash (https://circleci.com/docs/reference/configuration-reference/#default-shell-options).
reads_bash_env() {
	[ -n "${BASH_ENV:-}" ] && { [ -n "${BASH_VERSION:-}" ] || [ -x /bin/bash ]; }
}

# choose_dir picks the directory when none was named. On CircleCI that is one of PATH, which needs nothing to survive
# from this step to the next; images without bash have no means for that.
choose_dir() {
	[ -n "${HOME:-}" ] || fail "HOME is not set; name a directory with --dir"
	dir=$HOME/.local/bin
	if [ -z "${CIRCLECI:-}" ]; then return; fi
	for known in /usr/local/bin "$HOME/.local/bin" "$HOME/bin"; do
		if on_path "$known" && mkdir -p "$known" 2>/dev/null && [ -w "$known" ]; then
			dir=$known
			return
		fi
	done
	reads_bash_env ||
		fail "no directory of PATH is writable, and a job without bash cannot change PATH for its later steps; name one with --dir"
}

# resolve_dir makes the directory an absolute path, and refuses one that PATH cannot hold, or that
# would add a line to GITHUB_PATH or code to BASH_ENV. The working directory is part of that path,
# so its name is checked too.
resolve_dir() {
	case $dir in
	'$'* | '~'*) fail "the directory begins with \$ or ~, which nothing has expanded; write the path out" ;;
	/*) ;;
	*)
		here=$(pwd && echo .) || fail "there is no working directory; name an absolute path with --dir"
		dir=${here%??}/$dir # without pwd's own line end; the name may end with another
		;;
	esac
	case $dir in
	*[[:cntrl:]]*) fail "the path of the directory contains a control character; name another with --dir" ;;
	*"'"* | *:*) fail "the directory is $dir; its path cannot contain a quote or a colon; name another with --dir" ;;
	esac
}

# later makes the directory known to what comes after this script, or says that it is not.
later() {
	if on_path "$dir"; then
		first=$(command -v "$program" || true)
		case $first in
		"$dir/$program") ;;
		*) warn "PATH finds $first before $dir/$program" ;;
		esac
	elif [ "${GITHUB_ACTIONS:-}" = true ] && [ -n "${GITHUB_PATH:-}" ]; then
		printf '%s\n' "$dir" >>"$GITHUB_PATH"
		say "$dir is on PATH in this job's later steps"
	elif [ -n "${CIRCLECI:-}" ] && reads_bash_env; then
		printf "export PATH='%s':\"\$PATH\"\n" "$dir" >>"$BASH_ENV"
		say "$dir is on PATH in this job's later steps"
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
			option "${1%%=*}" "${1#*=}"
			shift
			;;
		--*)
			option "$1" "${2:-}"
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
	MINGW* | MSYS* | CYGWIN* | Windows*) fail "this is Windows, for which there is install.ps1" ;;
	*) fail "there is no release for $os; with Go: go install github.com/ecr-oidc/$program/cmd/$program@latest" ;;
	esac
	case $arch in
	x86_64 | amd64) arch=amd64 ;;
	aarch64 | arm64) arch=arm64 ;;
	*) fail "there is no release for $arch; with Go: go install github.com/ecr-oidc/$program/cmd/$program@latest" ;;
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
	required) can_verify || fail "ECR_OIDC_VERIFY=required, and $why; install cosign 2.4 or later" ;;
	*) fail "ECR_OIDC_VERIFY is $verify; it is \"required\", or not set" ;;
	esac

	if [ -z "$dir" ]; then choose_dir; fi
	resolve_dir
	privileged mkdir -p "$dir" 2>/dev/null || fail "cannot make the directory $dir; name another with --dir, or use --sudo"
	# -L: without "..", and with no name that resolve_dir has not seen.
	dir=$(CDPATH='' cd -L -- "$dir" && pwd -L)
	[ -w "$dir" ] || [ "$sudo" = yes ] || fail "the directory $dir is not writable; name another with --dir, or use --sudo"
	[ ! -d "$dir/$program" ] || fail "$dir/$program is a directory; move it away"

	tmp=$(mktemp -d)
	trap cleanup EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM

	version=${version#v}
	if [ "$version" = latest ]; then
		[ -z "$mirror" ] || fail "a mirror has no latest version; name one with --version or ECR_OIDC_VERSION"
		version=$(latest)
	fi
	case $version in
	[0-9]*.[0-9]*.[0-9]*) ;;
	*) fail "$version is not a version; one is like 0.1.0" ;;
	esac
	case $version in *[!0-9A-Za-z.+-]*) fail "$version is not a version; one is like 0.1.0" ;; esac

	base=${mirror:-$repository/releases/download}
	base=${base%/}/v$version
	case $base in *[[:space:][:cntrl:]\"\\]*) fail "the mirror's URL has a character in it that no URL has" ;; esac
	# What is shown of it is without the login that it may have.
	at=${base#*://}
	at=${at%%[/?#]*}
	login=${at%"${at##*@}"}
	shown=${base%%://*}://${base#*://"$login"}
	case $base in
	https://*) ;;
	http://*)
		loopback "${at#"$login"}" || fail "the mirror must begin with https://: over http anybody on the way can change what comes, and its checksum"
		unset http_proxy HTTP_PROXY all_proxy ALL_PROXY # which would be on the way
		;;
	*) fail "the mirror must begin with https://" ;;
	esac
	if [ -n "$login" ] && [ "$downloader" = wget ] && ! gnu_wget; then
		fail "this wget would show the mirror's login to every process; install curl, or GNU wget"
	fi
	archive=${program}_${version}_${os}_$arch.tar.gz

	if ! fetch checksums.txt; then
		[ "$why" != 'not found' ] || why="not found; is there a version $version?"
		fail "downloading $shown/checksums.txt: $why"
	fi
	check_signature
	want=$(listed "$archive")
	[ -n "$want" ] || fail "version $version has no build for $os/$arch: checksums.txt does not name $archive"
	fetch "$archive" || fail "downloading $shown/$archive: $why"
	got=$(sha256 "$tmp/$archive")
	[ "$got" = "$want" ] ||
		fail "checksum mismatch: $shown/$archive has $got, checksums.txt says $want; nothing was installed"
	say "checksum ok: $archive $got"

	tar -xzf "$tmp/$archive" -C "$tmp" "$program" 2>"$tmp/said" || fail "unpacking $archive: $(said); nothing was installed"
	new=$(privileged mktemp "$dir/.$program.XXXXXX" 2>"$tmp/said") || fail "writing into $dir: $(said)"
	privileged cp "$tmp/$program" "$new" 2>"$tmp/said" || fail "writing into $dir: $(said)"
	privileged chmod 0755 "$new"
	runs=$("$new" version 2>"$tmp/said") || fail "what was downloaded does not run here: $(said); nothing was installed"
	privileged mv -f "$new" "$dir/$program"
	new=
	say "installed $dir/$program: $runs"
	later
}

{ main "$@"; }
