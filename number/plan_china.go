package number

import "strings"

// chinaCode is China's country code. The numbering plan of the mainland is written out here instead
// of asked from the metadata of other countries' plans: nearly every call of a Chinese system goes
// through it, and those metadata know neither the long 95 numbers nor what an area code in front of a
// service code means.
//
// Source: the plan of the Ministry of Industry and Information Technology as far as it is public, and
// the CN territory of Google's libphonenumber for area codes.
const chinaCode = "86"

// chinaAreas tells, for every three-digit area code in use (without trunk 0), how many digits a local
// number has there: 7, 8, or 15 for both. Area codes 10 and 20 to 29 have two digits and 8-digit
// numbers.
var chinaAreas = areaTable(map[uint8]string{
	7: "310 312-319 335 349 350-359 370 372-376 378 391-396 398 " +
		"410 412-419 421 427 429 433-439 452-459 464 467-479 482 483 " +
		"530 533-539 543 546 550 552-559 561-564 566 570 572 578 580 592-594 596-599 " +
		"631-635 660 662 663 668 691 692 " +
		"701 710-719 722 724 728 730 734-739 743-746 750-754 756 758 759 762 763 766 768 770-779 790 792-799 " +
		"812 813 816-818 825-827 830-839 851-859 870 872-879 883 886-888 891-897 " +
		"901-903 906 908 909 911-917 919 930-939 941 943 951-955 970-979 990-999",
	8: "311 371 377 379 411 431-433 435 451 510-519 523 527 531 532 551 571 573-577 579 591 595 " +
		"731 754 755 757 760 769 791 851 871 898",
})

// areaTable makes a table of three-digit area codes from spans for each length of local numbers.
func areaTable(spans map[uint8]string) (table [1000]uint8) {
	for length, text := range spans {
		for _, span := range strings.Fields(text) {
			lo, hi, ok := strings.Cut(span, "-")
			if !ok {
				hi = lo
			}
			for v := digitsValue(lo); v <= digitsValue(hi); v++ {
				table[v] += length
			}
		}
	}
	return table
}

// hasLocalLength reports whether local numbers of a three-digit area code may have so many digits.
func hasLocalLength(area string, digits int) bool {
	lengths := int(chinaAreas[digitsValue(area)])
	return lengths == digits || lengths == 15 && (digits == 7 || digits == 8)
}

// chinese is a number of China: the digits behind the country code, and whether the trunk 0 stands
// before them inside the country.
type chinese struct {
	nsn    string
	trunk  bool
	kind   Kind
	kinds  Kinds
	reason string // why it is none; then kind is Invalid or Unknown
}

// readChina reads digits as written inside China, or behind the country code, where the trunk 0 of an
// area code is left out (and tolerated).
//
// Where two readings are possible the one that the caller more likely means wins:
//   - A service code behind an area code is that service code: 01095588 is 95588. Local numbers do
//     not begin with 95, 96 or with the digits of a whole service code, although some metadata allow it.
//     Behind 0951 to 0955 it is not, where all of it is a 95 number as well: 095212345 is 95212345 and not the
//     hotline 12345 of area 0952, or whoever holds the number could pass for the hotline by a 0 before it.
//   - An area code may lack its trunk 0, as exchanges deliver it (5925550100), but only before a full
//     local number, and not where the digits begin with 95: 9521234567 is an overlong service number
//     and not Shizuishan, so that 9521* takes it.
//   - 7 or 8 digits that could be a local number are Unknown, not Invalid: a line of the local exchange
//     delivers its neighbours so.
//   - 11 digits from 10, 11 or 12 on are Unassigned, also if they would be a number of North America: those
//     need + or 00 in front here.
func readChina(d string, afterCode bool) chinese {
	rest, trunk := d, false
	if strings.HasPrefix(d, "0") {
		rest, trunk = d[1:], true
	}
	if !trunk {
		if k, ks := chinaService(rest); k != Unknown {
			return chinese{nsn: rest, kind: k, kinds: ks}
		}
	}
	// A trunk 0 before a mobile, 400 or 800 number is how some exchanges deliver it.
	if k, ks := chinaNationwide(rest); k != Unknown {
		return chinese{nsn: rest, kind: k, kinds: ks}
	}
	lacksTrunk := !trunk && !afterCode
	if area := chinaArea(rest); area > 0 && !(lacksTrunk && strings.HasPrefix(rest, "95")) {
		local := rest[area:]
		full := area == 2 && len(local) == 8 || area == 3 && hasLocalLength(rest[:3], len(local))
		if !lacksTrunk || full {
			if k, ks := chinaService(local); k != Unknown {
				if whole, all := chinaService(rest); whole == Service && strings.HasPrefix(rest, "95") {
					return chinese{nsn: rest, kind: whole, kinds: all}
				}
				return chinese{nsn: local, kind: k, kinds: ks}
			}
		}
		if full && local[0] != '0' {
			return chinese{nsn: rest, trunk: true, kind: Fixed, kinds: kindsOf(Fixed)}
		}
	}
	if lacksTrunk && (len(d) == 7 || len(d) == 8) && d[0] >= '2' && d[0] <= '8' {
		return chinese{kind: Unknown, reason: reasonLocal}
	}
	if chinaPlausible(rest) {
		return chinese{nsn: rest, trunk: rest[0] != '1' || len(rest) == 10, kind: Unassigned, kinds: kindsOf(Unassigned)}
	}
	return chinese{kind: Invalid, reason: chinaReason(rest, trunk)}
}

