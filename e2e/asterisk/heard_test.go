package asterisk

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

// compress is G.711 µ-law of a 16-bit sample.
func compress(v int) byte {
	sign := 0
	if v < 0 {
		sign, v = 0x80, -v
	}
	v = min(v, 32635) + 0x84
	exponent := 7
	for mask := 0x4000; v&mask == 0 && exponent > 0; mask >>= 1 {
		exponent--
	}
	return ^byte(sign | exponent<<4 | v>>(exponent+3)&15)
}

// Each shipped announcement is heard as itself, wherever it begins, and nothing else as one.
func TestRecognise(t *testing.T) {
	const folder = "../../conf/sounds/8000"
	recordings, err := ReadRecordings(folder)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	audio := func(names ...string) (all []byte) {
		all = append(all, make([]byte, r.IntN(frameStep))...)
		for i := range all {
			all[i] = 0xff
		}
		for _, name := range names {
			wav, err := os.ReadFile(folder + "/" + name + ".wav")
			if err != nil {
				t.Fatal(err)
			}
			_, data, _ := strings.Cut(string(wav), "data")
			for pcm := []byte(data[4:]); len(pcm) >= 2; pcm = pcm[2:] {
				all = append(all, compress(int(int16(binary.LittleEndian.Uint16(pcm)))))
			}
		}
		return all
	}
	if len(recordings) < 40 {
		t.Fatalf("%d recordings", len(recordings))
	}
	for i, rec := range recordings {
		other := recordings[(i+7)%len(recordings)]
		if got := Recognise(audio(rec.Name, other.Name), recordings); !slices.Equal(got, []string{rec.Name, other.Name}) {
			t.Errorf("%s and %s were heard as %v", rec.Name, other.Name, got)
		}
		if a := audio(rec.Name); !strings.Contains(rec.Name, "digits") {
			if got := Recognise(a[:len(a)/2], recordings); !slices.Equal(got, []string{"?"}) {
				t.Errorf("half of %s was heard as %v", rec.Name, got)
			}
		}
	}
	noise := make([]byte, 3*sampleRate)
	for i := range noise {
		noise[i] = compress(r.IntN(8000) - 4000)
	}
	if got := Recognise(noise, recordings); !slices.Equal(got, []string{"?"}) {
		t.Errorf("noise was heard as %v", got)
	}
	if got := Recognise(slices.Repeat([]byte{0xff}, sampleRate), recordings); len(got) > 0 {
		t.Errorf("silence was heard as %v", got)
	}
}
