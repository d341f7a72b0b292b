#!/bin/sh
# Gets an Asterisk, and sipp to place calls with, and prints the folder they lie in: unpacked from Debian's packages, not
# installed, without root. What was got once is kept in RINGFENCE_ASTERISK (default: ~/.cache/ringfence-asterisk);
# RINGFENCE_ASTERISK_SUITES (default: "bullseye forky") says where it may come from.
#
# Debian 12 has no Asterisk, Debian 11 and the coming Debian 14 do. Its packages come from the mirror that this
# machine's own apt uses, by an apt configuration of their own, and are checked by Debian's signatures as always.
set -eu

cache=${RINGFENCE_ASTERISK:-${XDG_CACHE_HOME:-$HOME/.cache}/ringfence-asterisk}
say() { echo "get.sh: $*" >&2; }
have() { [ -x "$cache/root/usr/sbin/asterisk" ] && [ -x "$cache/root/usr/bin/sipp" ]; }
if have; then echo "$cache/root"; exit 0; fi
for tool in apt-get dpkg-deb flock; do
	command -v $tool >/dev/null || { say "there is no $tool here: THE TESTS RUN WITHOUT A REAL ASTERISK"; exit 1; }
done

# Another run may be getting it at this moment.
mkdir -p "$cache"
exec 9>"$cache/lock"
flock -w 300 9 || { say "another run has been getting it for five minutes: THE TESTS RUN WITHOUT A REAL ASTERISK"; exit 1; }
if have; then echo "$cache/root"; exit 0; fi

# The mirror of this machine. Its lists may never have been got.
mirror() {
	apt-get indextargets --format '$(REPO_URI) $(CREATED_BY)' 2>/dev/null |
		awk -v end="$1" '$2 == "Packages" && substr($1, length($1) - length(end) + 1) == end {print $1; exit}'
}
main=$(mirror /debian/)
if [ -z "$main" ]; then
	SUDO=$([ "$(id -u)" = 0 ] || echo sudo -n)
	$SUDO apt-get update -q >&2 || true
	main=$(mirror /debian/)
fi
[ -n "$main" ] || { say "apt has no mirror of Debian here: THE TESTS RUN WITHOUT A REAL ASTERISK"; exit 1; }
security=$(mirror /debian-security/) # with none, the packages are those of the last point release

common="asterisk asterisk-modules asterisk-core-sounds-en-gsm libbsd0 libc6 libcap2 libcrypt1 libedit2 libgcc-s1
	libgsm1 libjansson4 libmd0 libsqlite3-0 libstdc++6 libsystemd0 libtinfo6 liburiparser1 libuuid1 libxslt1.1 libzstd1 zlib1g
	sip-tester libdbus-1-3 libgslcblas0 libncursesw6 libsctp1"
bullseye="libgcrypt20 libgpg-error0 libicu67 liblz4-1 liblzma5 libssl1.1 libxml2 libgsl25 libpcap0.8"
forky="libssl3t64 libxml2-16 libgsl28 libpcap0.8t64 libpugixml1v5"

get() { # suite packages…
	suite=$1; shift
	work=$(mktemp -d "$cache/getting.XXXXXX")
	mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" "$work/etc/apt.conf.d" "$work/etc/preferences.d" "$work/etc/sources.list.d" "$work/debs" "$work/root"
	: >"$work/status"
	keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	{
		echo "deb [signed-by=$keyring] $main $suite main"
		[ "$suite" = forky ] || [ -z "$security" ] || echo "deb [signed-by=$keyring] $security $suite-security main"
	} >"$work/etc/sources.list"
	cat >"$work/apt.conf" <<-CONF
		Dir::State "$work/state";
		Dir::State::status "$work/status";
		Dir::Cache "$work/cache";
		Dir::Etc "$work/etc";
		APT::Sandbox::User "";
		Acquire::Check-Valid-Until "false";
		Acquire::Languages "none";
		Acquire::Retries "2";
		Acquire::http::Timeout "20";
	CONF
	if APT_CONFIG="$work/apt.conf" apt-get update -q >&2 &&
		(cd "$work/debs" && APT_CONFIG="$work/apt.conf" apt-get download -q "$@" >&2) &&
		for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work/root" || exit 1; done; then
		# A link that the packages leave to the installation; without it no recording is found.
		[ -e "$work/root/usr/share/asterisk/sounds/en" ] || ln -s en_US_f_Allison "$work/root/usr/share/asterisk/sounds/en"
		[ ! -e "$cache/root" ] || mv "$cache/root" "$work/old"
		mv "$work/root" "$cache/root"
		rm -rf "$work"
		return 0
	fi
	rm -rf "$work"
	return 1
}

for suite in ${RINGFENCE_ASTERISK_SUITES:-bullseye forky}; do
	eval "own=\$$suite"
	if get $suite $common $own; then
		echo "$cache/root"
		exit 0
	fi
	say "Debian's $suite gave none"
done
say "none could be got from $main: THE TESTS RUN WITHOUT A REAL ASTERISK"
exit 1