// chinaPlausible reports whether digits that are no number of China are as long as one that begins so would be: 10 or 11, as
// their area code has it, or 11 from 11 and 12 on.
func chinaPlausible(d string) bool {
	if len(d) != 10 && len(d) != 11 {
		return false
	}
	switch head := d[:2]; {
	case d[0] == '0', head == "95", head == "96", head == "86", d[:3] == "400", d[:3] == "800":
		return false
	case head == "11", head == "12":
		return len(d) == 11
	}
	switch area := chinaArea(d); area {
	case 2:
		return len(d) == 10
	case 3:
		return hasLocalLength(d[:3], len(d)-3)
	}
	return d[0] != '1'
}

// chinaDialPrefix gives the length of the digits that choose a carrier before a number, 0 if there are none: 17951, 17909 and the
// like, 12593, 11808, 10193, and the old 190, 193, 196 and 197.
func chinaDialPrefix(d string) int {
	if len(d) < 10 {
		return 0
	}
	switch d[:3] {
	case "179":
		return 5
	case "190", "193", "196", "197":
		return 3
	}
	switch d[:5] {
	case "12593", "11808", "10193":
		return 5
	}
	return 0
}

// chinaArea gives the length of the area code that the digits begin with, without trunk 0; 0 if none.
func chinaArea(d string) int {
	switch {
	case len(d) >= 2 && (d[0] == '2' || d[0] == '1' && d[1] == '0'):
		return 2
	case len(d) >= 3 && chinaAreas[digitsValue(d[:3])] > 0:
		return 3
	}
	return 0
}

// chinaNationwide knows the numbers without area code: mobile, toll-free, shared-cost and the
// information lines 160 and 168. Unknown is none of them.
func chinaNationwide(d string) (Kind, Kinds) {
	switch {
	case len(d) == 11 && d[0] == '1' && d[1] >= '3':
		return Mobile, kindsOf(Mobile)
	case len(d) == 10 && strings.HasPrefix(d, "400"):
		return SharedCost, kindsOf(SharedCost)
	case len(d) == 10 && strings.HasPrefix(d, "800"):
		return TollFree, kindsOf(TollFree)
	case len(d) == 8 && (strings.HasPrefix(d, "160") || strings.HasPrefix(d, "168")):
		return Premium, kindsOf(Premium)
	}
	return Unknown, 0
}

// chinaService knows the service and short codes. Unknown is none of them.
func chinaService(d string) (Kind, Kinds) {
	switch d {
	case "110", "119", "120", "122", "95110", "12110":
		return Emergency, kindsOf(Emergency, Service)
	}
	if len(d) < 3 || len(d) > 11 {
		return Unknown, 0
	}
	service := false
	switch head, n := d[:2], len(d); head {
	case "95":
		// 955xx and the like have 5 digits, their sub-numbers up to 9; 950 numbers have 10 or 11 besides.
		if strings.HasPrefix(d, "950") && n >= 10 {
			return Service, kindsOf(Service, SharedCost)
		}
		service = n >= 5 && n <= 9
	case "96":
		service = n >= 5 && n <= 8
	case "10":
		if n == 8 && strings.HasPrefix(d, "1010") {
			return SharedCost, kindsOf(SharedCost, Service)
		}
		service = n == 5 || d == "100" || n == 4 && d[2] == '8'
	case "11":
		service = n >= 3 && n <= 5 || n == 6 && (d[2] == '6' || d[2] == '8') // 118114, 116114
	case "12":
		service = n == 3 || n == 5
	case "17": // before a number, to choose who carries the call
		service = n == 5 && d[2] == '9'
	case "16":
		service = d == "160" || d == "168"
	}
	if service {
		return Service, kindsOf(Service)
	}
	return Unknown, 0
}

// chinaReason says what is wrong with digits that are no number of China; trunk is whether a 0 stood before them.
func chinaReason(d string, trunk bool) string {
	if len(d) < 2 || !trunk && len(d) < 3 {
		return reasonShort
	}
	least, most := 10, 11 // how long a number that begins so is
	switch head := d[:2]; {
	case d[0] == '0':
		return reasonPrefix
	case strings.HasPrefix(d, "400"), strings.HasPrefix(d, "800"):
		most = 10
	case !trunk && (head == "95" || head == "96"):
		least, most = 5, 8
	case d[0] == '1' && head >= "13":
		least = 11
	case d[0] == '1' && !trunk && len(d) != 10 && len(d) != 11:
		least, most = 5, 5
	case head == "11", head == "12":
		least = 11
	default:
		switch area := chinaArea(d); {
		case area == 2, area == 3 && !hasLocalLength(d[:3], 8):
			most = 10
		case area == 3 && !hasLocalLength(d[:3], 7):
			least = 11
		}
	}
	switch {
	case len(d) < least:
		return reasonShort
	case len(d) > most:
		return reasonLong
	}
	return reasonPrefix
}
