package notice

import (
	"io"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"ringfence/number"
	"ringfence/storage"
)

// stoppedAt is a call as the journal has it.
func stoppedAt(at time.Time, caller storage.Caller, name, reason string) storage.NoticeCall {
	id := storage.NewID(at)
	return storage.NoticeCall{ID: id, Calls: 1, Of: &storage.Record{
		ID: id, Time: at, Caller: caller, Name: name, Callee: "05925550100", Line: "shop", Stopped: "shop~1", Action: "reject", Rule: "listed", Reason: reason,
	}}
}

// written is a message as who reads mail sees it.
func written(t *testing.T, m *message, w *words) (head mail.Header, raw, subject, text string) {
	t.Helper()
	subject, text = m.mailText(w)
	b, err := (&mailer{from: "ringfence@example.com", host: "pbx1"}).mail("a@b", subject, text, m.ID, time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	read, err := mail.ReadMessage(strings.NewReader(string(b)))
	if err != nil {
		t.Fatalf("%v in\n%s", err, b)
	}
	body, err := io.ReadAll(quotedprintable.NewReader(read.Body))
	if err != nil {
		t.Fatal(err)
	}
	if subject, err = new(mime.WordDecoder).DecodeHeader(read.Header.Get("Subject")); err != nil {
		t.Fatal(err)
	}
	return read.Header, string(b), subject, string(body)
}

// long: because the two mails are read as they are.
func TestMailText(t *testing.T) {
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	calls := []storage.NoticeCall{
		stoppedAt(at, storage.Caller{Raw: "13800138000", E164: "+8613800138000", Kind: "mobile"}, "Ann", "+8613800138000 is on the list blacklist"),
		stoppedAt(at.Add(time.Minute), storage.Caller{Raw: "13900139000", E164: "+8613900139000", Kind: "mobile", Withheld: true}, "13900139000", "+8613900139000 is on the list blacklist"),
	}
	calls[0].Calls, calls[0].Of.Repeats, calls[0].Of.Last = 3, 2, at.Add(30*time.Second)
	m, some := messageOf("铺面", &storage.Notice{Line: "shop~1"}, calls, zone)
	if !some || m.Stopped != 4 {
		t.Fatalf("got %+v", m)
	}
	m.StarCode = "*58"
	(&Notices{o: Options{Link: func(call, line string) string { return "https://pbx1.example.com/l/" + line + call[:4] }}}).addLinks("shop~1", m)
	begin := calls[0].ID[:4]
	for name, want := range map[string]struct{ subject, text string }{
		"en": {"4 calls to 铺面 were stopped", `Line 铺面: 4 stopped. Times are those of Asia/Shanghai.

2026-11-02 17:00:00  refused (3 times)
  Caller: +8613800138000
  Calls himself: Ann
  Called: 05925550100
  Why: listed (+8613800138000 is on the list blacklist)
  Let this caller through: https://pbx1.example.com/l/shop~1` + begin + `

2026-11-02 17:01:00  refused
  Caller: number withheld
  Called: 05925550100
  Why: listed

To let the caller through who was stopped last, dial *58 from a phone of this line.

Each address works once, and for a week, for whoever has this mail: do not pass it on.

Names and numbers are what callers say of themselves. This mail is sent by a program: answers are not read.
`},
		"zh": {"已拦截 4 个打给 铺面 的来电", `线路 铺面：已拦截 4 个来电。时间按 Asia/Shanghai 时区。

2026-11-02 17:00:00  已拒接（3 次）
  主叫：+8613800138000
  自称：Ann
  被叫：05925550100
  原因：listed (+8613800138000 is on the list blacklist)
  放行此主叫：https://pbx1.example.com/l/shop~1` + begin + `

2026-11-02 17:01:00  已拒接
  主叫：号码未显示
  被叫：05925550100
  原因：listed

如需放行最近一次被拦截的主叫，请用本线路的话机拨 *58。

每个链接一周内有效，仅可使用一次；任何持有本邮件的人均可使用，请勿转发。

名称和号码均由主叫自行提供，不一定真实。本邮件由程序发送，请勿回复。
`},
	} {
		head, raw, subject, text := written(t, m, languages[name])
		if subject != want.subject || text != want.text {
			t.Errorf("%s: got the subject %q and\n%s", name, subject, text)
		}
		for key, want := range map[string]string{
			"To": "a@b", "From": "ringfence@example.com", "Auto-Submitted": "auto-generated", "Mime-Version": "1.0", "Content-Type": "text/plain; charset=utf-8",
			"Content-Transfer-Encoding": "quoted-printable", "Message-Id": "<" + calls[0].ID + "@pbx1>", "Date": "Mon, 02 Nov 2026 09:00:00 +0000",
		} {
			if got := head.Get(key); got != want {
				t.Errorf("%s: %s is %q, want %q", name, key, got, want)
			}
		}
		for line := range strings.Lines(raw) {
			if len(line) > 79 || strings.ContainsFunc(line, func(r rune) bool { return r > 0x7e || r < ' ' && r != '\n' }) {
				t.Errorf("%s: the line %q is none of mail", name, line)
			}
		}
		if strings.Contains(raw, "1390013") {
			t.Errorf("%s: the withheld number is in it:\n%s", name, raw)
		}
	}
}

// linkLike is what mail programs make a link of.
var linkLike = regexp.MustCompile(`(?i)[\pL\pN][.．。｡]\pL|://|www\.\S|(mailto|tel|sip|javascript|data):\S|\S@\S|(\d+\.){3}\d+`)

var hostileTexts = []string{
	"x\r\nBcc: evil@example.com\r\n\r\nhello", "\x1b[2J\x1b]0;owned\x07", "\u202egnp.exe\u202c", "https://evil.example.com/pay?x=1", "www.evil.com", "evil.com", "a@evil.com",
	"tel:+19005550100", "mailto:a@evil.com", "1.2.3.4/x", "http：／／evil．com", "evil。com", "a＠evil.com", "<a href=\"https://evil.com\">bank</a>", "=?utf-8?q?evil?=", "\xff\xfe\x00", "%s%d%n",
	"\u2028next", strings.Repeat("a.b", 200), "שלום 123 evil.com", ".\n.\n", "javascript:alert(1)", "\u200bev\u200bil.com", "a.\u00adb.com",
}

// TestHostileTexts holds that nothing a caller writes is a header, a control, a link, or a line of its own.
func TestHostileTexts(t *testing.T) {
	for _, s := range hostileTexts {
		hostile(t, s)
	}
}

func FuzzHostileTexts(f *testing.F) {
	for _, s := range hostileTexts {
		f.Add(s)
	}
	f.Fuzz(hostile)
}

func hostile(t *testing.T, s string) {
	at := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	c := stoppedAt(at, storage.Caller{Raw: s, Kind: "invalid"}, s, s)
	c.Of.Callee, c.Of.Rule, c.Of.Action = s, s, s
	m, _ := messageOf("shop", &storage.Notice{Line: "shop~1"}, []storage.NoticeCall{c}, time.UTC)
	for _, text := range []string{m.Calls[0].Caller, m.Calls[0].Name, m.Calls[0].Called, m.Calls[0].Action, m.Calls[0].Rule, m.Calls[0].Reason} {
		if link := linkLike.FindString(text); link != "" {
			t.Errorf("%q becomes %q, of which %q looks like a link", s, text, link)
		}
		if !utf8.ValidString(text) || number.InertUpTo(text, 1000) != text || utf8.RuneCountInString(text) > 2*maxReason {
			t.Errorf("%q becomes %q, which is not inert", s, text)
		}
	}
	for name, w := range languages {
		head, raw, subject, text := written(t, m, w)
		if len(head) != 9 || head.Get("Bcc") != "" {
			t.Errorf("%s: %q makes headers:\n%s", name, s, raw)
		}
		if strings.ContainsFunc(text+subject, func(r rune) bool {
			return r != '\n' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
		}) {
			t.Errorf("%s: %q leaves controls in %q", name, s, text)
		}
		before, _ := messageOf("shop", &storage.Notice{Line: "shop~1"}, []storage.NoticeCall{stoppedAt(at, storage.Caller{Raw: "x"}, "x", "x")}, time.UTC)
		if _, plainText := before.mailText(w); strings.Count(text, "\n") > strings.Count(plainText, "\n") {
			t.Errorf("%s: %q makes lines of its own:\n%s", name, s, text)
		}
	}
}

// TestPlainKeeps holds that what is no link reads as it was.
func TestPlainKeeps(t *testing.T) {
	for _, s := range []string{"+8613800138000", "8613800138000 is on the list blacklist", "called at 18:00", "score 3.5 of 2", "range 952112", "张三", "line:blacklist", "hmac:+861380:0f2c"} {
		if got := strings.ReplaceAll(plain(s, 100), ": ", ":"); got != s {
			t.Errorf("%q became %q", s, got)
		}
	}
}

func TestLanguage(t *testing.T) {
	for _, c := range []struct{ of, country, want string }{{"zh", "US", "zh"}, {"en", "CN", "en"}, {"", "CN", "zh"}, {"", "DE", "en"}, {"", "", "en"}, {"fr", "CN", "zh"}} {
		if language(c.of, c.country) != languages[c.want] {
			t.Errorf("%+v", c)
		}
	}
}
