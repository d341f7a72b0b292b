package asterisk

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// How audio is looked at: 8,000 samples a second, in frames of 32 ms, one every 8 ms, each by how much of it is in
// sixteen bands of a voice on the telephone.
const (
	sampleRate  = 8000
	frameLength = 256
	frameStep   = 64
	bands       = 16
	lowest      = 200.0
	highest     = 3400.0
	quiet       = 200 // root mean square of 16-bit samples below which a frame is silence
)

// frame is the shape of a moment's spectrum: the bands' logarithms about their mean, of length one. A silent one is
// all zero.
type frame [bands]float64

// Recording is an announcement that may be heard.
type Recording struct {
	Name   string // such as zh/suspected-nuisance
	frames []frame
}

// ReadRecordings reads all announcements of a folder, LANGUAGE/NAME.wav, with 8 kHz and one channel of 16 bit.
func ReadRecordings(folder string) ([]Recording, error) {
	var all []Recording
	for _, pattern := range []string{"*/*.wav", "*/*/*.wav"} {
		files, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			_, data, ok := strings.Cut(string(b), "data")
			if !ok || len(data) < 4 {
				return nil, fmt.Errorf("%s is no WAV file", file)
			}
			var samples []float64
			for pcm := []byte(data[4:]); len(pcm) >= 2; pcm = pcm[2:] {
				samples = append(samples, float64(int16(binary.LittleEndian.Uint16(pcm))))
			}
			name, _ := filepath.Rel(folder, strings.TrimSuffix(file, ".wav"))
			all = append(all, Recording{Name: name, frames: framesOf(samples)})
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("there are no announcements in %s", folder)
	}
	return all, nil
}

// framesOf takes audio apart.
func framesOf(samples []float64) []frame {
	var all []frame
	for at := 0; at+frameLength <= len(samples); at += frameStep {
		all = append(all, frameOf(samples[at:at+frameLength]))
	}
	return all
}

// The window of a frame, and where power is looked for: three places in each band, as Goertzel's coefficients.
var window, places = func() (w [frameLength]float64, p [bands * 3]float64) {
	for n := range w {
		w[n] = 0.5 - 0.5*math.Cos(2*math.Pi*float64(n)/frameLength)
	}
	for i := range p {
		hz := lowest * math.Pow(highest/lowest, (float64(i)+0.5)/float64(len(p)))
		p[i] = 2 * math.Cos(2*math.Pi*hz/sampleRate)
	}
	return w, p
}()

func frameOf(samples []float64) (f frame) {
	power := 0.0
	for _, s := range samples {
		power += s * s
	}
	if math.Sqrt(power/frameLength) < quiet {
		return frame{}
	}
	mean := 0.0
	for i := range f {
		sum := 0.0
		for _, k := range places[3*i : 3*i+3] {
			var a, b float64
			for n, s := range samples {
				a, b = s*window[n]+k*a-b, a
			}
			sum += a*a + b*b - k*a*b
		}
		f[i] = math.Log(sum + 1)
		mean += f[i] / bands
	}
	length := 0.0
	for i := range f {
		f[i] -= mean
		length += f[i] * f[i]
	}
	for i := range f {
		f[i] /= math.Sqrt(length) + 1e-9
	}
	return f
}

// likeness is how alike two spectra are: 1 at the most.
func (f *frame) likeness(g *frame) (sum float64) {
	for i := range f {
		sum += f[i] * g[i]
	}
	return sum
}

// alike is the likeness from which a recording is taken to have been heard. The same recording, through G.711 and
// shifted by part of a step, has 0.95 and more; another has less, and no other than a digit has 0.85.
const alike = 0.9

// Recognise says which recordings were heard, in order, in the audio of an RTP stream of G.711 µ-law. Audio that is
// not silent and no recording is "?".
func Recognise(audio []byte, recordings []Recording) []string {
	samples := make([]float64, len(audio))
	for i, b := range audio {
		samples[i] = ulaw(b)
	}
	heard := framesOf(samples)
	var names []string
	for at := 0; at < len(heard); {
		if heard[at] == (frame{}) {
			at++
			continue
		}
		best, name, length := 0.0, "", 0
		for _, r := range recordings {
			// Where exactly it began, a soft first sound does not tell.
			for start := max(0, at-slack); start <= at+slack; start++ {
				if l, skip := r.at(heard, start); l > best {
					best, name, length = l, r.Name, start-at+len(r.frames)-skip
				}
			}
		}
		if best < alike {
			// Something else is heard until it is silent for a quarter of a second.
			name, length = "?", 1
			for silent := 0; at+length < len(heard) && silent < sampleRate/frameStep/4; length++ {
				if silent++; heard[at+length] != (frame{}) {
					silent = 0
				}
			}
		}
		if name != "?" || len(names) == 0 || names[len(names)-1] != "?" {
			names = append(names, name)
		}
		at += length
	}
	return names
}

// slack is by how many frames a recording may begin before or after the first loud one.
const slack = 12

// at says how alike a recording is to what is heard from a frame on, its own silence in front left out.
func (r *Recording) at(heard []frame, at int) (likeness float64, skip int) {
	skip = slices.IndexFunc(r.frames, func(f frame) bool { return f != frame{} })
	if skip < 0 {
		return 0, 0
	}
	sum, n := 0.0, 0
	for i, f := range r.frames[skip:] {
		if f == (frame{}) {
			continue
		}
		n++
		if at+i < len(heard) {
			sum += f.likeness(&heard[at+i])
		}
	}
	return sum / float64(n), skip
}

// ulaw is a sample of G.711 µ-law as a 16-bit one.
func ulaw(b byte) float64 {
	b = ^b
	v := float64((int(b&15)<<3+0x84)<<(b>>4&7) - 0x84)
	if b&0x80 != 0 {
		return -v
	}
	return v
}
