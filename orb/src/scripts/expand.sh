#!/bin/sh
# Shared by configure.sh and push.sh, which define fail. orb/pack replaces the line that sources this file
# with its content.

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
