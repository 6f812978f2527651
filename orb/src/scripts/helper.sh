#!/bin/sh
# Shared by configure.sh and doctor.sh. orb/pack replaces the line that sources this file with its content.

# helper COMMAND ARGUMENT... runs the helper. It prints errors and warnings with the names of the orb's
# parameters instead of the helper's flags, and without the usage, which follows an empty line. The
# parameter $ORB_ROLE_FROM contains the role.
helper() {
	_code=0
	{ _errors=$(docker-credential-ecr-oidc "$@" 2>&1 >&3) || _code=$?; } 3>&1
	_blank=$(printf '\n\nx')
	_errors=${_errors%%"${_blank%x}"*}
	_prefix="ecr-oidc/$1: "
	[ "$1:$_code" != configure:0 ] || _prefix="ecr-oidc/$1: warning: "
	if [ -n "$_errors" ]; then
		printf '%s\n' "$_errors" | sed \
			-e "s|^ecr-oidc: $1: |ecr-oidc: |" -e "s|^ecr-oidc: |$_prefix|" \
			-e "s|: --role |: ${ORB_ROLE_FROM:-role_arn} |" \
			-e 's|: --audience |: audience |' \
			-e 's|: --session-name |: session_name |' \
			-e 's|: --session-duration |: session_duration |' \
			-e 's|: --allowed-account-ids |: allowed_account_ids |' \
			-e 's|: \("[^"]*"\) is not an ECR registry|: registries has \1, which is not an ECR registry|' \
			-e 's|set ECR_OIDC_ROLE_PUBLIC, or configure it with --role|list it in registries as HOST=ROLE|' \
			-e 's|; name a registry: .*|; see the step that configures it, or set registries|' >&2
	fi
	return $_code
}
