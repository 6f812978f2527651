#!/bin/sh
# Configures Docker to use docker-credential-ecr-oidc for the registries in the orb's parameters. POSIX
# only, for images without bash. There are no here-documents: two less-than signs begin a parameter in an
# orb.
set -eu

fail() {
	printf 'ecr-oidc/configure: %s\n' "$*" >&2
	exit 1
}

# shellcheck source-path=SCRIPTDIR
. ./expand.sh

# part PARAMETER TEXT SEPARATORS expands one element of a list. It rejects a value that contains a
# separator, which would add elements to the list.
part() {
	_part=$(expand "$1" "$2") || exit 1
	case $_part in
	*[$3]*) fail "$1 has $2, and the value of a variable in it contains a separator; list each registry and role" ;;
	esac
	printf '%s\n' "$_part"
}

# roles PARAMETER TEXT SEPARATORS expands a role, or a chain of roles separated by commas.
roles() (
	set -f
	IFS=,
	_chain=
	for _role in $2; do
		_chain=$_chain,$(part "$1" "$_role" "$3") || exit 1
	done
	printf '%s\n' "${_chain#,}"
)

command -v docker-credential-ecr-oidc >/dev/null 2>&1 ||
	fail "docker-credential-ecr-oidc is not on PATH; run this orb's command install first; without bash, set install_dir to a directory of PATH"

ORB_AUDIENCE=$(expand audience "$ORB_AUDIENCE")
ORB_SESSION_NAME=$(expand session_name "$ORB_SESSION_NAME")
ORB_SESSION_DURATION=$(expand session_duration "$ORB_SESSION_DURATION")
ORB_ALLOWED_ACCOUNT_IDS=$(expand allowed_account_ids "$ORB_ALLOWED_ACCOUNT_IDS")
ORB_DOCKER_CONFIG=$(expand docker_config "$ORB_DOCKER_CONFIG")
# The helper reads ECR_ROLE_TO_ASSUME, so the default is not written to ecr-oidc.yaml.
case $ORB_ROLE_ARN in
"\$ECR_ROLE_TO_ASSUME" | "\${ECR_ROLE_TO_ASSUME}") ORB_ROLE_ARN= ;;
esac
ORB_ROLE_ARN=$(roles role_arn "$ORB_ROLE_ARN" ,)

# Each entry is HOST, HOST/REPOSITORY or HOST=ROLE. The list is split before variables are expanded, so
# that the value of a variable, such as a branch name, cannot add a registry or a role.
set -f
ORB_ENTRIES=
for ORB_ENTRY in $ORB_REGISTRIES; do
	ORB_HOST=$(part registries "${ORB_ENTRY%%=*}" '=[:space:]')
	case $ORB_ENTRY in
	*=?*) ORB_HOST=$ORB_HOST=$(roles registries "${ORB_ENTRY#*=}" ',[:space:]') ;;
	*=) fail "registries has $ORB_ENTRY, which has no role after =" ;;
	esac
	ORB_ENTRIES="$ORB_ENTRIES $ORB_HOST"
done
[ -n "$ORB_ENTRIES" ] || fail "registries is empty; use a registry such as 123456789012.dkr.ecr.eu-west-2.amazonaws.com"

if [ -n "$ORB_DOCKER_CONFIG" ] && [ "$ORB_DOCKER_CONFIG" != "${DOCKER_CONFIG:-}" ]; then
	case $ORB_DOCKER_CONFIG in
	*"'"*) fail "docker_config is $ORB_DOCKER_CONFIG; it must not contain a quote" ;;
	/*) ;;
	*) fail "docker_config is $ORB_DOCKER_CONFIG; it must begin with /" ;;
	esac
	# Only bash reads BASH_ENV, and not if it is called as sh.
	# https://circleci.com/docs/guides/security/env-vars/#parameters-and-bash-environment
	# shellcheck disable=SC3028 # SHELLOPTS is empty in other shells
	case ${BASH_VERSION:+bash}:${BASH_ENV:+set}:${SHELLOPTS:-} in
	bash:set:*posix* | :* | *::*)
		fail "docker_config cannot reach later steps without bash; set DOCKER_CONFIG in the environment of the job or executor"
		;;
	esac
	(umask 077 && mkdir -p "$ORB_DOCKER_CONFIG" && chmod 700 "$ORB_DOCKER_CONFIG")
	export DOCKER_CONFIG="$ORB_DOCKER_CONFIG"
	printf "export DOCKER_CONFIG='%s'\n" "$DOCKER_CONFIG" >>"$BASH_ENV"
fi

set --
[ -z "$ORB_AUDIENCE" ] || set -- "$@" --audience "$ORB_AUDIENCE"
[ -z "$ORB_SESSION_NAME" ] || set -- "$@" --session-name "$ORB_SESSION_NAME"
[ -z "$ORB_SESSION_DURATION" ] || set -- "$@" --session-duration "$ORB_SESSION_DURATION"
[ -z "$ORB_ALLOWED_ACCOUNT_IDS" ] || set -- "$@" --allowed-account-ids "$ORB_ALLOWED_ACCOUNT_IDS"

# Each entry with a role requires a separate call.
hosts=
for entry in $ORB_ENTRIES; do
	host=${entry%%=*}
	host=${host#https://}
	host=${host%%/*}
	case $entry in
	*=*) docker-credential-ecr-oidc configure "$@" --role "${entry#*=}" -- "$host" ;;
	*) hosts="$hosts $host" ;;
	esac
done
[ -n "$hosts" ] || exit 0
[ -z "$ORB_ROLE_ARN" ] || set -- "$@" --role "$ORB_ROLE_ARN"
# shellcheck disable=SC2086 # one argument for each host
docker-credential-ecr-oidc configure "$@" -- $hosts
