#!/bin/sh
# unpack.sh PACKAGE PATH: gets a program that is a file of its own and prints where it lies: that of this machine if there is one, else unpacked
# from Debian's package, not installed, without root. What was got once is kept in ~/.cache/ringfence-unpacked.
set -eu
package=$1 program=$2
if command -v "${program##*/}"; then exit 0; fi
cache=${XDG_CACHE_HOME:-$HOME/.cache}/ringfence-unpacked/$package
found() { [ -x "$cache/${program##*/}" ] && echo "$cache/${program##*/}"; }
if found; then exit 0; fi
for tool in apt-get dpkg-deb flock; do
	command -v $tool >/dev/null || { echo "unpack.sh: there is no $tool here" >&2; exit 1; }
done
mkdir -p "$cache"
exec 9>"$cache/lock"
flock -w 120 9 || { echo "unpack.sh: another run has been getting it for two minutes" >&2; exit 1; }
if found; then exit 0; fi
work=$(mktemp -d "$cache/getting.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
root=$([ "$(id -u)" = 0 ] || echo sudo -n)
get() { apt-get download -q -o APT::Sandbox::User= "$package" >&2; }
get || { $root apt-get update -q >&2 && get; }
dpkg-deb --fsys-tarfile "$package"_*.deb | tar -x "./$program"
mv "$program" "$cache/"
found
