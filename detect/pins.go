package detect

// pin is what holds a key by a person's word, nil if nothing does.
func (d *detector) pin(key uint64) *breaker {
	if len(d.pins) == 0 {
		return nil
	}
	if b := d.pins[key]; b != nil {
		return b
	}
	return d.pins[anyTrunk<<keyBits|key&keyMask]
}

// dropPin forgets a pin, if there is one.
func (d *detector) dropPin(key uint64) {
	delete(d.pins, key)
	d.notePins()
}

func (d *detector) pinned(key uint64) bool { return d.pin(key) != nil }
