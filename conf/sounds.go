package conf

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// The announcements: sounds/RATE/LANGUAGE/NAME.wav and sounds/RATE/LANGUAGE/digits/0.wav to 9.wav, one
// channel, 16 bit. sounds/texts.tsv has what they say, make-sounds.sh speaks it.
//
// The rate comes first, unlike in the sound packs of FreeSWITCH: asked for DIR/NAME.wav, its mod_sndfile plays
// DIR/8000/NAME.wav where there is one, be the path absolute or not. With zh/8000/NAME.wav of ours it
// would never play the zh/NAME.wav of an administrator.
//
//go:embed sounds/8000 sounds/16000
var shippedSounds embed.FS

// Sounds are the announcements of an installation: a folder in which 8000 and 16000 hold those that are
// shipped, and the administrator's own lie beside them. The switch plays the files, so it must be able to read
// them.
type Sounds struct {
	folder   string
	language string
}

// Sound is one announcement.
type Sound struct {
	File   string
	Length time.Duration
}

// OpenSounds gives the announcements of a folder as they are, for a look at them.
func OpenSounds(folder, country string) *Sounds { return &Sounds{folder, languageOf(country)} }

// Shipped reports whether an announcement comes with the program.
func Shipped(name string) bool {
	language, name, ok := soundName(name)
	if !ok {
		return false
	}
	languages := []string{"en", "zh"}
	if language != "" {
		languages = []string{language}
	}
	return slices.ContainsFunc(languages, func(language string) bool {
		_, err := fs.Stat(shippedSounds, path.Join("sounds/8000", language, name+".wav"))
		return err == nil
	})
}

// Has reports whether an announcement can be played.
func (s *Sounds) Has(name string) bool {
	_, err := s.Find(name)
	return err == nil
}

// languageOf is the language that announcements are looked for in first.
func languageOf(country string) string {
	switch country {
	case "CN", "TW", "HK", "MO", "SG":
		return "zh"
	}
	return "en"
}

// Find returns the announcement of a name, such as "suspected-nuisance" or "digits/7": the administrator's
// NAME.wav in the folder itself; else, in the country's language, the administrator's LANGUAGE/NAME.wav or the
// one that is shipped, with 8 kHz; else the same in any language. A name may choose a language itself:
// "en/suspected-nuisance".
func (s *Sounds) Find(name string) (Sound, error) { return s.FindRate(name, 8000) }

// FindRate is Find for a call of a sampling rate: above 8 kHz it prefers the shipped files with 16 kHz. An
// administrator's own file wins whatever its rate; the switch resamples it.
func (s *Sounds) FindRate(name string, rate int) (Sound, error) {
	chosen, rest, ok := soundName(name)
	if !ok {
		return Sound{}, fmt.Errorf("%q is no name of an announcement: letters, digits, - and _, with en/ or zh/ in front to choose a language", name)
	}
	languages, rates := []string{"", s.language, "en", "zh"}, []string{"8000", "16000"}
	if chosen != "" {
		languages = []string{chosen}
	}
	if rate > 8000 {
		slices.Reverse(rates)
	}
	rest = filepath.FromSlash(rest) + ".wav"
	for _, language := range languages {
		files := []string{filepath.Join(s.folder, language, rest)}
		if language != "" {
			for _, rate := range rates {
				files = append(files, filepath.Join(s.folder, rate, language, rest))
			}
		}
		for _, file := range files {
			w, err := readWave(file)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			return Sound{file, w.Length}, err
		}
	}
	return Sound{}, fmt.Errorf("there is no announcement %s: put a file %s.wav (8 kHz, one channel) into %s", name, name, s.folder)
}

// Digits returns the announcements that read a number out, digit by digit.
func (s *Sounds) Digits(n string) ([]Sound, error) {
	if n == "" || strings.Trim(n, "0123456789") != "" {
		return nil, fmt.Errorf("%q cannot be read out: digits alone can", n)
	}
	sounds := make([]Sound, 0, len(n))
	for _, digit := range n {
		sound, err := s.Find("digits/" + string(digit))
		if err != nil {
			return nil, err
		}
		sounds = append(sounds, sound)
	}
	return sounds, nil
}

// soundName takes a name apart: [LANGUAGE/]NAME, where NAME may be digits/N. It keeps names from leaving the
// folder, or from being anything but a file name to the switch.
func soundName(text string) (language, name string, ok bool) {
	parts := strings.Split(text, "/")
	for _, part := range parts {
		if part == "" || strings.Trim(part, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
			return "", "", false
		}
	}
	name = parts[len(parts)-1]
	parts = parts[:len(parts)-1]
	if n := len(parts); n > 0 && parts[n-1] == "digits" {
		name, parts = "digits/"+name, parts[:n-1]
	}
	if len(parts) == 1 {
		language, parts = parts[0], nil
	}
	return language, name, len(parts) == 0 && len(text) <= 64
}

// installedList, in the folder, has the sums of the files that were installed, as sha256sum prints them. It
// tells a file of an earlier version, which is replaced, from one that the administrator made of it.
const installedList = "shipped.sha256"

