#!/bin/sh
# Gets Debian's own server of NATS and prints where it lies, unpacked, not installed.
exec sh "$(dirname "$0")/../unpack/unpack.sh" nats-server usr/sbin/nats-server
