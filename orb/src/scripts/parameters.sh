#!/bin/sh
# Shared by configure.sh, push.sh and doctor.sh, which define fail. orb/pack replaces the line that sources
# this file with its content.

# expand PARAMETER TEXT prints TEXT with $NAME and ${NAME} replaced by the values of the variables. It does
# not expand the values again, and runs nothing. A variable that is not set is an error: it would make an
# incomplete image name. Variables in this function begin with _, and those of the parameters with ORB_, so
# that they do not hide variables of the job.
expand() (
	LC_ALL=C
	_what=$1 _rest=$2 _out=
	while :; do
		case $_rest in *'$'*) ;; *) break ;; esac
		_out=$_out${_rest%%'$'*}
		_rest=${_rest#*'$'}
		case $_rest in
		'{'[A-Za-z_]*'}'*)
			_name=${_rest#'{'}
			_name=${_name%%'}'*}
			_rest=${_rest#*'}'}
			;;
		[A-Za-z_]*)
			_name=${_rest%%[!A-Za-z0-9_]*}
			_rest=${_rest#"$_name"}
			;;
		*)
			_out=$_out'$'
			continue
			;;
		esac
		case $_name in *[!A-Za-z0-9_]*) fail "$_what has \${$_name}; only a variable name is allowed between the braces" ;; esac
		eval "_value=\${$_name-}" # safe: the name has only letters, digits and _
		[ -n "$_value" ] || fail "$_what needs the variable $_name, which is not set or is empty in this job"
		_out=$_out$_value
	done
	printf '%s\n' "$_out$_rest"
)

# part PARAMETER TEXT SEPARATORS [ELEMENT] expands one element of a list. It rejects a value that contains
# a separator, which would add elements to the list.
part() {
	_part=$(expand "$1" "$2") || exit 1
	case $_part in
	*[$3]*) fail "$1 has $2, and the value of a variable in it contains a separator; list each ${4:-registry and role}" ;;
	esac
	printf '%s\n' "$_part"
}

# hosts ACCOUNT_IDS REGIONS prints the registry of each account in each region, one per line. Both lists
# are separated by commas or white space. It prints nothing if both are empty.
hosts() (
	case ${1:+account_id}${2:+region} in
	account_id) fail "account_id is $1, and region is empty; set both" ;;
	region) fail "region is $2, and account_id is empty; set both" ;;
	esac
	set -f
	IFS=$(printf ', \t\nx')
	IFS=${IFS%x}
	for _account in $1; do
		[ -n "$_account" ] || continue # the text between two commas is empty
		_account=$(part account_id "$_account" ',[:space:]' account) || exit 1
		case $_account in
		*[!0-9]*) _digits= ;;
		*) _digits=${#_account} ;;
		esac
		[ "$_digits" = 12 ] || fail "account_id has $_account, which is not an account ID; it must have twelve digits"
		for _region in $2; do
			[ -n "$_region" ] || continue
			_region=$(part region "$_region" ',[:space:]' region) || exit 1
			case $_region in
			*[!a-z0-9-]*) fail "region has $_region, which is not a region; a region looks like eu-west-2" ;;
			cn-*) _suffix=amazonaws.com.cn ;;
			eusc-*) _suffix=amazonaws.eu ;;
			us-iso-*) _suffix=c2s.ic.gov ;;
			us-isob-*) _suffix=sc2s.sgov.gov ;;
			us-isof-*) _suffix=csp.hci.ic.gov ;;
			eu-isoe-*) _suffix=cloud.adc-e.uk ;;
			*-*-[0-9]*) _suffix=amazonaws.com ;;
			*) fail "region has $_region, which is not a region; a region looks like eu-west-2" ;;
			esac
			printf '%s\n' "$_account.dkr.ecr.$_region.$_suffix"
		done
	done
)
