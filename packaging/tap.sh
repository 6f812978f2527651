#!/usr/bin/env bash
# Writes a file to another repository of the owner with GitHub's API, unless the
# file already has this content. release.yml runs it and sets its variables.
#
#   packaging/tap.sh REPOSITORY PATH FILE
set -euo pipefail
url=repos/$GITHUB_REPOSITORY_OWNER/$1/contents/$2
blob=$(git hash-object --no-filters "$3")
# The file does not exist before the first version. Other errors are reported when the file is written.
old=$(gh api "$url" --jq .sha 2>/dev/null) || old=
if [ "$old" = "$blob" ]; then
	echo "$1: $2 is up to date"
	exit
fi
arguments=(-f "message=docker-credential-ecr-oidc $TAG" -f "content=$(base64 -w 0 "$3")")
[ -z "$old" ] || arguments+=(-f "sha=$old")
gh api --method PUT "$url" "${arguments[@]}" --jq .commit.html_url
