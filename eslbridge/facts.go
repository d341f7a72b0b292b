package eslbridge

import "bytes"

// request is what the switch says of a call in its reply to `connect`: the facts, and how its dialplan uses
// the socket application. Names in quotes are the switch's.
type request struct {
	Facts

	// How the socket application was called.
	Async  bool // "Socket-Mode: async"
	Full   bool // "Control: full": api commands are allowed
	Resume bool // socket_resume is true: the dialplan goes on when we leave

	Confirm   string // "group_confirm_key": the administrator asks or plays something to who answers
	Ringback  string // "ringback": what the administrator lets callers hear while a phone rings
	Guard     string // "ringfence_guard"
	GuardTask string // "ringfence_guard_task": id of the scheduled guard
	GuardTo   string // "ringfence_guard_to": where the guard sends the call
}

// line takes a line of the reply to `connect`. Of two headers with one name the first counts.
func (x *request) line(name, raw []byte) {
	if raw == nil {
		return
	}
	if p := x.place(name); p != nil {
		if *p == "" {
			*p = decode(raw)
		}
		return
	}
	switch string(name) {
	case "Caller-Privacy-Hide-Number":
		x.Withheld = string(raw) == "true"
	case "Caller-Privacy-Hide-Name":
		x.HideName = string(raw) == "true"
	case "variable_sip_authorized":
		x.Authorized = isTrue(raw)
	case "Answer-State":
		x.CallAnswer = string(raw) == "answered"
	case "Socket-Mode":
		x.Async = string(raw) == "async"
	case "Control":
		x.Full = string(raw) == "full"
	case "variable_socket_resume":
		x.Resume = isTrue(raw)
	case "FreeSWITCH-Switchname":
		x.Switch = decode(raw)
	case "FreeSWITCH-Hostname":
		if x.Switch == "" {
			x.Switch = decode(raw)
		}
	case "variable_sip_verstat_detailed":
		x.Verstat = decode(raw)
	case "variable_sip_verstat":
		if x.Verstat == "" {
			x.Verstat = decode(raw)
		}
	}
}

// place says which fact a header holds, nil if none.
func (x *request) place(name []byte) *string {
	switch string(name) {
	case "Unique-ID":
		return &x.UUID
	case "Caller-Caller-ID-Number":
		return &x.Number
	case "Caller-Caller-ID-Name":
		return &x.Name
	case "Caller-ANI":
		return &x.ANI
	case "Caller-Network-Addr":
		return &x.NetworkIP
	case "Caller-Destination-Number":
		return &x.Callee
	case "Caller-Context":
		return &x.Context
	case "Caller-Channel-Created-Time":
		return &x.CreatedUS
	case "variable_sip_from_user":
		return &x.FromUser
	case "variable_sip_from_display":
		return &x.FromName
	case "variable_sip_from_host":
		return &x.FromHost
	case "variable_sip_from_uri":
		return &x.FromURI
	case "variable_sip_full_from":
		return &x.FullFrom
	case "variable_sip_cid_type":
		return &x.IDSource
	case "variable_sip_P-Asserted-Identity":
		return &x.Asserted
	case "variable_sip_P-Preferred-Identity":
		return &x.Preferred
	case "variable_sip_Remote-Party-ID":
		return &x.RemoteID
	case "variable_sip_Privacy":
		return &x.Privacy
	case "variable_sip_identity":
		return &x.Identity
	case "variable_sip_user_agent":
		return &x.UserAgent
	case "variable_sip_call_id":
		return &x.SIPCallID
	case "variable_sip_gateway_name", "variable_sip_gateway":
		return &x.Gateway
	case "variable_sofia_profile_name":
		return &x.Profile
	case "variable_sip_req_user":
		return &x.ReqUser
	case "variable_sip_auth_username":
		return &x.AuthUser
	case "variable_sip_auth_realm":
		return &x.AuthRealm
	case "variable_ringfence_line":
		return &x.Line
	case "variable_ringfence_trunk":
		return &x.Trunk
	case "variable_ringfence_intent":
		return &x.Intent
	case "variable_ringfence_id":
		return &x.ScreenedID
	case "variable_group_confirm_key", "variable_group_confirm_file":
		return &x.Confirm
	case "variable_ringback":
		return &x.Ringback
	case "variable_ringfence_guard":
		return &x.Guard
	case "variable_ringfence_guard_task":
		return &x.GuardTask
	case "variable_ringfence_guard_to":
		return &x.GuardTo
	}
	// A SIP header keeps the case its sender gave it.
	if len(name) == len("variable_sip_h_Diversion") && bytes.HasPrefix(name, []byte("variable_sip_h_")) &&
		equalFold(name, "variable_sip_h_Diversion") {
		return &x.Diversion
	}
	return nil
}

// executed is what the switch says when an application has ended: a CHANNEL_EXECUTE_COMPLETE event.
type executed struct {
	name        string // of the event
	application string
	id          string // "Application-UUID": the id that execute gave
	keys        string // "variable_ringfence_keys"
	task        string // "variable_last_sched_id"
}

func (e *executed) line(name, raw []byte) {
	switch string(name) {
	case "Event-Name":
		e.name = decode(raw)
	case "Application":
		e.application = decode(raw)
	case "Application-UUID":
		e.id = decode(raw)
	case "variable_" + keysVariable:
		e.keys = decode(raw)
	case "variable_last_sched_id":
		e.task = decode(raw)
	}
}

// isTrue reads a channel variable as switch_true() does.
func isTrue(raw []byte) bool {
	for _, t := range []string{"true", "yes", "on", "enabled", "active", "allow", "t", "1"} {
		if equalFold(raw, t) {
			return true
		}
	}
	return false
}
