#!/bin/sh
# Configures Docker to use docker-credential-ecr-oidc for the registries in the orb's parameters, and
# checks the logins. POSIX only, for images without bash. There are no here-documents: two less-than signs
# begin a parameter in an orb.
set -eu

fail() {
	printf 'ecr-oidc/configure: %s\n' "$*" >&2
	exit 1
}

# shellcheck source-path=SCRIPTDIR
. ./parameters.sh
# shellcheck source-path=SCRIPTDIR
. ./helper.sh

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

# each FUNCTION runs FUNCTION ROLE HOST... for the registries of each role. ORB_ROLE_FROM is the parameter
# that contains the role.
each() {
	_hosts=
	for _entry in $ORB_ENTRIES; do
		ORB_ROLE_FROM=registries
		case $_entry in
		*=*) "$1" "${_entry#*=}" "${_entry%%=*}" ;;
		*) _hosts="$_hosts $_entry" ;;
		esac
	done
	ORB_ROLE_FROM=role_arn
	# shellcheck disable=SC2086 # one argument for each host
	[ -z "$_hosts" ] || "$1" "$ORB_ROLE_ARN" $_hosts
}

# register ROLE HOST... configures Docker for registries with one role.
register() {
	_role=$1
	shift
	set -- -- "$@"
	[ -z "$_role" ] || set -- --role "$_role" "$@"
	[ -z "$ORB_ALLOWED_ACCOUNT_IDS" ] || set -- --allowed-account-ids "$ORB_ALLOWED_ACCOUNT_IDS" "$@"
	[ -z "$ORB_SESSION_DURATION" ] || set -- --session-duration "$ORB_SESSION_DURATION" "$@"
	[ -z "$ORB_SESSION_NAME" ] || set -- --session-name "$ORB_SESSION_NAME" "$@"
	[ -z "$ORB_AUDIENCE" ] || set -- --audience "$ORB_AUDIENCE" "$@"
	helper configure "$@"
}

# check ROLE HOST... logs in to registries with one role, and prints one line for each.
check() {
	_role=$1
	shift
	_code=0
	_json=$(docker-credential-ecr-oidc check --json -- "$@") || _code=$?
	# The helper prints each key in a line of its own.
	_ifs=$IFS
	IFS=$(printf '\nx')
	IFS=${IFS%x}
	_found=
	for _line in $_json; do
		_value=${_line#*: }
		_value=${_value%,}
		_value=${_value#\"}
		_value=${_value%\"}
		case $_line in
		'  {')
			_host='' _arn='' _from='' _source='' _subject='' _expires='' _stored=''
			_reason='' _error=''
			;;
		'    "registry": '*) _host=$_value ;;
		'    "role": '*) _arn=$_value ;;
		'    "role_from": '*) _from=$_value ;;
		'    "source": '*) _source=$_value ;;
		'    "subject": '*) _subject=$_value ;;
		'    "expires": '*) _expires=$_value ;;
		'    "stored_login": '*) _stored=$_value ;;
		'    "reason": '*) _reason=$_value ;;
		'    "error": '*) _error=$_value ;;
		'  }'*)
			_found=yes
			result
			;;
		esac
	done
	IFS=$_ifs
	# Without a result, the helper has printed an error.
	[ "$_code" = 0 ] || [ -n "$_found" ] || ORB_FAILED=yes
}

