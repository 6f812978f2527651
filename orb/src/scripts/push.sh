#!/bin/sh
# Builds an image and pushes each of its tags. POSIX, for images that have ash alone; no here-documents, since two
# less-than signs begin a parameter in an orb.
set -eu

fail() {
	printf 'ecr-oidc/push: %s\n' "$*" >&2
	exit 1
}

# shellcheck source-path=SCRIPTDIR
. ./expand.sh

# tag TEXT expands one tag of the list. A value with a comma or white space in it is refused: it
# would add tags.
tag() (
	LC_ALL=C
	_tag=$(expand tag "$1") || exit 1
	case $_tag in
	'' | [!A-Za-z0-9_]* | *[!A-Za-z0-9_.-]*)
		fail "tag has $1, which is not a tag in this job; allowed are letters, digits, _ . - (. - not first)"
		;;
	esac
	printf '%s\n' "$_tag"
)

ORB_IMAGE=$(expand image "$ORB_IMAGE")
ORB_PATH=$(expand path "$ORB_PATH")
ORB_DOCKERFILE=$(expand dockerfile "$ORB_DOCKERFILE")
# xargs takes quotes apart as a shell would, and expands nothing.
ORB_ARGUMENTS=$(printf '%s\n' "$ORB_EXTRA_BUILD_ARGS" | xargs -n 1 printf '%s\n' 2>/dev/null) ||
	fail "extra_build_args is $ORB_EXTRA_BUILD_ARGS, in which a quote is open"

set -f
set --
[ -z "$ORB_DOCKERFILE" ] || set -- "$@" --file "$ORB_DOCKERFILE"
IFS=$(printf '\nx')
IFS=${IFS%x}
for ORB_ARGUMENT in $ORB_ARGUMENTS; do
	ORB_ARGUMENT=$(expand extra_build_args "$ORB_ARGUMENT")
	set -- "$@" "$ORB_ARGUMENT"
done
# The list is split before its variables are expanded, so that the value of a variable is one tag.
IFS=$(printf ', \t\nx')
IFS=${IFS%x}
ORB_PARTS=
for ORB_PART in $ORB_TAG; do
	[ -n "$ORB_PART" ] || continue # between two commas
	ORB_PART=$(tag "$ORB_PART")
	set -- "$@" --tag "$ORB_IMAGE:$ORB_PART"
	ORB_PARTS="$ORB_PARTS $ORB_PART"
done
[ -n "$ORB_PARTS" ] || fail "tag names none; one is like 1.0, and several are separated by commas"

docker build "$@" -- "$ORB_PATH"
for ORB_PART in $ORB_PARTS; do docker push -- "$ORB_IMAGE:$ORB_PART"; done
