package lines

// What is known of a state's customers.
const (
	customersUnknown = iota
	oneCustomer
	severalCustomers
)

// SeveralCustomers reports whether the lines are of more than one customer. It looks at them once after each change.
func (l *Lines) SeveralCustomers() bool {
	s := l.state.Load()
	if known := s.customers.Load(); known != customersUnknown {
		return known == severalCustomers
	}
	known, first, any := int32(oneCustomer), "", false
	for line := range s.all() {
		if any && line.Customer != first {
			known = severalCustomers
			break
		}
		first, any = line.Customer, true
	}
	s.customers.Store(known)
	return known == severalCustomers
}

// HasCustomer reports whether a line is a customer's.
func (l *Lines) HasCustomer(name string) bool {
	for range l.Of(name) {
		return true
	}
	return false
}
