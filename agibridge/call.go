package agibridge

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"ringfence/bridge"
)

// call is one connection of the AGI application. bridge takes it its way; here is what each step says to
// Asterisk. Past its deadline the connection is closed and nothing is written any more: the dialplan goes on
// behind AGI(), and sees by RINGFENCE_CAUSE, which is set last, whether the verdict is complete.
type call struct {
	bridge.Conn
	srv   *Server
	rd    *reader
	facts request
}

// Run takes the call its whole way. The connection is closed at once in the end: after a hangup Asterisk holds the
// caller's final response for that.
func (c *call) Run() {
	c.srv.Port.Run(&c.Conn, c)
	c.rd.reset(nil)
	c.srv.buffers.Put(c.rd)
}

// Facts reads the block and asks for the headers. A random word frames the answer: whatever a caller has put into
// the block or into a header, up to a whole answer or HANGUP, stands before it or between.
func (c *call) Facts() (f *bridge.Facts, again bool, err error) {
	f = &c.facts.Facts
	var g gathered
	err = c.rd.block(g.line)
	c.facts = g.request()
	if err != nil {
		return f, false, err
	}
	if c.facts.UUID == "" {
		return f, false, fmt.Errorf("%w: it names no call", errWire)
	}
	e := c.facts.expressions(c.srv.screener.Headers(f))
	noisy := false
	values, err := c.ask(func(l []byte) { g.line(l); noisy = true }, e.from, e.asserted, e.remoteID, e.address)
	if noisy { // an empty line of the caller's had ended the block, and only now it is known which trunk the dialplan names
		c.facts = g.request()
		c.facts.odd = true
		if err == nil {
			e = c.facts.expressions(c.srv.screener.Headers(f))
			values, err = c.ask(func([]byte) {}, e.from, e.asserted, e.remoteID, e.address)
		}
	}
	if err != nil {
		return f, false, err
	}
	if c.facts.odd {
		own, err := c.ask(func([]byte) {}, "${CALLERID(num)}", "${CALLERID(name)}")
		if err != nil {
			return f, false, err
		}
		c.facts.Number, c.facts.Name = own[0], own[1]
	}
	c.facts.learn(e, values[0], values[1], values[2], values[3])
	if len(e.diverted) > 0 { // by itself: what is cut off of it takes nothing else with it
		values, err := c.ask(func([]byte) {}, e.diverted...)
		if err != nil {
			return f, false, err
		}
		c.facts.learnDiverted(values)
	}
	return f, f.ScreenedID != "" || c.facts.fired, nil
}

// ask has Asterisk expand some expressions. What comes before the answer and is none goes to noise.
func (c *call) ask(noise func(line []byte), expressions ...string) (values []string, err error) {
	word := rand.Text()
	if err := c.Send(getFull(word + strings.Join(expressions, word) + word)); err != nil {
		return nil, err
	}
	begin, end := "200 result=1 ("+word, word+")"
	var answer []byte
	hungUp, noisy := false, false
	for {
		l, err := c.rd.line(maxAnswer)
		if err != nil {
			if hungUp && isEnd(err) {
				err = bridge.ErrHungUp
			}
			return nil, err
		}
		switch {
		case answer != nil:
			if len(answer)+len(l) >= maxAnswer {
				return nil, fmt.Errorf("%w: more than %d bytes for an answer", errWire, maxAnswer)
			}
			answer = append(append(answer, '\n'), l...)
		case bytes.HasPrefix(l, []byte(begin)):
			answer = append(make([]byte, 0, 2*len(l)), l...)
		case string(l) == hangup:
			hungUp = true
		case len(l) > 0:
			noisy = true
			noise(l[:min(len(l), maxLine)])
			c.srv.Counters.UnknownFrames.Add(1)
		}
		if bytes.HasSuffix(answer, []byte(end)) {
			break
		}
	}
	if hungUp && !noisy { // else it may be the caller's own word
		return nil, bridge.ErrHungUp
	}
	values = strings.Split(string(answer[len(begin):len(answer)-len(end)]), word)
	if len(values) != len(expressions) {
		return nil, fmt.Errorf("%w: an answer to another question", errWire)
	}
	return values, nil
}

// hangup is what Asterisk says unasked when the caller goes.
const hangup = "HANGUP"

