package number

// Form says how a number was written: what stood before its digits. A trunk that writes callers from abroad with + and those of
// the country without shows by it where a call came from, whatever number it bears.
type Form uint8

// The forms. A number of the plan's country may come in each of them, one of another country as plus or international only.
const (
	FormNone          Form = iota // no digits, an internal number, or a caller without a number
	FormPlus                      // + and the country code: +86 592 555 0100
	FormInternational             // an international prefix, or the country code alone: 0086592…, 011865…, 86592…
	FormNational                  // as dialled inside the country, with or without the trunk 0: 05925550100, 95588
	FormLocal                     // without its area code: 5550100
)

var formNames = [...]string{FormPlus: "plus", FormInternational: "international", FormNational: "national", FormLocal: "local"}

// String gives the form's word in policies, "" of FormNone.
func (f Form) String() string {
	if int(f) < len(formNames) {
		return formNames[f]
	}
	return ""
}

// ParseForm reads a form's word, exactly as String writes it. FormNone has none.
func ParseForm(s string) (Form, bool) {
	for f, name := range formNames {
		if name == s && name != "" {
			return Form(f), true
		}
	}
	return FormNone, false
}

// FormNames lists the words for forms, for advice and completion. The caller owns the slice.
func FormNames() []string { return append([]string(nil), formNames[FormPlus:]...) }
