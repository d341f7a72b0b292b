package conf

import (
	"encoding/binary"
	"math"
	"math/cmplx"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A wave is a file, its samples from -1 to 1.
type wave struct {
	name    string
	rate    int
	samples []float64
}

// waves reads all shipped files, by RATE/LANGUAGE/NAME.
func waves(t *testing.T) map[string]wave {
	t.Helper()
	ws := map[string]wave{}
	for file := range readSums(shippedSums()) {
		b, err := shippedSounds.ReadFile("sounds/" + file)
		if err != nil {
			t.Fatal(err)
		}
		rate, _ := strconv.Atoi(file[:strings.Index(file, "/")])
		u16, u32 := binary.LittleEndian.Uint16, binary.LittleEndian.Uint32
		if len(b) < 44 || string(b[:4]) != "RIFF" || string(b[8:16]) != "WAVEfmt " || u32(b[16:]) != 16 || string(b[36:40]) != "data" || int(u32(b[40:])) != len(b)-44 || int(u32(b[4:])) != len(b)-8 {
			t.Fatalf("%s is no plain WAV file", file)
		}
		if u16(b[20:]) != 1 || u16(b[22:]) != 1 || int(u32(b[24:])) != rate || int(u32(b[28:])) != 2*rate || u16(b[34:]) != 16 {
			t.Errorf("%s is not %d Hz, one channel, 16 bit PCM", file, rate)
		}
		w := wave{name: strings.TrimSuffix(file, ".wav"), rate: rate}
		for b = b[44:]; len(b) > 1; b = b[2:] {
			w.samples = append(w.samples, float64(int16(u16(b)))/32768)
		}
		ws[w.name] = w
	}
	return ws
}

func (w wave) seconds() float64 { return float64(len(w.samples)) / float64(w.rate) }

func (w wave) digit() bool { return strings.Contains(w.name, "/digits/") }

// levels are the RMS levels of frames of 20 ms, in dB below full scale.
func (w wave) levels() (dB []float64) {
	for frame := range slices.Chunk(w.samples, w.rate/50) {
		dB = append(dB, 10*math.Log10(power(frame)+1e-10))
	}
	return dB
}

func power(samples []float64) (p float64) {
	for _, v := range samples {
		p += v * v
	}
	return p / float64(len(samples))
}

// voice is the level from which a frame counts as voiced: 24 dB below the wanted level of what is.
const wantedLevel, voice = -21, -45

// Every announcement is as loud as the others, is neither clipped nor offset, begins and ends in time, and is
// speech by its spectrum and its rhythm: no silence, no tone, no noise.
func TestSoundFiles(t *testing.T) {
	lowest, highest := math.Inf(1), math.Inf(-1)
	for _, w := range waves(t) {
		shortest, longest, spread, lead := 1.2, 6.0, 6.0, [2]float64{0.15, 0.3}
		if w.digit() {
			shortest, longest, spread, lead = 0.4, 0.9, 3.0, [2]float64{0, 0.16}
		}
		if s := w.seconds(); s < shortest || s > longest {
			t.Errorf("%s takes %.2f s", w.name, s)
		}
		checkSamples(t, w)

		levels := w.levels()
		first, last, voiced, loud := -1, 0, 0, 0.0
		for i, dB := range levels {
			if dB > voice {
				if first < 0 {
					first = i
				}
				last, voiced, loud = i, voiced+1, loud+math.Pow(10, dB/10)
			}
		}
		if voiced == 0 {
			t.Errorf("%s is silent", w.name)
			continue
		}
		dB := 10 * math.Log10(loud/float64(voiced))
		lowest, highest = math.Min(lowest, dB), math.Max(highest, dB)
		if math.Abs(dB-wantedLevel) > 1.5 {
			t.Errorf("%s: what is voiced has %.1f dB, not %d", w.name, dB, wantedLevel)
		}
		if s := float64(first) / 50; s < lead[0] || s > lead[1] {
			t.Errorf("%s begins after %.2f s", w.name, s)
		}
		if s := float64(len(levels)-1-last) / 50; s < 0.06 || s > 0.3 {
			t.Errorf("%s ends with %.2f s of silence", w.name, s)
		}
		// Speech has its loud and its faint sounds.
		within := slices.Sorted(slices.Values(levels[first : last+1]))
		if dB := within[len(within)*9/10] - within[len(within)/10]; dB < spread {
			t.Errorf("%s: its levels spread over %.1f dB", w.name, dB)
		}
		if share := float64(voiced) / float64(last+1-first); share < 0.7 {
			t.Errorf("%s: %.0f%% of it is voiced", w.name, 100*share)
		}

		checkSpectrum(t, w)
	}
	if highest-lowest > 2 {
		t.Errorf("what is voiced has from %.1f to %.1f dB", lowest, highest)
	}
}

// checkSamples looks at a sound as a row of samples: neither clipped nor too low, and around zero.
func checkSamples(t *testing.T, w wave) {
	t.Helper()
	peak, sum, flat, run := 0.0, 0.0, 0, 0
	for i, v := range w.samples {
		peak, sum = math.Max(peak, math.Abs(v)), sum+v
		if i > 0 && v == w.samples[i-1] && math.Abs(v) > 0.5 {
			run++
		} else {
			run = 0
		}
		flat = max(flat, run)
	}
	if dB := 20 * math.Log10(peak); dB > -1 || dB < -18 || flat > 2 {
		t.Errorf("%s: its peak is %.1f dB, and %d samples in a row stay at theirs: clipped, or too low", w.name, dB, flat+1)
	}
	if offset := sum / float64(len(w.samples)); math.Abs(offset) > 0.0005 {
		t.Errorf("%s has an offset of %.5f", w.name, offset)
	}
}

// checkSpectrum looks at a sound by its frequencies: they are those of speech through a telephone.
func checkSpectrum(t *testing.T, w wave) {
	t.Helper()
	spectrum, width := w.spectrum(), float64(w.rate)/fftSize
	band := func(from, to float64) []float64 { return spectrum[int(from/width):int(to/width)] }
	total, speech := added(spectrum), added(band(300, 3400))
	if share := speech / total; share < 0.5 {
		t.Errorf("%s: %.0f%% of its energy is in the band of a telephone", w.name, 100*share)
	}
	if share := added(band(0, 60)) / total; share > 0.01 {
		t.Errorf("%s: %.1f%% of its energy is below 60 Hz", w.name, 100*share)
	}
	if share := slices.Max(spectrum) / total; share > 0.4 {
		t.Errorf("%s: %.0f%% of its energy is in one line: a tone", w.name, 100*share)
	}
	if f := flatness(band(300, 3400)); f > 0.55 {
		t.Errorf("%s: its spectrum is as flat as noise: %.2f", w.name, f)
	}
}

// The two rates have the same sound.
func TestSoundRates(t *testing.T) {
	ws := waves(t)
	for _, narrow := range ws {
		if narrow.rate != 8000 {
			continue
		}
		wide := ws["16"+narrow.name[1:]]
		if d := math.Abs(narrow.seconds() - wide.seconds()); d > 0.005 {
			t.Errorf("%s and %s differ by %.1f ms", narrow.name, wide.name, 1000*d)
		}
		if c := correlation(narrow.samples, wide.halved()); c < 0.98 {
			t.Errorf("%s and %s correlate by %.3f", narrow.name, wide.name, c)
		}
	}
}

// Nothing is spoken twice: no two announcements, nor one in the two languages, sound alike. How near the same
// sound comes is seen in the two rates.
func TestSoundsDiffer(t *testing.T) {
	ws := waves(t)
	prints := map[string][]float64{}
	for name, w := range ws {
		prints[name] = w.print()
	}
	nearest, same := math.Inf(1), 0.0
	for a, pa := range prints {
		for b, pb := range prints {
			_, word, _ := strings.Cut(a, "/")
			_, other, _ := strings.Cut(b, "/")
			switch {
			case a >= b:
			case word == other:
				d := distance(pa, pb)
				same = math.Max(same, d)
				if d > 2 {
					t.Errorf("%s and %s differ by %.1f dB", a, b, d)
				}
			case ws[a].rate == ws[b].rate:
				d := distance(pa, pb)
				nearest = math.Min(nearest, d)
				if d < 4 {
					t.Errorf("%s and %s sound alike: they differ by %.1f dB", a, b, d)
				}
			}
		}
	}
	t.Logf("the nearest two differ by %.1f dB, two rates of one by at most %.1f dB", nearest, same)
}

// The checks above find what they are for.
func TestSoundChecks(t *testing.T) {
	w := wave{rate: 8000, samples: make([]float64, 8000)}
	noise := w
	noise.samples = make([]float64, 8000)
	seed := uint32(1)
	for i := range w.samples {
		seed = seed*1664525 + 1013904223
		w.samples[i] = math.Sin(2 * math.Pi * 1000 * float64(i) / 8000)
		noise.samples[i] = float64(int32(seed)) / math.MaxInt32
	}
	tone := w.spectrum()
	if at := slices.Index(tone, slices.Max(tone)); at != 1000*fftSize/8000 {
		t.Errorf("1000 Hz is seen at %d Hz", at*8000/fftSize)
	}
	if share := slices.Max(tone) / added(tone); share < 0.6 {
		t.Errorf("a tone has %.2f in one line", share)
	}
	if f := flatness(noise.spectrum()[10:]); f < 0.8 {
		t.Errorf("noise has a flatness of %.2f", f)
	}
	if c := correlation(w.samples, noise.samples); c > 0.1 {
		t.Errorf("a tone and noise correlate by %.2f", c)
	}
	if d := distance(w.print(), noise.print()); d < 10 {
		t.Errorf("a tone and noise differ by %.1f dB", d)
	}
}

// What follows computes: spectra, correlation, and how two sounds compare.

const fftSize = 512

// fft transforms in place; the length is a power of two.
func fft(x []complex128) {
	n := len(x)
	if n == 1 {
		return
	}
	even, odd := make([]complex128, n/2), make([]complex128, n/2)
	for i := range even {
		even[i], odd[i] = x[2*i], x[2*i+1]
	}
	fft(even)
	fft(odd)
	for i := range even {
		turned := cmplx.Rect(1, -2*math.Pi*float64(i)/float64(n)) * odd[i]
		x[i], x[i+n/2] = even[i]+turned, even[i]-turned
	}
}

// spectrum is the energy by frequency, from 0 to half the rate.
func (w wave) spectrum() []float64 { return spectrum(w.samples) }

func spectrum(samples []float64) []float64 {
	sum := make([]float64, fftSize/2)
	for from := 0; from == 0 || from+fftSize <= len(samples); from += fftSize / 2 {
		frame := make([]complex128, fftSize)
		for i := range min(fftSize, len(samples)-from) {
			window := 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/fftSize)
			frame[i] = complex(window*samples[from+i], 0)
		}
		fft(frame)
		for i := range sum {
			a := cmplx.Abs(frame[i])
			sum[i] += a * a
		}
	}
	return sum
}

