package standin

import (
	"strconv"
	"strings"
)

// cause is a hangup cause: its name, its number (Q.850 below 128, the switch's
// own above) and the SIP status that refuses a call for it. Where sip is 0 the
// status is 480.
type cause struct {
	name   string
	number int
	sip    int
}

// The causes of FreeSWITCH 1.11 (switch_types.h) and their statuses (mod_sofia).
var causes = []cause{
	{"NONE", 0, 0},
	{"UNALLOCATED_NUMBER", 1, 404},
	{"NO_ROUTE_TRANSIT_NET", 2, 404},
	{"NO_ROUTE_DESTINATION", 3, 404},
	{"CHANNEL_UNACCEPTABLE", 6, 0},
	{"CALL_AWARDED_DELIVERED", 7, 0},
	{"NORMAL_CLEARING", 16, 0},
	{"USER_BUSY", 17, 486},
	{"NO_USER_RESPONSE", 18, 408},
	{"NO_ANSWER", 19, 480},
	{"SUBSCRIBER_ABSENT", 20, 480},
	{"CALL_REJECTED", 21, 603},
	{"NUMBER_CHANGED", 22, 410},
	{"REDIRECTION_TO_NEW_DESTINATION", 23, 410},
	{"EXCHANGE_ROUTING_ERROR", 25, 483},
	{"DESTINATION_OUT_OF_ORDER", 27, 502},
	{"INVALID_NUMBER_FORMAT", 28, 484},
	{"FACILITY_REJECTED", 29, 501},
	{"RESPONSE_TO_STATUS_ENQUIRY", 30, 0},
	{"NORMAL_UNSPECIFIED", 31, 480},
	{"NORMAL_CIRCUIT_CONGESTION", 34, 503},
	{"NETWORK_OUT_OF_ORDER", 38, 503},
	{"NORMAL_TEMPORARY_FAILURE", 41, 503},
	{"SWITCH_CONGESTION", 42, 503},
	{"ACCESS_INFO_DISCARDED", 43, 0},
	{"REQUESTED_CHAN_UNAVAIL", 44, 503},
	{"PRE_EMPTED", 45, 0},
	{"FACILITY_NOT_SUBSCRIBED", 50, 0},
	{"OUTGOING_CALL_BARRED", 52, 403},
	{"INCOMING_CALL_BARRED", 54, 403},
	{"BEARERCAPABILITY_NOTAUTH", 57, 403},
	{"BEARERCAPABILITY_NOTAVAIL", 58, 503},
	{"SERVICE_UNAVAILABLE", 63, 0},
	{"BEARERCAPABILITY_NOTIMPL", 65, 488},
	{"CHAN_NOT_IMPLEMENTED", 66, 0},
	{"FACILITY_NOT_IMPLEMENTED", 69, 501},
	{"SERVICE_NOT_IMPLEMENTED", 79, 501},
	{"INVALID_CALL_REFERENCE", 81, 0},
	{"INCOMPATIBLE_DESTINATION", 88, 488},
	{"INVALID_MSG_UNSPECIFIED", 95, 0},
	{"MANDATORY_IE_MISSING", 96, 0},
	{"MESSAGE_TYPE_NONEXIST", 97, 0},
	{"WRONG_MESSAGE", 98, 0},
	{"IE_NONEXIST", 99, 0},
	{"INVALID_IE_CONTENTS", 100, 0},
	{"WRONG_CALL_STATE", 101, 0},
	{"RECOVERY_ON_TIMER_EXPIRE", 102, 504},
	{"MANDATORY_IE_LENGTH_ERROR", 103, 0},
	{"PROTOCOL_ERROR", 111, 0},
	{"INTERWORKING", 127, 0},
	{"SUCCESS", 142, 0},
	{"ORIGINATOR_CANCEL", 487, 487},
	{"CRASH", 700, 0},
	{"SYSTEM_SHUTDOWN", 701, 0},
	{"LOSE_RACE", 702, 0},
	{"MANAGER_REQUEST", 703, 0},
	{"BLIND_TRANSFER", 800, 0},
	{"ATTENDED_TRANSFER", 801, 0},
	{"ALLOTTED_TIMEOUT", 802, 0},
	{"USER_CHALLENGE", 803, 0},
	{"MEDIA_TIMEOUT", 804, 0},
	{"PICKED_OFF", 805, 0},
	{"USER_NOT_REGISTERED", 806, 0},
	{"PROGRESS_TIMEOUT", 807, 0},
	{"INVALID_GATEWAY", 808, 484},
	{"GATEWAY_DOWN", 809, 503},
	{"INVALID_URL", 810, 484},
	{"INVALID_PROFILE", 811, 502},
	{"NO_PICKUP", 812, 0},
	{"SRTP_READ_ERROR", 813, 0},
	{"BOWOUT", 814, 0},
	{"BUSY_EVERYWHERE", 815, 600},
	{"DECLINE", 816, 603},
	{"DOES_NOT_EXIST_ANYWHERE", 817, 604},
	{"NOT_ACCEPTABLE", 818, 606},
	{"UNWANTED", 819, 607},
	{"NO_IDENTITY", 820, 428},
	{"BAD_IDENTITY_INFO", 821, 429},
	{"UNSUPPORTED_CERTIFICATE", 822, 437},
	{"INVALID_IDENTITY", 823, 438},
	{"STALE_DATE", 824, 403},
	{"REJECT_ALL", 825, 603},
}

