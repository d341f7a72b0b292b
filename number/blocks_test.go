package number

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// A set of blocks that is looked up by the keys of a number must find the patterns that match it, and no other.
func TestBlocksAreTheReference(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	for range 300 {
		var lengths BlockLengths
		blocks := map[uint64][]Pattern{}
		var all []Pattern
		for range 1 + rnd.IntN(20) {
			p := Pattern{Size: uint8(1 + rnd.IntN(16)), Open: rnd.IntN(3) == 0, Plus: rnd.IntN(2) == 0}
			p.Lo = rnd.Uint64N(pow10[min(p.Size, 4)])
			p.Hi = p.Lo
			if !p.Open {
				p.Hi = min(p.Lo+rnd.Uint64N(300), pow10[p.Size]-1)
			}
			if !p.Valid() {
				t.Fatalf("%+v is not valid", p)
			}
			all = append(all, p)
			for key := range p.Blocks {
				if !p.HasBlock(key) || p.HasBlock(key^1) {
					t.Fatalf("%+v and its block %x", p, key)
				}
				if blocks[key] = append(blocks[key], p); !lengths.Add(key) {
					t.Fatalf("%x of %+v is no block's key", key, p)
				}
			}
		}
		for _, p := range all {
			for _, q := range all {
				if digits := fmt.Sprintf("%0*d", q.Size, q.Lo); q.IsExact() {
					n := Written(digits, digits)
					for key := range q.Blocks { // the one of the number
						if got, want := p.HasBlock(key), p.Plus == q.Plus && !p.Open && p.Matches(&n); got != want {
							t.Fatalf("%+v and the number %+v: got %v, want %v", p, q, got, want)
						}
					}
				}
			}
		}
		for range 50 {
			n := Written(fmt.Sprintf("%0*d", 1+rnd.IntN(17), rnd.Uint64N(10000)), fmt.Sprintf("%0*d", 1+rnd.IntN(17), rnd.Uint64N(10000)))
			got, want := map[Pattern]bool{}, map[Pattern]bool{}
			lengths.Keys(&n, func(key uint64) {
				for _, p := range blocks[key] {
					got[p] = true
				}
			})
			for _, p := range all {
				if p.Matches(&n) {
					want[p] = true
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("%+v: got %v, want %v", n, got, want)
			}
		}
	}
}

func TestNoBlocks(t *testing.T) {
	var l BlockLengths
	for _, key := range []uint64{0, 1, 5 << 6, 1<<6 | 17<<1, 12<<6 | 0<<1 | 1, 12345<<6 | 3<<1, 1 << 63} {
		if l.Add(key) && key != 12<<6|1 {
			t.Errorf("%x is taken for a block's key", key)
		}
	}
	for _, p := range []Pattern{{}, {Size: 17}, {Size: 2, Lo: 5, Hi: 4}, {Size: 2, Lo: 5, Hi: 100}, {Size: 2, Lo: 5, Hi: 6, Open: true}} {
		if p.Valid() {
			t.Errorf("%+v is valid", p)
		}
		for key := range p.Blocks {
			t.Errorf("%+v has a block %x", p, key)
		}
	}
}
