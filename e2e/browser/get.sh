#!/bin/sh
# Gets the Chromium that the tests of the console drive, with a font that has Chinese, and prints where it lies: Debian's packages, installed
# as root. Where they cannot be installed the tests say NOT TESTED.
set -eu

say() { echo "get.sh: $*" >&2; }
browser() { command -v chromium || command -v chromium-browser || command -v google-chrome; }
chinese() { command -v fc-list >/dev/null && fc-list :lang=zh | grep -q .; }
if browser >/dev/null && chinese; then browser; exit 0; fi

command -v apt-get >/dev/null || { say "there is no apt-get here: THE CONSOLE IS NOT TRIED IN A BROWSER"; exit 1; }
if [ "$(id -u)" = 0 ]; then SUDO=; elif sudo -n true 2>/dev/null; then SUDO="sudo -n"; else
	say "installing a Chromium takes root: apt-get install chromium fonts-wqy-zenhei"; exit 1
fi
wanted=
browser >/dev/null || wanted="chromium"
chinese || wanted="$wanted fonts-wqy-zenhei fontconfig"
install() { DEBIAN_FRONTEND=noninteractive timeout 600 $SUDO apt-get -o DPkg::Lock::Timeout=300 install -qy --no-install-recommends $wanted >&2; }
install || { timeout 300 $SUDO apt-get update -q >&2 && install; } || { say "apt-get gave none: THE CONSOLE IS NOT TRIED IN A BROWSER"; exit 1; }
browser
