package pages

import "strings"

// diffLine is a line of two texts that are held against each other.
type diffLine struct {
	Kind string // "same", "gone", "new" or "skip": lines that are the same were left out
	N    int    // its number in the text that has it; of a skip how many lines
	Text string
}

// Bounds of a diff: how many pairs of lines are held against each other, and how many lines around a change are shown.
const (
	maxPairs = 4 << 20
	around   = 3
)

// diffOf says by what lines the second text differs from the first: a longest common sequence of lines stays, the others are gone or new.
func diffOf(before, after string) []diffLine {
	a, b := linesOf(before), linesOf(after)
	begin := 0
	for begin < len(a) && begin < len(b) && a[begin] == b[begin] {
		begin++
	}
	end := 0
	for end < len(a)-begin && end < len(b)-begin && a[len(a)-1-end] == b[len(b)-1-end] {
		end++
	}
	var out []diffLine
	for i := range begin {
		out = append(out, diffLine{"same", i + 1, b[i]})
	}
	out = append(out, middle(a[begin:len(a)-end], b[begin:len(b)-end], begin)...)
	for i := len(b) - end; i < len(b); i++ {
		out = append(out, diffLine{"same", i + 1, b[i]})
	}
	return folded(out)
}

func linesOf(text string) []string {
	return strings.Split(strings.TrimSuffix(strings.ReplaceAll(text, "\r\n", "\n"), "\n"), "\n")
}

// middle compares what lies between the lines that two texts begin and end with alike. Of texts too long for that all is gone and new.
func middle(a, b []string, offset int) (out []diffLine) {
	gone := func(i int) { out = append(out, diffLine{"gone", offset + i + 1, a[i]}) }
	isNew := func(j int) { out = append(out, diffLine{"new", offset + j + 1, b[j]}) }
	i, j := 0, 0
	if len(a)*len(b) <= maxPairs {
		common := commonLengths(a, b)
		width := len(b) + 1
		for i < len(a) && j < len(b) {
			switch {
			case a[i] == b[j]:
				out = append(out, diffLine{"same", offset + j + 1, b[j]})
				i, j = i+1, j+1
			case common[(i+1)*width+j] >= common[i*width+j+1]:
				gone(i)
				i++
			default:
				isNew(j)
				j++
			}
		}
	}
	for ; i < len(a); i++ {
		gone(i)
	}
	for ; j < len(b); j++ {
		isNew(j)
	}
	return out
}

// commonLengths has at i*(len(b)+1)+j how many lines a[i:] and b[j:] have in common, in order.
func commonLengths(a, b []string) []int32 {
	width := len(b) + 1
	common := make([]int32, (len(a)+1)*width)
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i*width+j] = common[(i+1)*width+j+1] + 1
			} else {
				common[i*width+j] = max(common[(i+1)*width+j], common[i*width+j+1])
			}
		}
	}
	return common
}

// folded leaves out what is the same far from any change.
func folded(all []diffLine) (out []diffLine) {
	near := make([]bool, len(all))
	for i, l := range all {
		if l.Kind == "same" {
			continue
		}
		for k := max(0, i-around); k <= min(len(all)-1, i+around); k++ {
			near[k] = true
		}
	}
	for i, l := range all {
		switch {
		case near[i]:
			out = append(out, l)
		case len(out) > 0 && out[len(out)-1].Kind == "skip":
			out[len(out)-1].N++
		default:
			out = append(out, diffLine{Kind: "skip", N: 1})
		}
	}
	return out
}
