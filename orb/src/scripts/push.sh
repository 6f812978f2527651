#!/bin/sh
# Builds an image and pushes each of its tags. POSIX only, for images without bash. There are no
# here-documents: two less-than signs begin a parameter in an orb.
set -eu

fail() {
	printf 'ecr-oidc/push: %s\n' "$*" >&2
	exit 1
}

# shellcheck source-path=SCRIPTDIR
. ./expand.sh

# tag TEXT expands one tag. It rejects a value that is not a valid tag, such as one with a comma or white
# space, which would add tags.
tag() (
	LC_ALL=C
	_tag=$(expand tag "$1") || exit 1
	case $_tag in
	'' | [!A-Za-z0-9_]* | *[!A-Za-z0-9_.-]*)
		fail "tag has $1, which is not a valid tag in this job; allowed are letters, digits, _ . - (not . or - first)"
		;;
	esac
	printf '%s\n' "$_tag"
)

ORB_IMAGE=$(expand image "$ORB_IMAGE")
ORB_PATH=$(expand path "$ORB_PATH")
ORB_DOCKERFILE=$(expand dockerfile "$ORB_DOCKERFILE")
# xargs parses quotes as a shell does, and expands nothing.
ORB_ARGUMENTS=$(printf '%s\n' "$ORB_EXTRA_BUILD_ARGS" | xargs -n 1 printf '%s\n' 2>/dev/null) ||
	fail "extra_build_args is $ORB_EXTRA_BUILD_ARGS, which has an unclosed quote"

set -f
set --
[ -z "$ORB_DOCKERFILE" ] || set -- "$@" --file "$ORB_DOCKERFILE"
IFS=$(printf '\nx')
IFS=${IFS%x}
for ORB_ARGUMENT in $ORB_ARGUMENTS; do
	ORB_ARGUMENT=$(expand extra_build_args "$ORB_ARGUMENT")
	set -- "$@" "$ORB_ARGUMENT"
done
# The list is split before variables are expanded, so that the value of a variable is one tag.
IFS=$(printf ', \t\nx')
IFS=${IFS%x}
ORB_PARTS=
for ORB_PART in $ORB_TAG; do
	[ -n "$ORB_PART" ] || continue # the text between two commas is empty
	ORB_PART=$(tag "$ORB_PART")
	set -- "$@" --tag "$ORB_IMAGE:$ORB_PART"
	ORB_PARTS="$ORB_PARTS $ORB_PART"
done
[ -n "$ORB_PARTS" ] || fail "tag is empty; use a tag such as 1.0, or several separated by commas"

docker build "$@" -- "$ORB_PATH"
for ORB_PART in $ORB_PARTS; do docker push -- "$ORB_IMAGE:$ORB_PART"; done
