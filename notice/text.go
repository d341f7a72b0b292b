package notice

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"ringfence/number"
	"ringfence/storage"
)

// message is a notice, as a webhook gets it; mail says the same in words.
type message struct {
	Version int           `json:"version"` // 1
	ID      string        `json:"id"`      // the same when it is sent again because it was not known that it had come
	Line    string        `json:"line"`
	Stopped int           `json:"stopped"` // calls, those that are not shown too
	Calls   []messageCall `json:"calls"`   // MaxNoticeCalls at most, the oldest first
	More    int           `json:"more"`    // calls that are not shown, because they are too many or were taken out of the journal
	// How to let the caller through who was stopped last; left out where no rule asks for the line's own list.
	StarCode string `json:"star_code,omitempty"`

	daily bool
	zone  *time.Location
}

// messageCall is a call that was stopped, or several of one caller within a minute. All its texts are inert.
type messageCall struct {
	ID       string    `json:"id"` // the journal's
	Time     time.Time `json:"time"`
	Calls    int       `json:"calls"`
	Caller   string    `json:"caller"` // "" if it is withheld
	Withheld bool      `json:"withheld"`
	Name     string    `json:"name"` // as the caller has it; believe nothing of it
	Called   string    `json:"called"`
	Action   string    `json:"action"` // reject, challenge, warn or another
	Rule     string    `json:"rule"`
	Reason   string    `json:"reason"`
	// Link shows this call, and lets its caller through, to whoever has it: once, and within a week. Left out as StarCode is, and without a console's url.
	Link string `json:"link,omitempty"`
}

// Characters that a notice has of a text at most.
const (
	maxNumber = 64
	maxName   = 64
	maxReason = 200
)

// callOf is what may be said of a record. Of a caller who withholds their number, nothing is said that may have it in it.
func callOf(c *storage.NoticeCall, zone *time.Location) messageCall {
	r := c.Of
	call := messageCall{
		ID: r.ID, Time: r.Time.In(zone), Calls: min(max(c.Calls, 1), r.Repeats+1), Withheld: r.Caller.Withheld || r.Caller.Kind == number.Anonymous.String(),
		Called: plain(r.Callee, maxNumber), Action: plain(r.Action, maxName), Rule: plain(r.Rule, maxName),
	}
	if call.Calls <= r.Repeats { // the first was told of before
		call.Time = r.Last.In(zone)
	}
	if call.Withheld {
		return call
	}
	call.Caller = number.InertUpTo(r.Caller.E164, maxNumber)
	if call.Caller == "" {
		call.Caller = plain(r.Caller.Raw, maxNumber)
	}
	call.Name, call.Reason = plain(r.Name, maxName), plain(r.Reason, maxReason)
	return call
}

// plain makes a text harmless that a caller may have chosen: inert, and nothing in it that a mail program makes a link of. In each word that is not
// a mere number a dot, a colon and their like get a space behind them, and an @ is written out.
func plain(text string, most int) string {
	words := strings.Split(number.InertUpTo(text, most), " ")
	for i, word := range words {
		numeric := !strings.ContainsFunc(word, func(r rune) bool { return unicode.IsLetter(r) || r == '/' || r == '@' || r == '＠' || r > 0x7f })
		if numeric && strings.Count(word, ".") < 2 {
			continue
		}
		var b strings.Builder
		for _, r := range word {
			switch r {
			case '@', '＠', '﹫':
				b.WriteString("(at)")
				continue
			case '．', '。', '｡', '․':
				r = '.'
			case '：', '﹕':
				r = ':'
			}
			if b.WriteRune(r); r == '.' || r == ':' {
				b.WriteByte(' ')
			}
		}
		words[i] = strings.TrimSpace(b.String())
	}
	return number.InertUpTo(strings.Join(words, " "), 2*most)
}

// messageOf makes a notice of what is not told yet; false where there is nothing to tell.
func messageOf(line string, n *storage.Notice, calls []storage.NoticeCall, zone *time.Location) (*message, bool) {
	m := &message{Version: 1, Line: plain(line, maxName), Calls: []messageCall{}, More: n.More, zone: zone}
	for i := range calls {
		switch c := &calls[i]; {
		case c.Of == nil:
			m.More += c.Calls
		case c.Of.Stopped == n.Line: // else it was found that it rang
			m.Calls = append(m.Calls, callOf(c, zone))
		}
		if m.ID == "" {
			m.ID = calls[i].ID
		}
	}
	slices.SortStableFunc(m.Calls, func(a, b messageCall) int { return a.Time.Compare(b.Time) })
	m.Stopped = m.More
	for i := range m.Calls {
		m.Stopped += m.Calls[i].Calls
	}
	if m.ID == "" {
		m.ID = storage.NewID(n.First)
	}
	return m, m.Stopped > 0
}

