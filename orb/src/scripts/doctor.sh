#!/bin/sh
# Diagnoses the logins of a job that failed. POSIX only, for images without bash. There are no
# here-documents: two less-than signs begin a parameter in an orb.
set -eu

fail() {
	printf 'ecr-oidc/doctor: %s\n' "$*" >&2
	exit 1
}

# shellcheck source-path=SCRIPTDIR
. ./parameters.sh
# shellcheck source-path=SCRIPTDIR
. ./helper.sh

if ! command -v docker-credential-ecr-oidc >/dev/null 2>&1; then
	echo "ecr-oidc/doctor: docker-credential-ecr-oidc is not on PATH; see the step that installs it"
	exit
fi

set -f
set --
for ORB_ENTRY in $ORB_REGISTRIES; do
	ORB_HOST=$(part registries "${ORB_ENTRY%%=*}" '=[:space:]')
	ORB_HOST=${ORB_HOST#https://}
	set -- "$@" "${ORB_HOST%%/*}"
done
helper doctor -- "$@"
