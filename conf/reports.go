package conf

// Reports is what is done with what people report.
type Reports struct {
	// AutoConfirm is the confidence from which on a report is confirmed without a person, from 0.5 up to 1; 0 is never.
	AutoConfirm float64
}

// readReports reads [reports].
func readReports(s *section) Reports {
	const standard = "write a number from 0.5 to 0.99 without quotes, as in auto_confirm = 0.9, or leave it out for never"
	v, there := s.values["auto_confirm"]
	if !there {
		return Reports{}
	}
	var share float64
	switch v := v.(type) {
	case float64:
		share = v
	case int64:
		share = float64(v)
	default:
		s.wrongType("auto_confirm", "a number without quotes, as in auto_confirm = 0.9")
		return Reports{}
	}
	if share != 0 && !(share >= 0.5 && share <= 0.99) { // NaN is neither
		s.fault("auto_confirm", "is %v, and nothing is so sure or so unsure that it could be confirmed without a person: %s", v, standard)
		return Reports{}
	}
	return Reports{AutoConfirm: share}
}
