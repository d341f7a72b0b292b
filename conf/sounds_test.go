package conf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
)

func installed(t *testing.T, country string) (*Sounds, string) {
	t.Helper()
	folder := t.TempDir()
	s, err := InstallSounds(folder, country)
	if err != nil {
		t.Fatal(err)
	}
	return s, folder
}

func TestSounds(t *testing.T) {
	s, folder := installed(t, "CN")
	zh, err := s.Find("suspected-nuisance")
	if err != nil || zh.File != filepath.Join(folder, "8000/zh/suspected-nuisance.wav") {
		t.Fatalf("%+v, %v", zh, err)
	}
	for name, want := range map[string]string{
		"en/suspected-nuisance": "8000/en/suspected-nuisance.wav", "digits/7": "8000/zh/digits/7.wav", "en/digits/0": "8000/en/digits/0.wav",
	} {
		if got, err := s.Find(name); err != nil || got.File != filepath.Join(folder, want) || got.Length < 400*time.Millisecond {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for rate, want := range map[int]string{8000: "8000", 16000: "16000", 48000: "16000"} {
		got, err := s.FindRate("please-hold", rate)
		if err != nil || got.File != filepath.Join(folder, want, "zh/please-hold.wav") {
			t.Errorf("for %d Hz: %+v, %v", rate, got, err)
		}
	}
	if got, err := OpenSounds(folder, "US").Find("suspected-nuisance"); err != nil || got.File != filepath.Join(folder, "8000/en/suspected-nuisance.wav") {
		t.Errorf("elsewhere: %+v, %v", got, err)
	}
	if info, err := os.Stat(zh.File); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("the switch may not read %s: %v", info.Mode(), err)
	}
	for _, name := range []string{
		"", "..", "../x", "a/b/c", "zh/", "/zh", "zh/../en/please-hold", "8000/zh/please-hold", "digits/../please-hold", "digits/", "digits/x/1",
		"zh/digits/1/2", "/etc/passwd", "x y", "x;y", "${x}", "x\n", "x.wav", "none", "digits/10", strings.Repeat("x", 65),
	} {
		if got, err := s.Find(name); err == nil {
			t.Errorf("%q was found: %+v", name, got)
		}
	}
	for name, want := range map[string]bool{
		"suspected-nuisance": true, "zh/suspected-nuisance": true, "digits/7": true, "en/digits/7": true, "none": false, "": false,
		"digits": false, "8000/suspected-nuisance": false, "../sounds/zh/suspected-nuisance": false, "8000/zh/suspected-nuisance": false,
	} {
		if Shipped(name) != want {
			t.Errorf("Shipped(%q) is %v", name, !want)
		}
	}
}

func TestDigits(t *testing.T) {
	s, folder := installed(t, "DE")
	got, err := s.Digits("4071")
	if err != nil || len(got) != 4 {
		t.Fatalf("%+v, %v", got, err)
	}
	for i, digit := range []string{"4", "0", "7", "1"} {
		if got[i].File != filepath.Join(folder, "8000/en/digits", digit+".wav") || got[i].Length <= 0 {
			t.Errorf("%s is read out by %+v", digit, got[i])
		}
	}
	for _, n := range []string{"", "4a", "+49", "4 1", "-1", "٤", "/7"} {
		if got, err := s.Digits(n); err == nil {
			t.Errorf("%q is read out by %+v", n, got)
		}
	}
	if _, err := OpenSounds(t.TempDir(), "DE").Digits("1"); err == nil {
		t.Error("digits were found in an empty folder")
	}
}

// An administrator's own file wins, for every rate, wherever he puts it.
func TestOwnSounds(t *testing.T) {
	s, folder := installed(t, "CN")
	other, err := s.Find("en/please-hold")
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(other.File)
	if err != nil {
		t.Fatal(err)
	}
	for _, place := range []string{"en", "zh", ""} { // each wins over the one before, in China
		own := filepath.Join(folder, place, "suspected-nuisance.wav")
		if err := os.MkdirAll(filepath.Dir(own), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(own, content, 0o644); err != nil {
			t.Fatal(err)
		}
		if s, err = InstallSounds(folder, "CN"); err != nil {
			t.Fatal(err)
		}
		want := own
		if place == "en" { // but the shipped one speaks the country's language
			want = filepath.Join(folder, "8000/zh/suspected-nuisance.wav")
			if got, err := s.Find("en/suspected-nuisance"); err != nil || got.File != own {
				t.Errorf("%+v, %v", got, err)
			}
		}
		if got, err := s.Find("suspected-nuisance"); err != nil || got.File != want || want == own && got.Length != other.Length {
			t.Errorf("%q: %+v, %v", place, got, err)
		}
		if got, err := s.FindRate("suspected-nuisance", 16000); want == own && (err != nil || got.File != own) {
			t.Errorf("%q: %+v, %v", place, got, err)
		}
		// The switch looks into a folder 8000 or 16000 beside the file that it is told to play, and prefers what
		// it finds there.
		for _, rate := range []string{"8000", "16000", "32000", "48000"} {
			shadow := filepath.Join(folder, place, rate, "suspected-nuisance.wav")
			if _, err := os.Stat(shadow); err == nil {
				t.Errorf("FreeSWITCH would play %s instead", shadow)
			}
		}
	}
	bad := map[string]string{"empty": "", "text": "no sound at all, but long enough", "cut": string(content[:30]), "riff": "RIFF\x00\x00\x00\x00WAVEdata\x00\x00\x00\x00"}
	for name, text := range bad {
		os.WriteFile(filepath.Join(folder, name+".wav"), []byte(text), 0o644)
		if _, err := s.Find(name); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// From a pipe: the header cannot know the size.
	piped := bytes.Clone(content)
	binary.LittleEndian.PutUint32(piped[40:], math.MaxUint32)
	os.WriteFile(filepath.Join(folder, "piped.wav"), piped, 0o644)
	if got, err := s.Find("piped"); err != nil || got.Length != other.Length {
		t.Errorf("a file of %s is said to take %s: %v", other.Length, got.Length, err)
	}
}

// InstallSounds brings up to date what came with an earlier version, and touches nothing else.
func TestInstallSoundsAgain(t *testing.T) {
	_, folder := installed(t, "CN")
	at := func(name string) string { return filepath.Join(folder, filepath.FromSlash(name)) }
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(at(name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) string {
		b, err := os.ReadFile(at(name))
		if err != nil {
			return err.Error()
		}
		return string(b)
	}
	fresh := read("8000/zh/please-hold.wav")
	list := read(installedList)
	earlier := func(text string, names ...string) (l string) {
		for _, name := range names {
			l += sumOf([]byte(text)) + "  " + name + "\n"
		}
		return l
	}
	outside := filepath.Join(filepath.Dir(folder), "outside.wav")
	put("../outside.wav", "of an earlier version")
	put("8000/zh/please-hold.wav", "of an earlier version")
	put("8000/zh/withdrawn.wav", "of an earlier version")
	put("8000/zh/kept.wav", "his own")
	put("8000/en/please-hold.wav", "his own")
	put("8000/en/call-rejected.wav", "")
	os.Remove(at("16000/en/please-hold.wav"))
	put(installedList, earlier("of an earlier version", "8000/zh/please-hold.wav", "8000/zh/withdrawn.wav", "8000/zh/kept.wav", "8000/en/please-hold.wav", "../outside.wav"))

	long := time.Now().Add(-time.Hour).Truncate(time.Second)
	age := func() {
		filepath.WalkDir(folder, func(file string, _ fs.DirEntry, err error) error {
			return errors.Join(err, os.Chtimes(file, long, long))
		})
	}
	age()
	if _, err := InstallSounds(folder, "CN"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"8000/zh/please-hold.wav": fresh, "8000/zh/kept.wav": "his own", "8000/en/please-hold.wav": "his own", "../outside.wav": "of an earlier version", installedList: list} {
		if got := read(name); got != want {
			t.Errorf("%s is now %.40q", name, got)
		}
	}
	if _, err := os.Stat(at("8000/zh/withdrawn.wav")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is shipped no more: %v", err)
	}
	if _, err := os.Stat(outside); err != nil {
		t.Error(err)
	}
	written := func() (names []string) {
		filepath.WalkDir(folder, func(file string, d fs.DirEntry, err error) error {
			if info, err := d.Info(); err == nil && !d.IsDir() && !info.ModTime().Equal(long) {
				name, _ := filepath.Rel(folder, file)
				names = append(names, filepath.ToSlash(name))
			}
			return err
		})
		return names
	}
	if got, want := written(), []string{"16000/en/please-hold.wav", "8000/en/call-rejected.wav", "8000/zh/please-hold.wav", installedList}; !slices.Equal(got, want) {
		t.Errorf("written: %q, want %q", got, want)
	}
	age()
	if _, err := InstallSounds(folder, "CN"); err != nil {
		t.Fatal(err)
	}
	if got := written(); len(got) != 0 {
		t.Errorf("nothing had changed, but written were %q", got)
	}
	if got := readSums(beforeList); len(got) != 2 || len(got["zh/suspected-nuisance.wav"]) != 64 {
		t.Errorf("the first version installed %v", got)
	}
}

// announcement is a line of texts.tsv.
type announcement struct{ name, english, chinese, pinyin string }

func announcements(t *testing.T) []announcement {
	t.Helper()
	b, err := os.ReadFile("sounds/texts.tsv")
	if err != nil {
		t.Fatal(err)
	}
	var as []announcement
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		field := strings.Split(line, "\t")
		if len(field) != 4 {
			t.Fatalf("texts.tsv: %d fields, not 4: %q", len(field), line)
		}
		as = append(as, announcement{field[0], field[1], field[2], field[3]})
	}
	return as
}

// The table says what can be spoken, and every line of it is shipped in both languages and at both rates,
// and nothing else is.
func TestTexts(t *testing.T) {
	syllable := regexp.MustCompile(`^[a-z]+[1-5][.,]?$`)
	guide, err := os.ReadFile("../docs/announcements.md")
	if err != nil {
		t.Fatal(err)
	}
	want, names := map[string]bool{}, map[string]bool{}
	for _, a := range announcements(t) {
		if line := fmt.Sprintf("| `%s` | %s | %s |", a.name, a.english, a.chinese); !strings.Contains(string(guide), line) {
			t.Errorf("docs/announcements.md lacks the line %s", line)
		}
		if _, _, ok := soundName(a.name); !ok || names[a.name] {
			t.Errorf("texts.tsv: %q is no name, or is there twice", a.name)
		}
		names[a.name] = true
		for _, rate := range []string{"8000", "16000"} {
			for _, language := range []string{"en", "zh"} {
				want[rate+"/"+language+"/"+a.name+".wav"] = true
			}
		}
		if a.english == "" || strings.Trim(a.english, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ,.") != "" {
			t.Errorf("%s: %q is no plain English", a.name, a.english)
		}
		characters := 0
		for _, r := range a.chinese {
			if unicode.Is(unicode.Han, r) {
				characters++
			} else if !strings.ContainsRune("，。", r) {
				t.Errorf("%s: %q in %q", a.name, r, a.chinese)
			}
		}
		syllables := strings.Fields(a.pinyin)
		if len(syllables) != characters {
			t.Errorf("%s: %d characters, %d syllables", a.name, characters, len(syllables))
		}
		for _, s := range syllables {
			if !syllable.MatchString(s) {
				t.Errorf("%s: %q is no syllable with a tone", a.name, s)
			}
		}
	}
	for _, name := range strings.Fields("suspected-nuisance call-rejected not-accepting-withheld challenge-intro challenge-again challenge-passed challenge-failed please-hold " +
		"whisper-suspected report-listed-confirm report-done report-none release-confirm release-number release-done release-none star-refused digits/0 digits/1 digits/2 digits/3 digits/4 digits/5 digits/6 digits/7 digits/8 digits/9") {
		if !names[name] {
			t.Errorf("there is no announcement %s", name)
		}
	}
	have := readSums(shippedSums())
	for name := range want {
		if have[name] == "" {
			t.Errorf("%s is missing: make sounds", name)
		}
	}
	size := 0
	for name := range have {
		if !want[name] {
			t.Errorf("%s is in no line of texts.tsv", name)
		}
		b, _ := shippedSounds.ReadFile("sounds/" + name)
		size += len(b)
	}
	if size > 5<<20 {
		t.Errorf("the announcements take %d bytes of the program", size)
	}
}

// The same versions of the tools make the same bytes.
func TestMakeSounds(t *testing.T) {
	for _, tool := range []string{"sh", "espeak-ng", "sox"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("NOT CHECKED that make-sounds.sh makes the files that are shipped: there is no %s (sudo apt-get install espeak-ng sox)", tool)
		}
	}
	folder := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "sh", "make-sounds.sh", folder).CombinedOutput(); err != nil {
		t.Fatalf("make-sounds.sh: %v\n%s", err, out)
	}
	tools, err := os.ReadFile(filepath.Join(folder, "made-with.txt"))
	if err != nil {
		t.Fatal(err)
	}
	made := map[string]string{}
	filepath.WalkDir(folder, func(file string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(file, ".wav") {
			b, _ := os.ReadFile(file)
			name, _ := filepath.Rel(folder, file)
			made[filepath.ToSlash(name)] = sumOf(b)
		}
		return err
	})
	shipped := readSums(shippedSums())
	if got, want := slices.Sorted(maps.Keys(made)), slices.Sorted(maps.Keys(shipped)); !slices.Equal(got, want) {
		t.Fatalf("made: %q\nshipped: %q", got, want)
	}
	if want, _ := os.ReadFile("sounds/made-with.txt"); !bytes.Equal(tools, want) {
		t.Skipf("NOT CHECKED that make-sounds.sh makes the bytes that are shipped: they were made with %q, here is %q", want, tools)
	}
	for name, sum := range shipped {
		if made[name] != sum {
			t.Errorf("%s is not what texts.tsv and make-sounds.sh make: make sounds", name)
		}
	}
}
