#!/bin/sh
# Gets promtool and prints its path: unpacked from Debian's package prometheus, not installed. What was got once is kept in
# ~/.cache/ringfence-promtool.
set -eu
if command -v promtool; then exit 0; fi
cache=${XDG_CACHE_HOME:-$HOME/.cache}/ringfence-promtool
if [ -x "$cache/usr/bin/promtool" ]; then echo "$cache/usr/bin/promtool"; exit 0; fi
for tool in apt-get dpkg-deb flock; do
	command -v $tool >/dev/null || { echo "get-promtool.sh: there is no $tool here" >&2; exit 1; }
done
mkdir -p "$cache"
exec 9>"$cache/lock"
flock -w 120 9 || { echo "get-promtool.sh: another run has been getting it for two minutes" >&2; exit 1; }
if [ -x "$cache/usr/bin/promtool" ]; then echo "$cache/usr/bin/promtool"; exit 0; fi
work=$(mktemp -d "$cache/getting.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
root=$([ "$(id -u)" = 0 ] || echo sudo -n)
apt-get download -q -o APT::Sandbox::User= prometheus >&2 || { $root apt-get update -q >&2 && apt-get download -q -o APT::Sandbox::User= prometheus >&2; }
dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool
mkdir -p "$cache/usr/bin"
mv usr/bin/promtool "$cache/usr/bin/promtool"
echo "$cache/usr/bin/promtool"