// do says a command and reads its answer. After a HANGUP nothing else matters.
func (c *call) do(command []byte) (reply, error) {
	if err := c.Send(command); err != nil {
		return reply{}, err
	}
	within := false
	for {
		l, err := c.rd.line(maxLine)
		if err != nil {
			return reply{}, err
		}
		line := string(l)
		if line == hangup {
			return reply{}, bridge.ErrHungUp
		}
		r, more, ok := parseReply(line)
		switch {
		case within && !(ok && !more): // the text of a 520
		case !ok:
			c.srv.Counters.UnknownFrames.Add(1)
		case more:
			within = true
		case r.code == 511:
			return r, bridge.ErrHungUp
		case r.code != 200:
			return r, fmt.Errorf("%w a command: %d %.100q", bridge.ErrRefused, r.code, r.rest)
		default:
			return r, nil
		}
	}
}

// try is do for a command that fails with -1, be it that the caller is gone or that it cannot be done.
func (c *call) try(command []byte) (int, error) {
	r, err := c.do(command)
	if err != nil {
		return 0, err
	}
	if n, ok := r.number(); ok && n >= 0 {
		return n, nil
	}
	// HANGUP, or the end of the connection, comes behind the answer to what it broke off.
	if _, err := c.do(plainCommand("NOOP")); err != nil {
		if isEnd(err) {
			err = bridge.ErrHungUp
		}
		return 0, err
	}
	return 0, fmt.Errorf("%w: %.60q failed", bridge.ErrRefused, command)
}

func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// set sets what the call's way hangs on.
func (c *call) set(name, value string) error {
	_, err := c.do(setVariable(name, value))
	return err
}

// tell sets a variable that others read. The verdict is carried out even if Asterisk will not have it.
func (c *call) tell(name, value string) error {
	err := c.set(name, value)
	if errors.Is(err, bridge.ErrRefused) {
		c.srv.Counters.Untold.Add(1)
		return nil
	}
	return err
}

// Tell sets the variables, and the caller as the handset shows him.
func (c *call) Tell(v *bridge.Verdict) error {
	for _, t := range [][2]string{{"ACTION", v.Action}, {"WOULD", v.Would}, {"RULE", v.Rule}, {"REASON", v.Reason}, {"ID", v.ID}} {
		if t[1] == "" {
			continue
		}
		if err := c.tell("RINGFENCE_"+t[0], t[1]); err != nil {
			return err
		}
	}
	if err := c.show(v.ShowName, v.ShowNumber); err != nil {
		return err
	}
	if file, ok := soundFile(v.Whisper); ok {
		if err := c.tell("RINGFENCE_WHISPER", file); err != nil {
			return err
		}
	}
	if to := v.Divert; to.Extension != "" {
		if to.Context == "" || strings.Trim(to.Extension+to.Context, plain+"*#") != "" {
			return fmt.Errorf("%w: %q in %q is no extension and context of Asterisk's", bridge.ErrRefused, to.Extension, to.Context)
		}
		return c.set("RINGFENCE_DIVERT", to.Context+","+to.Extension+",1")
	}
	return nil
}

// show writes name and number. Asterisk shows a handset neither while one of them is withheld, so that for a label
// the number gives way to the word anonymous, which may be shown.
func (c *call) show(name, number string) error {
	label := name != "" && c.facts.Withheld
	if label {
		number = "anonymous"
	}
	for _, t := range [][2]string{{"CALLERID(name)", name}, {"CALLERID(num)", number}} {
		if t[1] != "" {
			if err := c.set(t[0], t[1]); err != nil {
				return err
			}
		}
	}
	if label {
		return c.set("CALLERID(pres)", "allowed")
	}
	return nil
}

// Begin makes ready for sounds. While the phone rings, Asterisk lets the caller hear a ringing tone by itself.
func (c *call) Begin(answer bool, _ string) error {
	if !answer {
		_, err := c.try(plainCommand("EXEC Progress"))
		return err
	}
	if err := c.Wait(answerTime); err != nil {
		return err
	}
	_, err := c.try(plainCommand("ANSWER"))
	return err
}

// answerTime is for ANSWER, which waits half a second for the caller's first sound.
const answerTime = time.Second

// Play lets the caller hear a sound.
func (c *call) Play(s bridge.Sound) error {
	if err := c.Wait(s.Length); err != nil {
		return err
	}
	_, err := c.stream(s.Files, "")
	return err
}

