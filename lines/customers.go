package lines

// customers is whether there are several, of the lines at a moment.
type customers struct {
	of      *state
	several bool
}

// SeveralCustomers reports whether the lines are of more than one customer. It looks at them once after each change.
func (l *Lines) SeveralCustomers() bool {
	s := l.state.Load()
	if c := l.customers.Load(); c != nil && c.of == s {
		return c.several
	}
	c := &customers{of: s}
	first, any := "", false
	for line := range l.All() {
		if !any {
			first, any = line.Customer, true
		} else if line.Customer != first {
			c.several = true
			break
		}
	}
	l.customers.Store(c)
	return c.several
}

// HasCustomer reports whether a line is a customer's.
func (l *Lines) HasCustomer(name string) bool {
	for range l.Of(name) {
		return true
	}
	return false
}
