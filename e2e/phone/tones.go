package phone

import (
	"encoding/binary"
	"math"
	"strings"
	"time"
)

// The recordings of the tests are tones, so that what a phone hears can be recognised by its spectrum: one for
// each digit, and one of another pitch for everything else.
const (
	firstTone = 500.0 // Hz, of the digit 0
	nextTone  = 150.0
	OtherTone = 2600.0
)

// WAV is a WAV file of a tone, a little silence behind it.
func WAV(frequency float64, length time.Duration) []byte {
	const rate = 8000
	n := int(length.Seconds() * rate)
	pcm := make([]byte, 0, 2*(n+rate/10))
	for i := range n {
		pcm = binary.LittleEndian.AppendUint16(pcm, uint16(int16(9000*math.Sin(2*math.Pi*frequency*float64(i)/rate))))
	}
	pcm = append(pcm, make([]byte, 2*rate/10)...)
	b := []byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data")
	b = binary.LittleEndian.AppendUint32(b, uint32(len(pcm)))
	b = append(b, pcm...)
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)-8))
	return b
}

// DigitTone is the recording of a digit.
func DigitTone(digit int) []byte {
	return WAV(firstTone+nextTone*float64(digit), 200*time.Millisecond)
}

// toneOf says which digit's tone a packet of µ-law holds, -1 for none.
func toneOf(ulaw []byte) int {
	samples := make([]float64, len(ulaw))
	energy := 0.0
	for i, u := range ulaw {
		u = ^u
		v := float64((int(u&0x0f)<<3+0x84)<<(u>>4&7) - 0x84)
		if u&0x80 != 0 {
			v = -v
		}
		samples[i] = v
		energy += v * v
	}
	if len(samples) < 80 || energy/float64(len(samples)) < 1e5 {
		return -1
	}
	best, most := -1, 0.0
	for digit := range 10 {
		if p := power(samples, firstTone+nextTone*float64(digit)); p > most {
			best, most = digit, p
		}
	}
	if most < 0.6*energy*float64(len(samples))/2 {
		return -1
	}
	return best
}

// power is that of one frequency (Goertzel's algorithm).
func power(samples []float64, frequency float64) float64 {
	c := 2 * math.Cos(2*math.Pi*frequency/8000)
	var s1, s2 float64
	for _, x := range samples {
		s1, s2 = x+c*s1-s2, s1
	}
	return s1*s1 + s2*s2 - c*s1*s2
}

// DigitsHeard are the digits that were read out to a phone since a moment: tones of at least five packets.
func (p *Phone) DigitsHeard(since time.Time) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out strings.Builder
	last, run := -1, 0
	for _, a := range p.audio {
		if a.at.Before(since) {
			continue
		}
		if a.tone != last {
			last, run = a.tone, 0
		}
		if run++; run == 5 && a.tone >= 0 {
			out.WriteByte('0' + byte(a.tone))
		}
	}
	return out.String()
}
