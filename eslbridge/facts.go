package eslbridge

import (
	"bytes"

	"ringfence/bridge"
)

// request is what the switch says of a call in its reply to `connect`: the facts, and how its dialplan uses
// the socket application. Names in quotes are the switch's.
type request struct {
	bridge.Facts

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
//
// long: because it is one table, from the switch's names to our facts, which every line of every call passes once.
func (x *request) line(name, raw []byte) {
	if raw == nil {
		return
	}
	var p *string // the fact that the line holds as a text
	switch string(name) {
	case "Unique-ID":
		p = &x.UUID
	case "Caller-Caller-ID-Number":
		p = &x.Number
	case "Caller-Caller-ID-Name":
		p = &x.Name
	case "Caller-ANI":
		p = &x.ANI
	case "Caller-Network-Addr":
		p = &x.NetworkIP
	case "Caller-Destination-Number":
		p = &x.Callee
	case "Caller-Context":
		p = &x.Context
	case "Caller-Channel-Created-Time":
		p = &x.CreatedUS
	case "variable_sip_from_user":
		p = &x.FromUser
	case "variable_sip_from_display":
		p = &x.FromName
	case "variable_sip_from_host":
		p = &x.FromHost
	case "variable_sip_from_uri":
		p = &x.FromURI
	case "variable_sip_full_from":
		p = &x.FullFrom
	case "variable_sip_cid_type":
		p = &x.IDSource
	case "variable_sip_P-Asserted-Identity":
		p = &x.Asserted
	case "variable_sip_P-Preferred-Identity":
		p = &x.Preferred
	case "variable_sip_Remote-Party-ID":
		p = &x.RemoteID
	case "variable_sip_history_info":
		p = &x.History
	case "variable_sip_Privacy":
		p = &x.Privacy
	case "variable_sip_identity":
		p = &x.Identity
	case "variable_sip_user_agent":
		p = &x.UserAgent
	case "variable_sip_call_id":
		p = &x.SIPCallID
	case "variable_sip_gateway_name", "variable_sip_gateway":
		p = &x.Gateway
	case "variable_sofia_profile_name":
		p = &x.Profile
	case "variable_sip_req_user":
		p = &x.ReqUser
	case "variable_sip_auth_username":
		p = &x.AuthUser
	case "variable_sip_auth_realm":
		p = &x.AuthRealm
	case "variable_domain_name":
		p = &x.Domain
	case "variable_outbound_caller_id_number":
		p = &x.Outbound
	case "variable_ringfence_line":
		p = &x.Line
	case "variable_ringfence_callee":
		p = &x.PlainTo
	case "variable_ringfence_trunk":
		p = &x.Trunk
	case "variable_ringfence_intent":
		p = &x.Intent
	case "variable_ringfence_id":
		p = &x.ScreenedID
	case "variable_group_confirm_key", "variable_group_confirm_file":
		p = &x.Confirm
	case "variable_ringback":
		p = &x.Ringback
	case "variable_ringfence_guard":
		p = &x.Guard
	case "variable_ringfence_guard_task":
		p = &x.GuardTask
	case "variable_ringfence_guard_to":
		p = &x.GuardTo
	case "Caller-Privacy-Hide-Number":
		x.Withheld = string(raw) == "true"
	case "Caller-Privacy-Hide-Name":
		x.HideName = string(raw) == "true"
	case "variable_ringfence_test":
		x.Test = isTrue(raw)
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
	default:
		if isDiversion(name) {
			p = &x.Diversion
		}
	}
	if p != nil && *p == "" {
		*p = decode(raw)
	}
}

// isDiversion: a line holds the Diversion header. A SIP header keeps the case its sender gave it.
func isDiversion(name []byte) bool {
	const diversion = "variable_sip_h_Diversion"
	return len(name) == len(diversion) && bytes.HasPrefix(name, []byte("variable_sip_h_")) && equalFold(name, diversion)
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