// causeOf reads a cause as an application's argument gives it: a name, or a
// number, which is taken as it is. What is neither is NORMAL_CLEARING.
func causeOf(text string) cause {
	if text != "" && text[0] >= '0' && text[0] <= '9' {
		digits := text
		if i := strings.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
			digits = text[:i]
		}
		n, _ := strconv.Atoi(digits)
		for _, c := range causes {
			if c.number == n {
				return c
			}
		}
		return cause{name: "UNKNOWN", number: n}
	}
	for _, c := range causes {
		if strings.EqualFold(c.name, text) {
			return c
		}
	}
	return causeOf("NORMAL_CLEARING")
}

// status is the SIP status that refuses a call for the cause.
func (c cause) status() int {
	if c.sip == 0 {
		return 480
	}
	return c.sip
}

// causeOfStatus is the cause that a SIP status given to `respond` hangs up with.
func causeOfStatus(code int) cause {
	name := "NORMAL_UNSPECIFIED"
	switch code {
	case 401:
		name = "USER_CHALLENGE"
	case 402, 403, 407, 603, 608:
		name = "CALL_REJECTED"
	case 607:
		name = "UNWANTED"
	case 404:
		name = "UNALLOCATED_NUMBER"
	case 485, 604:
		name = "NO_ROUTE_DESTINATION"
	case 408, 504:
		name = "RECOVERY_ON_TIMER_EXPIRE"
	case 410:
		name = "NUMBER_CHANGED"
	case 413, 414, 416, 420, 421, 423, 505, 513:
		name = "INTERWORKING"
	case 480:
		name = "NO_USER_RESPONSE"
	case 400, 481, 500, 503:
		name = "NORMAL_TEMPORARY_FAILURE"
	case 486, 600:
		name = "USER_BUSY"
	case 484:
		name = "INVALID_NUMBER_FORMAT"
	case 488, 606:
		name = "INCOMPATIBLE_DESTINATION"
	case 502:
		name = "NETWORK_OUT_OF_ORDER"
	case 405:
		name = "SERVICE_UNAVAILABLE"
	case 406, 415, 501:
		name = "SERVICE_NOT_IMPLEMENTED"
	case 482, 483:
		name = "EXCHANGE_ROUTING_ERROR"
	case 487:
		name = "ORIGINATOR_CANCEL"
	case 428:
		name = "NO_IDENTITY"
	case 429:
		name = "BAD_IDENTITY_INFO"
	case 437:
		name = "UNSUPPORTED_CERTIFICATE"
	case 438:
		name = "INVALID_IDENTITY"
	}
	return causeOf(name)
}

// phrases are the SIP reason phrases the switch knows (sofia-sip). 608 is not
// among them: without a phrase of its own it reads "Because".
var phrases = map[int]string{
	400: "Bad Request", 401: "Unauthorized", 402: "Payment Required", 403: "Forbidden",
	404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable",
	407: "Proxy Authentication Required", 408: "Request Timeout", 409: "Conflict", 410: "Gone",
	413: "Request Entity Too Large", 414: "Request-URI Too Long", 415: "Unsupported Media Type",
	416: "Unsupported URI Scheme", 420: "Bad Extension", 421: "Extension Required",
	422: "Session Interval Too Small", 423: "Interval Too Brief",
	428: "Use Identity Header", 436: "Bad Identity Info", 437: "Unsupported Credential",
	438: "Invalid Identity Header",
	480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist", 482: "Loop Detected",
	483: "Too Many Hops", 484: "Address Incomplete", 485: "Ambiguous", 486: "Busy Here",
	487: "Request Terminated", 488: "Not Acceptable Here", 489: "Bad Event", 491: "Request Pending",
	500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway",
	503: "Service Unavailable", 504: "Gateway Time-out", 505: "Version Not Supported",
	513: "Message Too Large", 580: "Precondition Failure",
	600: "Busy Everywhere", 603: "Decline", 604: "Does Not Exist Anywhere", 606: "Not Acceptable",
	607: "Unwanted",
}

func phraseOf(code int) string {
	if p := phrases[code]; p != "" {
		return p
	}
	return "Because"
}