// stream plays files until they have ended or one of the keys is pressed, and returns that key.
func (c *call) stream(files []string, keys string) (string, error) {
	for _, f := range files {
		file, ok := soundFile(f)
		if !ok {
			return "", unspeakable(f)
		}
		code, err := c.try(streamFile(file, keys))
		if err != nil || code > 0 {
			return keyOf(code), err
		}
	}
	return "", nil
}

func unspeakable(file string) error {
	return fmt.Errorf("%w: the path of the announcement %q has characters that split an argument: move the data folder", bridge.ErrRefused, file)
}

const allKeys = "1234567890*#"

// Keys plays a prompt and collects keys. What is pressed between two commands Asterisk drops, and some phones send
// several keys within milliseconds: so the end of the prompt, when callers begin, and all keys are one command.
func (c *call) Keys(prompt bridge.Sound, n int) (string, error) {
	if err := c.Wait(prompt.Length + time.Duration(n)*bridge.FirstKey); err != nil {
		return "", err
	}
	parts := prompt.Files
	if len(parts) == 0 {
		return "", fmt.Errorf("%w: a question without a prompt", bridge.ErrRefused)
	}
	last, ok := soundFile(parts[len(parts)-1])
	if !ok {
		return "", unspeakable(parts[len(parts)-1])
	}
	key, err := c.stream(parts[:len(parts)-1], allKeys)
	switch {
	case err != nil:
		return "", err
	case key == "#":
		return "", nil
	case key != "":
		last, n = "", n-1 // the caller has begun
	}
	if n == 0 {
		return key, nil
	}
	if _, err := c.try(read("RINGFENCE_KEYS", last, n, bridge.FirstKey)); err != nil {
		return "", err
	}
	got, err := c.ask(func([]byte) {}, "${READSTATUS}", "${RINGFENCE_KEYS}")
	switch {
	case err != nil:
		return "", err
	case got[0] == "HANGUP":
		return "", bridge.ErrHungUp
	case got[0] == "ERROR":
		return "", fmt.Errorf("%w: the recording %q cannot be played", bridge.ErrRefused, last)
	}
	return key + got[1], nil
}

// keyOf is the key of a result, "" of none.
func keyOf(code int) string {
	if code <= 0 || code > 0x7f {
		return ""
	}
	return string(rune(code))
}

// guardRoom is between our own deadline of a step and the moment that the dialplan's guard takes the call.
const guardRoom = 500 * time.Millisecond

// Wait gives the next step its time: the dialplan's guard is moved behind it, and our own deadline before that.
// Where no guard was set, only the deadline moves. The subroutine puts an administrator's own limit back.
func (c *call) Wait(length time.Duration) error {
	from := time.Now()
	if c.facts.guard {
		seconds := (length + bridge.Margin + time.Second - 1) / time.Second
		if err := c.set("TIMEOUT(absolute)", strconv.Itoa(int(seconds))); err != nil {
			return err
		}
	}
	c.Extend(from.Add(length + bridge.Margin - guardRoom))
	return nil
}

// Leave gives the call back.
func (c *call) Leave() error { return c.end(0) }

// Refuse has the subroutine hang up with the cause that Asterisk sends nearest to a SIP status. What a refusal says
// besides cannot be said here.
func (c *call) Refuse(status int, _ bridge.Refusal) error { return c.end(Cause(status)) }

// RefuseQuickly leaves out the variables of the verdict, a round trip each.
func (c *call) RefuseQuickly(status int, r bridge.Refusal) error { return c.Refuse(status, r) }

// Interrupt does nothing: AGI has no command that breaks off another, so what the caller hears is heard out.
func (c *call) Interrupt() {}

// end says that the verdict is complete, and what the dialplan does now: 0 goes on, else it hangs up.
func (c *call) end(cause int) error {
	if err := c.set("RINGFENCE_CAUSE", strconv.Itoa(cause)); err != nil {
		return err
	}
	c.Left()
	return nil
}

// Cause is the Q.850 cause that Asterisk makes the nearest SIP status of.
func Cause(status int) int {
	switch status {
	case 403:
		return 21
	case 404:
		return 1
	case 480:
		return 20
	case 486, 600:
		return 17
	}
	return 16 // 603; Asterisk cannot say 607 and 608
}

const plain = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-+."

// soundFile is the path of a sound as Asterisk wants it, without its ending.
func soundFile(path string) (string, bool) {
	return strings.TrimSuffix(path, ".wav"), path != "" && strings.Trim(path, plain+"/") == ""
}
