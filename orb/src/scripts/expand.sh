#!/bin/sh
# Shared by configure.sh and push.sh: orb/pack puts it in place of the line that sources it. Both define fail.

# expand WHAT TEXT prints TEXT with the values of $NAME and ${NAME} in it. A value is not looked at again, and nothing
# is run. A variable that is not there is an error: half an image's name is worse than none. The names in here begin
# with _, and the parameters' with ORB_, so that they hide no variable of the job.
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
		case $_name in *[!A-Za-z0-9_]*) fail "$_what has \${$_name}; a variable's name is all that can be between the braces" ;; esac
		eval "_value=\${$_name-}" # of letters, digits and _, as has just been seen
		[ -n "$_value" ] || fail "$_what needs the variable $_name, which is not set in this job, or is empty"
		_out=$_out$_value
	done
	printf '%s\n' "$_out$_rest"
)
