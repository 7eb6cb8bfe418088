#!/bin/sh
# Starts the emulator in a container: reachable by others, Google's port beside its own, trust and credentials in /tls.
# What is given on the command line is added; /scenario/scenario.toml is played if it is there.
set -eu
tls_folder=${TLS_FOLDER:-/tls}
buckets=${BUCKETS:-/buckets}
scenario=${SCENARIO:-/scenario/scenario.toml}
[ ! -f "$scenario" ] || set -- --scenario "$scenario" "$@"
[ ! -d "$buckets" ] || set -- --buckets "$buckets" "$@"
exec python -m halfcascade.emulator --host 0.0.0.0 --advertise "${ADVERTISE:-emulator}" --port-tls "${TLS_PORT:-443}" \
    --tls-folder "$tls_folder" "$@"
