#!/bin/sh
# Speaks the announcements that we ship, as sounds/texts.tsv has them: RATE/LANGUAGE/NAME.wav, one channel,
# 16 bit. `make sounds` runs it; the results are committed. The same versions of espeak-ng and sox (made-with.txt
# names them) give the same bytes again.
#
#	make-sounds.sh [FOLDER]    puts 8000, 16000 and made-with.txt into FOLDER instead of conf/sounds
set -eu
export LC_ALL=C
level=-21 # dB below full scale: the RMS of what is left when the pauses are cut out
tab=$(printf '\t')

for tool in espeak-ng sox; do
	command -v $tool >/dev/null || {
		echo "make-sounds.sh: $tool is missing: sudo apt-get install espeak-ng sox" >&2
		exit 1
	}
done
sounds=$(cd "$(dirname "$0")/sounds" && pwd)
out=${1:-$sounds}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { # language, voice, words a minute, name, text
	case $4 in
	digits/*) before=0.05 after=0.2 ;; # a pause between digits, not a gap
	*) before=0.2 after=0.1 ;;         # the first packets of early media are often lost
	esac
	# Half the usual amplitude: espeak-ng clips some words otherwise. Long pauses are cut to a quarter of a second.
	espeak-ng -v "$2" -s "$3" -a 50 -w "$work/raw.wav" "$5"
	sox -R "$work/raw.wav" -b 32 "$work/speech.wav" gain -3 highpass 100 norm -3 \
		silence -l 1 0.005 -50d -1 0.25 -50d reverse silence 1 0.005 -50d reverse
	rms=$(sox -R "$work/speech.wav" -n silence -l 1 0.02 -35d -1 0.02 -35d stats 2>&1 | awk '/^RMS lev dB/ { print $4 }')
	gain=$(awk "BEGIN { printf \"%.2f\", $level - ($rms) }")
	for rate in 8000 16000; do
		file=$work/$rate/$1/$4.wav
		mkdir -p "$(dirname "$file")"
		sox -R "$work/speech.wav" -b 16 "$file" gain "$gain" rate $rate pad $before $after
	done
}

while IFS=$tab read -r name english chinese pinyin; do
	case $name in
	'' | '#'*) continue ;;
	digits/*) en=155 zh=135 ;; # who listens has to key them in
	*) en=175 zh=190 ;;
	esac
	say en en-us $en "$name" "$english"
	say zh cmn-latn-pinyin $zh "$name" "$pinyin"
done <"$sounds/texts.tsv"

# Only now, so that a run that fails leaves what was there; and wholly, so that names that are gone go.
rm -rf "$out/8000" "$out/16000"
mkdir -p "$out"
cp -r "$work/8000" "$work/16000" "$out"
{
	espeak-ng --version | sed 's/^.*: *\([0-9][^ ]*\) .*/espeak-ng \1/'
	sox --version | sed 's/^.* v/sox /'
	uname -m
} >"$out/made-with.txt"