// beforeList is what the first version installed, which kept no such list.
const beforeList = `a1356bcfa1b28196ccb8b3e094f047a564c449c4b9785cebcb26bc62d8ded835  zh/suspected-nuisance.wav
abd5ae08605f995e4f75009e5227888d4899e66beded79b227d37a09a334fa4e  en/suspected-nuisance.wav
`

// InstallSounds brings the shipped announcements in folder up to date and returns the folder as Sounds. It
// writes what is missing or came with another version. Any other file stays as it is: it is the
// administrator's own. Where nothing has changed, nothing is written.
func InstallSounds(folder, country string) (*Sounds, error) {
	s := &Sounds{folder: folder, language: languageOf(country)}
	was, err := os.ReadFile(filepath.Join(folder, installedList))
	if errors.Is(err, fs.ErrNotExist) {
		was = []byte(beforeList)
	} else if err != nil {
		return nil, err
	}
	installed, list := readSums(string(was)), shippedSums()
	shipped := readSums(list)
	for _, name := range slices.Sorted(maps.Keys(shipped)) {
		content, err := shippedSounds.ReadFile("sounds/" + name)
		if err != nil {
			return nil, err
		}
		file := filepath.Join(folder, filepath.FromSlash(name))
		if !outdated(file, content, installed[name]) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return nil, err
		}
		if err := replaceFile(file, content); err != nil {
			return nil, err
		}
	}
	for name, sum := range installed { // what this version ships no more
		file := filepath.Join(folder, filepath.FromSlash(name))
		if b, err := os.ReadFile(file); shipped[name] == "" && filepath.IsLocal(name) && err == nil && sumOf(b) == sum {
			if err := os.Remove(file); err != nil {
				return nil, err
			}
		}
	}
	if string(was) == list {
		return s, nil
	}
	return s, replaceFile(filepath.Join(folder, installedList), []byte(list))
}

// outdated reports whether a file is to be written: it is missing, or as an earlier version installed it.
func outdated(file string, content []byte, installed string) bool {
	b, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true
	case err != nil || bytes.Equal(b, content):
		return false // what cannot be read did not come from here
	}
	return len(b) == 0 || sumOf(b) == installed // empty: the machine stopped while it was written
}

// replaceFile writes a file so that a switch that is just playing it, or opens it now, has it whole.
func replaceFile(file string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// shippedSums is the list of what this version ships.
var shippedSums = sync.OnceValue(func() string {
	var list strings.Builder
	fs.WalkDir(shippedSounds, "sounds", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := shippedSounds.ReadFile(name)
		fmt.Fprintf(&list, "%s  %s\n", sumOf(b), strings.TrimPrefix(name, "sounds/"))
		return err
	})
	return list.String()
})

// readSums reads a list into sums by name.
func readSums(list string) map[string]string {
	sums := map[string]string{}
	for line := range strings.Lines(list) {
		if sum, name, ok := strings.Cut(strings.TrimSpace(line), "  "); ok {
			sums[name] = sum
		}
	}
	return sums
}

func sumOf(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }

// Wave is what the header of a RIFF/WAVE file says.
type Wave struct {
	Length   time.Duration
	Rate     int // samples a second
	Channels int
}

// Wave reads the header of an announcement.
func (s Sound) Wave() (Wave, error) { return readWave(s.File) }

// readWave reads the header of a RIFF/WAVE file.
func readWave(file string) (w Wave, err error) {
	f, err := os.Open(file)
	if err != nil {
		return w, err
	}
	defer f.Close()
	bad := fmt.Errorf("%s is no WAV file that can be played: make it 8 kHz, one channel, 16 bit PCM", file)
	info, err := f.Stat()
	var riff [12]byte
	if err != nil {
		return w, bad
	}
	if _, err := io.ReadFull(f, riff[:]); err != nil || string(riff[:4]) != "RIFF" || string(riff[8:]) != "WAVE" {
		return w, bad
	}
	var bytesPerSecond uint32
	at := int64(len(riff))
	for range 64 { // chunks
		var head [8]byte
		if _, err := f.ReadAt(head[:], at); err != nil {
			return w, bad
		}
		at += int64(len(head))
		size := int64(binary.LittleEndian.Uint32(head[4:]))
		switch string(head[:4]) {
		case "fmt ":
			var format [16]byte
			if _, err := f.ReadAt(format[:], at); err != nil || size < 16 {
				return w, bad
			}
			bytesPerSecond = binary.LittleEndian.Uint32(format[8:])
			w.Channels, w.Rate = int(binary.LittleEndian.Uint16(format[2:])), int(binary.LittleEndian.Uint32(format[4:]))
		case "data":
			if bytesPerSecond == 0 {
				return w, bad
			}
			// Who writes into a pipe does not know the size and says 4 GB.
			size = min(size, info.Size()-at)
			w.Length = time.Duration(float64(size) / float64(bytesPerSecond) * float64(time.Second))
			return w, nil
		}
		at += size + size&1
	}
	return w, bad
}
