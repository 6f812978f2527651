#!/usr/bin/env bash
# Prints whether a tag is the highest version of this repository's, "true" or
# "false": only that one is what "latest" means. A release candidate never is,
# and a fix of an older version is not either.
#
#   packaging/highest.sh TAG
set -euo pipefail
highest=$(git tag --list | grep -xE 'v[0-9]+\.[0-9]+\.[0-9]+' | sort -V | tail -n 1)
if [ "$1" = "$highest" ]; then echo true; else echo false; fi