func added(v []float64) (sum float64) {
	for _, x := range v {
		sum += x
	}
	return sum
}

// flatness is the geometric mean over the arithmetic one: 1 for white noise, near 0 for a tone.
func flatness(v []float64) float64 {
	logs := 0.0
	for _, x := range v {
		logs += math.Log(x + 1e-12)
	}
	return math.Exp(logs/float64(len(v))) / (added(v) / float64(len(v)))
}

// halved is the wave at half its rate, with what the lower rate cannot hold filtered out.
func (w wave) halved() []float64 {
	const reach, cut = 48, 0.235 // cut: in parts of the rate, 3760 Hz of 16 kHz
	var taps [2*reach + 1]float64
	for i := range taps {
		x := float64(i - reach)
		taps[i] = 2 * cut * (0.5 + 0.5*math.Cos(math.Pi*x/(reach+1)))
		if x != 0 {
			taps[i] *= math.Sin(2*math.Pi*cut*x) / (2 * math.Pi * cut * x)
		}
	}
	half := make([]float64, len(w.samples)/2)
	for i := range half {
		for j, tap := range taps {
			if k := 2*i + j - reach; k >= 0 && k < len(w.samples) {
				half[i] += tap * w.samples[k]
			}
		}
	}
	return half
}

// correlation is 1 for the same sound, be it louder.
func correlation(a, b []float64) float64 {
	n := min(len(a), len(b))
	product := 0.0
	for i := range n {
		product += a[i] * b[i]
	}
	return product / float64(n) / math.Sqrt(power(a[:n])*power(b[:n]))
}

