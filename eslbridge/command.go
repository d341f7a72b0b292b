package eslbridge

import (
	"strconv"
	"strings"
)

// commands collects what is written to the switch in one go. Every value passes appendValue, so that no
// value, wherever it came from, can end a line and begin a command of its own.
type commands struct {
	buf  []byte
	owed []bool // an answer the switch owes for each; true: the call's way does not hang on it
}

func (c *commands) reset() { c.buf, c.owed = c.buf[:0], c.owed[:0] }

// end closes a command.
func (c *commands) end() {
	c.buf = append(c.buf, "\n\n"...)
	c.owed = append(c.owed, false)
}

// optional marks the last command as one that may be refused without harm.
func (c *commands) optional() { c.owed[len(c.owed)-1] = true }

func (c *commands) connect() { c.bare("connect") }
func (c *commands) exit()    { c.bare("exit") }
func (c *commands) resume()  { c.bare("resume") }

// getvar asks for a variable that holds nothing of a caller's but keys: other values come with raw line ends,
// and whole replies were forged that way. Its reply is the value itself.
func (c *commands) getvar(name string) { c.bare("getvar " + name) }

// myevents asks for the events of this call. The switch first sends those since the call began.
func (c *commands) myevents() { c.bare("myevents") }

// auth shows the event socket's password. A control character in it becomes a space as anywhere, so that
// such a password is refused: it could not stand in the switch's file either.
func (c *commands) auth(password string) {
	c.buf = append(c.buf, "auth "...)
	c.value(password)
	c.end()
}

// events subscribes to the events named, in the form that this package reads.
func (c *commands) events(names string) {
	c.buf = append(c.buf, "event plain "...)
	c.value(names)
	c.end()
}

func (c *commands) bare(name string) {
	c.buf = append(c.buf, name...)
	c.end()
}

// setVariable sets a channel variable literally: unlike the application `set`, `api uuid_setvar` expands
// nothing. It splits its argument at spaces and interprets quotes and backslashes
// (switch_separate_string), which inert text does not have.
func (c *commands) setVariable(uuid, name, value string) {
	c.buf = append(c.buf, "api uuid_setvar "...)
	c.value(uuid)
	c.buf = append(c.buf, ' ')
	c.value(name)
	c.buf = append(c.buf, ' ')
	c.value(value)
	c.end()
}

// setVariables sets several channel variables in one command: a channel that has not come to rest yet goes on 20 ms
// sooner if we are done within its first millisecond (switch_ivr_park), and each command costs a part of
// that. The switch splits the list at semicolons that do not stand between quotes.
func (c *commands) setVariables(uuid string, list []variable) {
	c.buf = append(c.buf, "api uuid_setvar_multi "...)
	c.value(uuid)
	for i, v := range list {
		between := byte(';')
		if i == 0 {
			between = ' '
		}
		c.buf = append(c.buf, between)
		c.value(v.name)
		c.buf = append(c.buf, '=')
		quoted := strings.IndexByte(v.value, ';') >= 0
		if quoted {
			c.buf = append(c.buf, '\'')
		}
		c.value(v.value)
		if quoted {
			c.buf = append(c.buf, '\'')
		}
	}
	c.end()
}

// variable is a channel variable; its value is inert.
type variable struct{ name, value string }

// api runs an API command whose arguments are ours, never a caller's.
func (c *commands) api(command string) {
	c.buf = append(c.buf, "api "...)
	c.value(command)
	c.end()
}

// execute runs a dialplan application on the call. In sync mode the answer comes when it has ended; in
// async mode at once, its end is an event that carries id. event-lock keeps the order.
func (c *commands) execute(application, argument, id string) {
	c.buf = append(c.buf, "sendmsg\ncall-command: execute\nexecute-app-name: "...)
	c.value(application)
	if argument != "" {
		c.buf = append(c.buf, "\nexecute-app-arg: "...)
		c.value(argument)
	}
	c.buf = append(c.buf, "\nevent-lock: true"...)
	if id != "" {
		c.buf = append(c.buf, "\nEvent-UUID: "...)
		c.value(id)
	}
	c.end()
}

// hangup ends the call with a Q.850 cause name.
func (c *commands) hangup(cause string) {
	c.buf = append(c.buf, "sendmsg\ncall-command: hangup\nhangup-cause: "...)
	c.value(cause)
	c.end()
}

// respond refuses a call that is not answered with a SIP status and a phrase, "" for the one that goes with
// it: without one the switch writes "Because" behind codes it does not know.
func (c *commands) respond(code int, text string) {
	if text == "" {
		text = phrase(code)
	}
	c.execute("respond", strconv.Itoa(code)+" "+text, "")
}

// phrase is the reason phrase of the SIP codes a policy may use (RFC 3261; 607 RFC 8197; 608 RFC 8688).
func phrase(code int) string {
	switch code {
	case 403:
		return "Forbidden"
	case 404:
		return "Not Found"
	case 480:
		return "Temporarily Unavailable"
	case 486:
		return "Busy Here"
	case 600:
		return "Busy Everywhere"
	case 607:
		return "Unwanted"
	case 608:
		return "Rejected"
	}
	return "Decline"
}

// causes are the hangup causes that go with the SIP statuses a policy may use (mod_sofia.c, hangup_cause_to_sip).
var causes = map[int]string{
	403: "OUTGOING_CALL_BARRED", 404: "UNALLOCATED_NUMBER", 480: "NO_ANSWER", 486: "USER_BUSY", 600: "BUSY_EVERYWHERE", 603: "CALL_REJECTED", 607: "UNWANTED",
}

// causeFor is the hangup cause that comes nearest to a SIP status. exact says that it gives just that one.
func causeFor(status int) (cause string, exact bool) {
	if cause, exact = causes[status]; exact {
		return cause, true
	}
	return "CALL_REJECTED", false
}

// value appends v with every control character made a space.
func (c *commands) value(v string) {
	for i := 0; i < len(v); i++ {
		b := v[i]
		if b < 0x20 || b == 0x7f {
			b = ' '
		}
		c.buf = append(c.buf, b)
	}
}
