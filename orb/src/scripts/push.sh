#!/bin/sh
# Builds an image and pushes each of its tags, with docker build and docker push, or with docker buildx.
# POSIX only, for images without bash. There are no here-documents: two less-than signs begin a parameter
# in an orb.
set -eu

fail() {
	printf 'ecr-oidc/push: %s\n' "$*" >&2
	exit 1
}

# shellcheck source-path=SCRIPTDIR
. ./parameters.sh

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

# builder creates a builder, once in a job. Docker's own builder cannot build for several platforms. buildx
# rejects the certificates of remote Docker in the environment, and reads those of a context. The builder
# and the context cannot have the same name.
builder() {
	docker buildx inspect ecr-oidc >/dev/null 2>&1 && return
	docker context inspect ecr-oidc-engine >/dev/null 2>&1 || docker context create ecr-oidc-engine >/dev/null
	docker buildx create --name ecr-oidc --driver docker-container ecr-oidc-engine
}

ORB_IMAGE=$(expand image "$ORB_IMAGE")
ORB_PATH=$(expand path "$ORB_PATH")
ORB_DOCKERFILE=$(expand dockerfile "$ORB_DOCKERFILE")
# xargs parses quotes as a shell does, and expands nothing.
ORB_ARGUMENTS=$(printf '%s\n' "$ORB_EXTRA_BUILD_ARGS" | xargs -n 1 printf '%s\n' 2>/dev/null) ||
	fail "extra_build_args is $ORB_EXTRA_BUILD_ARGS, which has an unclosed quote"

ORB_PLATFORMS=$(expand platforms "$ORB_PLATFORMS")
ORB_BINFMT_IMAGE=$(expand binfmt_image "$ORB_BINFMT_IMAGE")

# Without a dot in its first part, the image is a repository in the registries of account_id.
case ${ORB_IMAGE%%/*} in
*.*) ORB_IMAGES=$ORB_IMAGE ;;
*)
	ORB_HOSTS=$(hosts "$ORB_ACCOUNT_ID" "$ORB_REGION")
	[ -n "$ORB_HOSTS" ] ||
		fail "image is $ORB_IMAGE, which has no registry; use an image such as 123456789012.dkr.ecr.eu-west-2.amazonaws.com/$ORB_IMAGE, or set account_id and region"
	ORB_IMAGES=
	for ORB_HOST in $ORB_HOSTS; do ORB_IMAGES="$ORB_IMAGES $ORB_HOST/$ORB_IMAGE"; done
	;;
esac
case $ORB_IMAGE in
*[[:space:],]*) fail "image is $ORB_IMAGE, which contains a comma or white space" ;;
esac

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
	ORB_PARTS="$ORB_PARTS $ORB_PART"
done
[ -n "$ORB_PARTS" ] || fail "tag is empty; use a tag such as 1.0, or several separated by commas"

ORB_REFERENCES=
for ORB_IMAGE in $ORB_IMAGES; do
	for ORB_PART in $ORB_PARTS; do
		set -- "$@" --tag "$ORB_IMAGE:$ORB_PART"
		ORB_REFERENCES="$ORB_REFERENCES $ORB_IMAGE:$ORB_PART"
	done
done

if [ -z "$ORB_PLATFORMS" ] && [ "$ORB_BUILDX" != true ]; then
	docker build "$@" -- "$ORB_PATH"
	for ORB_REFERENCE in $ORB_REFERENCES; do docker push -- "$ORB_REFERENCE"; done
	exit
fi
docker buildx version >/dev/null 2>&1 ||
	fail "platforms and buildx require docker buildx, which this executor does not have; use an image that has it, such as docker:29-cli"
if [ -n "$ORB_PLATFORMS" ]; then
	set -- --platform "$ORB_PLATFORMS" "$@"
	# The engine runs the commands of another platform with QEMU.
	[ -z "$ORB_BINFMT_IMAGE" ] ||
		[ "$ORB_PLATFORMS" = "$(docker version --format '{{.Server.Os}}/{{.Server.Arch}}')" ] ||
		docker run --privileged --rm "$ORB_BINFMT_IMAGE" --install all
fi
builder
docker buildx build --builder ecr-oidc --push "$@" -- "$ORB_PATH"
