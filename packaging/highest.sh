#!/usr/bin/env bash
# Prints "true" if a tag is the highest version of this repository, and "false"
# otherwise. "latest" is the highest version. It is neither a release candidate
# nor a fix of an older version.
#
#   packaging/highest.sh TAG
set -euo pipefail
highest=$(git tag --list | grep -xE 'v[0-9]+\.[0-9]+\.[0-9]+' | sort -V | tail -n 1)
if [ "$1" = "$highest" ]; then echo true; else echo false; fi