// words are those of a language. Verbs of fmt have an order of their own in each.
type words struct {
	subject, subjectOne, daily, dailyOne string // how many, the line
	intro                                string // the line, the number of calls, the zone
	when                                 string // layout of a time
	times                                string // how often
	withheld                             string
	caller, name, called, rule           string
	actions                              map[string]string
	more                                 string // how many
	star, link, links                    string // the code; the address; what is to be known of addresses
	end                                  string
}

var languages = map[string]*words{
	"en": {
		subject: "%d calls to %s were stopped", subjectOne: "%d call to %s was stopped", daily: "%d calls to %s were stopped since the last digest", dailyOne: "%d call to %s was stopped since the last digest",
		intro: "Line %s: %d stopped. Times are those of %s.",
		when:  "2006-01-02 15:04:05", times: " (%d times)", withheld: "number withheld",
		caller: "Caller: ", name: "Calls himself: ", called: "Called: ", rule: "Why: ",
		actions: map[string]string{"reject": "refused", "challenge": "did not pass the question", "warn": "heard the announcement, and was hung up", "ask": "was not let through"},
		more:    "And %d more that are not shown.",
		star:    "To let the caller through who was stopped last, dial %s from a phone of this line.",
		link:    "Let this caller through: %s",
		links:   "Each address works once, and for a week, for whoever has this mail: do not pass it on.",
		end:     "Names and numbers are what callers say of themselves. This mail is sent by a program: answers are not read.",
	},
	"zh": {
		subject: "已拦截 %d 个打给 %s 的来电", subjectOne: "已拦截 %d 个打给 %s 的来电", daily: "每日摘要：已拦截 %d 个打给 %s 的来电", dailyOne: "每日摘要：已拦截 %d 个打给 %s 的来电",
		intro: "线路 %s：已拦截 %d 个来电。时间按 %s 时区。",
		when:  "2006-01-02 15:04:05", times: "（%d 次）", withheld: "号码未显示",
		caller: "主叫：", name: "自称：", called: "被叫：", rule: "原因：",
		actions: map[string]string{"reject": "已拒接", "challenge": "未通过验证", "warn": "播放提示后挂断", "ask": "未被接听人放行"},
		more:    "另有 %d 个来电未列出。",
		star:    "如需放行最近一次被拦截的主叫，请用本线路的话机拨 %s。",
		link:    "放行此主叫：%s",
		links:   "每个链接一周内有效，仅可使用一次；任何持有本邮件的人均可使用，请勿转发。",
		end:     "名称和号码均由主叫自行提供，不一定真实。本邮件由程序发送，请勿回复。",
	},
}

// language is the words of a line: its own, else those of the policy's country.
func language(of, country string) *words {
	if w := languages[of]; w != nil {
		return w
	}
	if country == "CN" {
		return languages["zh"]
	}
	return languages["en"]
}

// mailText is the subject and the text of mail. Each text of a caller is the last of its line, so that one that is written from right to left turns
// nothing else around.
func (m *message) mailText(w *words) (subject, text string) {
	form := w.subject
	switch {
	case m.daily && m.Stopped == 1:
		form = w.dailyOne
	case m.daily:
		form = w.daily
	case m.Stopped == 1:
		form = w.subjectOne
	}
	subject = fmt.Sprintf(form, m.Stopped, m.Line)
	var b strings.Builder
	links := false
	fmt.Fprintf(&b, w.intro+"\n", m.Line, m.Stopped, m.zone)
	for i := range m.Calls {
		c := &m.Calls[i]
		action := w.actions[c.Action]
		if action == "" {
			action = c.Action
		}
		b.WriteString("\n" + c.Time.Format(w.when) + "  " + action)
		if c.Calls > 1 {
			fmt.Fprintf(&b, w.times, c.Calls)
		}
		caller := c.Caller
		if c.Withheld {
			caller = w.withheld
		}
		fmt.Fprintf(&b, "\n  %s%s\n", w.caller, caller)
		if c.Name != "" {
			fmt.Fprintf(&b, "  %s%s\n", w.name, c.Name)
		}
		fmt.Fprintf(&b, "  %s%s\n  %s%s\n", w.called, c.Called, w.rule, c.why())
		if c.Link != "" {
			fmt.Fprintf(&b, "  "+w.link+"\n", c.Link)
			links = true
		}
	}
	if m.More > 0 {
		fmt.Fprintf(&b, "\n"+w.more+"\n", m.More)
	}
	if m.StarCode != "" {
		fmt.Fprintf(&b, "\n"+w.star+"\n", m.StarCode)
	}
	if links {
		fmt.Fprintf(&b, "\n%s\n", w.links)
	}
	fmt.Fprintf(&b, "\n%s\n", w.end)
	return subject, b.String()
}

// why is the rule, and what the journal says of it.
func (c *messageCall) why() string {
	if c.Reason == "" || c.Reason == c.Rule {
		return c.Rule
	}
	return c.Rule + " (" + c.Reason + ")"
}
