#!/usr/bin/env bash
# Writes a file into a repository of ours, by GitHub's API, unless it is there
# already with this content. Run by release.yml, whose variables it reads.
#
#   packaging/tap.sh REPOSITORY PATH FILE
set -euo pipefail
there=repos/$GITHUB_REPOSITORY_OWNER/$1/contents/$2
blob=$(git hash-object --no-filters "$3")
# The first version has none before it; any other error shows when it is written.
old=$(gh api "$there" --jq .sha 2>/dev/null) || old=
if [ "$old" = "$blob" ]; then
	echo "$1: $2 is there already"
	exit
fi
arguments=(-f "message=docker-credential-ecr-oidc $TAG" -f "content=$(base64 -w 0 "$3")")
[ -z "$old" ] || arguments+=(-f "sha=$old")
gh api --method PUT "$there" "${arguments[@]}" --jq .commit.html_url