// print is what a sound is known by at any rate and speed: how its energy lies in 12 bands of the telephone's,
// in dB of their mean, over 20 parts of its time.
func (w wave) print() (p []float64) {
	const parts, bands = 20, 12
	if w.rate == 16000 {
		w = wave{w.name, 8000, w.halved()}
	}
	size := len(w.samples) / parts
	for part := range parts {
		middle := (2*part + 1) * size / 2
		reach := max(size, fftSize) / 2
		s := spectrum(w.samples[max(0, middle-reach):min(len(w.samples), middle+reach)])
		edge := func(i int) int { // each band is wider than the one below
			return int(300 * math.Pow(3400.0/300, float64(i)/bands) * fftSize / float64(w.rate))
		}
		for band := range bands {
			p = append(p, added(s[edge(band):edge(band+1)]))
		}
	}
	mean := added(p) / float64(len(p))
	for i := range p {
		p[i] = math.Max(10*math.Log10(p[i]/mean+1e-9), -30) // the faintest is as good as silence
	}
	return p
}

// distance is by how many dB two prints differ.
func distance(a, b []float64) float64 {
	d := 0.0
	for i := range a {
		d += (a[i] - b[i]) * (a[i] - b[i])
	}
	return math.Sqrt(d / float64(len(a)))
}
