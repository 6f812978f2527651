#!/usr/bin/env bash
# enter.sh COMMAND... runs COMMAND as root in new mount, network and PID namespaces. Loopback is the
# only network. The host names of AWS and the CIs resolve to $CLIENTS_IP. The system's CA
# certificates are a copy, at $CLIENTS_CA, to which COMMAND can append. Nothing changes on the
# machine itself, and all processes that COMMAND has started end with it.
set -euo pipefail

ca=/etc/ssl/certs/ca-certificates.crt

if [ "${CLIENTS_STAGE-}" != inside ]; then
	[ "$(id -u)" = 0 ] || {
		echo "enter.sh: needs root" >&2
		exit 77
	}
	for c in unshare ip mount; do
		command -v "$c" >/dev/null || {
			echo "enter.sh: needs $c (util-linux, iproute2)" >&2
			exit 77
		}
	done
	[ -f "$ca" ] || {
		echo "enter.sh: needs $ca" >&2
		exit 77
	}
	unshare -m -n -p -f true || {
		echo "enter.sh: this machine does not allow unshare" >&2
		exit 77
	}
	CLIENTS_DIR=$(mktemp -d "${TMPDIR:-/tmp}/ecr-oidc-clients.XXXXXX")
	export CLIENTS_DIR CLIENTS_STAGE=inside
	trap 'rm -rf "$CLIENTS_DIR"' EXIT
	# No exec, because the trap has to run. The mounts in CLIENTS_DIR end with the namespace, so
	# the trap deletes only files of this script.
	unshare -m -n -p --fork --kill-child --mount-proc --propagation private "${BASH_SOURCE[0]}" "$@"
	exit
fi
unset CLIENTS_STAGE

CLIENTS_IP=192.0.2.1
cat >"$CLIENTS_DIR/hosts" <<HOSTS
127.0.0.1 localhost
$CLIENTS_IP 123456789012.dkr.ecr.eu-west-2.amazonaws.com
$CLIENTS_IP 210987654321.dkr.ecr.eu-west-2.amazonaws.com
$CLIENTS_IP 123456789012.dkr.ecr.us-east-1.amazonaws.com
$CLIENTS_IP 123456789012.dkr.ecr-fips.us-east-1.amazonaws.com
$CLIENTS_IP 123456789012.dkr-ecr.eu-west-2.on.aws
$CLIENTS_IP 123456789012.dkr-ecr-fips.us-east-1.on.aws
$CLIENTS_IP sts.eu-west-2.amazonaws.com sts.us-east-1.amazonaws.com
$CLIENTS_IP sts-fips.us-east-1.amazonaws.com
$CLIENTS_IP sts.eu-west-2.api.aws sts-fips.us-east-1.api.aws
$CLIENTS_IP api.ecr.eu-west-2.amazonaws.com api.ecr.us-east-1.amazonaws.com
$CLIENTS_IP api.ecr-fips.us-east-1.amazonaws.com
$CLIENTS_IP ecr.eu-west-2.api.aws ecr-fips.us-east-1.api.aws
$CLIENTS_IP public.ecr.aws api.ecr-public.us-east-1.amazonaws.com
$CLIENTS_IP token.actions.githubusercontent.com
$CLIENTS_IP run-actions-1-azure-eastus.actions.githubusercontent.com
$CLIENTS_IP oidc.circleci.com
HOSTS
cp "$ca" "$CLIENTS_DIR/ca.pem"
mount --bind "$CLIENTS_DIR/hosts" /etc/hosts
mount --bind "$CLIENTS_DIR/ca.pem" "$ca"
# Hide the sockets of other engines, such as the system's containerd.
mount -t tmpfs -o mode=755 tmpfs /run
ip link set lo up
# No address in 127.0.0.0/8: Docker treats those as insecure registries. After an error it would retry
# on port 80 and report the error of that attempt.
ip address add "$CLIENTS_IP/32" dev lo

export CLIENTS_CA=$ca CLIENTS_IP TMPDIR=$CLIENTS_DIR
# These variables override the CA certificates and the network.
unset SSL_CERT_FILE SSL_CERT_DIR AWS_CA_BUNDLE CURL_CA_BUNDLE REQUESTS_CA_BUNDLE NODE_EXTRA_CA_CERTS
unset HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy
exec "$@"
