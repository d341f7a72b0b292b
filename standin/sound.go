package standin

import (
	"encoding/binary"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// soundLength is how long a file plays, and whether there is such a file. It
// knows WAV files by their header, and the streams silence_stream://MS,
// tone_stream://%(ON,OFF,…) and file_string://A!B.
func soundLength(name string) (time.Duration, bool) {
	if strings.HasPrefix(name, "{") {
		if _, after, ok := strings.Cut(name, "}"); ok {
			name = after
		}
	}
	name, _, _ = strings.Cut(name, "@@")
	scheme, rest, ok := strings.Cut(name, "://")
	if !ok {
		return wavLength(name)
	}
	switch scheme {
	case "silence_stream":
		ms, _, _ := strings.Cut(rest, ",")
		n, err := strconv.Atoi(ms)
		return time.Duration(max(n, 0)) * time.Millisecond, err == nil
	case "tone_stream":
		return toneLength(rest), true
	case "file_string":
		var total time.Duration
		for _, part := range strings.Split(rest, "!") {
			d, ok := soundLength(part)
			if !ok {
				return total, false
			}
			total += d
		}
		return total, true
	}
	return 0, false
}

// toneLength adds up the tones of a script in TGML: %(on,off,frequencies…), milliseconds.
func toneLength(script string) time.Duration {
	var total time.Duration
	for {
		_, after, ok := strings.Cut(script, "%(")
		if !ok {
			return total
		}
		body, rest, _ := strings.Cut(after, ")")
		for i, field := range strings.Split(body, ",") {
			if i > 1 {
				break
			}
			n, _ := strconv.Atoi(strings.TrimSpace(field))
			total += time.Duration(n) * time.Millisecond
		}
		script = rest
	}
}

// wavLength reads the length of a WAV file from its header.
func wavLength(path string) (time.Duration, bool) {
	f, err := os.Open(path)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	var riff [12]byte
	if _, err := io.ReadFull(f, riff[:]); err != nil || string(riff[:4]) != "RIFF" || string(riff[8:]) != "WAVE" {
		return 0, false
	}
	var bytesPerSecond uint32
	for range 100 { // chunks; a header has a handful
		var head [8]byte
		if _, err := io.ReadFull(f, head[:]); err != nil {
			return 0, false
		}
		size := binary.LittleEndian.Uint32(head[4:])
		switch string(head[:4]) {
		case "fmt ":
			var format [16]byte
			if size < 16 {
				return 0, false
			}
			if _, err := io.ReadFull(f, format[:]); err != nil {
				return 0, false
			}
			bytesPerSecond = binary.LittleEndian.Uint32(format[8:])
			size -= 16
		case "data":
			if bytesPerSecond == 0 {
				return 0, false
			}
			return time.Duration(size) * time.Second / time.Duration(bytesPerSecond), true
		}
		if _, err := f.Seek(int64(size)+int64(size&1), io.SeekCurrent); err != nil {
			return 0, false
		}
	}
	return 0, false
}