# result prints one result of check. ORB_FAILED is set if the step has to fail.
result() {
	case $_from in
	/*) [ -z "$_role" ] || _from=$ORB_ROLE_FROM ;; # a line of ecr-oidc.yaml
	esac
	case $_reason:$_stored in
	:true) printf '%s: login stored by another tool, valid until %s\n' "$_host" "$_expires" ;;
	:*)
		printf '%s: %ssource %s, %svalid until %s\n' "$_host" \
			"${_arn:+role $_arn (from $_from), }" "$_source" "${_subject:+subject $_subject, }" "$_expires"
		;;
	*) failure ;;
	esac
}

# rewrite COMMAND runs a command of sed on the error.
rewrite() { _error=$(printf '%s\n' "$_error" | sed "$1"); }

# failure prints the error of a registry, with the names of the orb's parameters instead of the helper's
# settings.
failure() {
	_advice="set role_arn to the role to assume"
	[ "$ORB_ROLE_DEFAULT" != yes ] ||
		_advice="role_arn is \$ECR_ROLE_TO_ASSUME, which is not set or is empty in this job: set it in the project or in a context"
	_error=${_error#ecr-oidc: }
	rewrite 's|\\\(["\\]\)|\1|g' # it is a JSON string
	rewrite "s|set ECR_OIDC_ROLE to the role to assume|$_advice|"
	rewrite "s|set ECR_OIDC_ROLE_PUBLIC|list it in registries as $_host=ROLE|"
	[ -z "$_role" ] || rewrite "s|(from /[^()]*\.ya*ml:[0-9]*)|(from $ORB_ROLE_FROM)|g"
	# A variable that the job sets itself keeps its name.
	if [ -z "${ECR_OIDC_AUDIENCE:-}" ]; then
		rewrite 's|unset ECR_OIDC_AUDIENCE|leave out audience|'
		rewrite 's|ECR_OIDC_AUDIENCE|audience|'
	fi
	[ -n "${ECR_OIDC_SESSION_DURATION:-}" ] || rewrite 's|ECR_OIDC_SESSION_DURATION|session_duration|'
	# CircleCI sets CIRCLE_PR_USERNAME and CIRCLE_PR_REPONAME only for a forked pull request.
	case $ORB_CHECK:$_reason:$_host:${CIRCLE_PR_USERNAME:-}${CIRCLE_PR_REPONAME:-} in
	auto:no-role:public.ecr.aws:* | auto:no-role:ecr-public.aws.com:*) ;; # configure has printed a warning
	auto:no-role:* | auto:no-token:*:?*) printf 'ecr-oidc/configure: warning: %s: %s\n' "$_host" "$_error" >&2 ;;
	*)
		printf 'ecr-oidc/configure: %s: %s\n' "$_host" "$_error" >&2
		ORB_FAILED=yes
		;;
	esac
}

command -v docker-credential-ecr-oidc >/dev/null 2>&1 ||
	fail "docker-credential-ecr-oidc is not on PATH; run this orb's command install first; without bash, set install_dir to a directory of PATH"

ORB_AUDIENCE=$(expand audience "$ORB_AUDIENCE")
ORB_SESSION_NAME=$(expand session_name "$ORB_SESSION_NAME")
ORB_SESSION_DURATION=$(expand session_duration "$ORB_SESSION_DURATION")
ORB_ALLOWED_ACCOUNT_IDS=$(expand allowed_account_ids "$ORB_ALLOWED_ACCOUNT_IDS")
ORB_DOCKER_CONFIG=$(expand docker_config "$ORB_DOCKER_CONFIG")
# The helper reads ECR_ROLE_TO_ASSUME, so the default is not written to ecr-oidc.yaml.
ORB_ROLE_DEFAULT=
case $ORB_ROLE_ARN in
"\$ECR_ROLE_TO_ASSUME" | "\${ECR_ROLE_TO_ASSUME}") ORB_ROLE_ARN='' ORB_ROLE_DEFAULT=yes ;;
esac
ORB_ROLE_ARN=$(roles role_arn "$ORB_ROLE_ARN" ,)

# Each entry is HOST, HOST/REPOSITORY or HOST=ROLE. The list is split before variables are expanded, so
# that the value of a variable, such as a branch name, cannot add a registry or a role.
set -f
ORB_ENTRIES=$(hosts "$ORB_ACCOUNT_ID" "$ORB_REGION")
for ORB_ENTRY in $ORB_REGISTRIES; do
	ORB_HOST=$(part registries "${ORB_ENTRY%%=*}" '=[:space:]')
	ORB_HOST=${ORB_HOST#https://}
	ORB_HOST=${ORB_HOST%%/*}
	case $ORB_ENTRY in
	*=?*) ORB_HOST=$ORB_HOST=$(roles registries "${ORB_ENTRY#*=}" ',[:space:]') ;;
	*=) fail "registries has $ORB_ENTRY, which has no role after =" ;;
	*)
		# Without a dot, it is a repository in the registries of account_id.
		case $ORB_ACCOUNT_ID:$ORB_HOST in
		:* | *:*.*) ;;
		*) continue ;;
		esac
		;;
	esac
	ORB_ENTRIES="$ORB_ENTRIES $ORB_HOST"
done
[ -n "$ORB_ENTRIES" ] ||
	fail "registries is empty; use a registry such as 123456789012.dkr.ecr.eu-west-2.amazonaws.com, or set account_id and region"

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

each register
[ "$ORB_CHECK" != false ] || exit 0
if ! docker-credential-ecr-oidc help check >/dev/null 2>&1; then
	echo "ecr-oidc/configure: this version of docker-credential-ecr-oidc has no command check, so the logins are not checked; to check them, set version to a later version"
	exit
fi
ORB_FAILED=
each check
[ -z "$ORB_FAILED" ]
