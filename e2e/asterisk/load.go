package asterisk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ringfence/e2e/sip"
)

// Load is many calls at a steady rate.
type Load struct {
	Calls int
	Rate  int           // calls a second, at the most
	Limit int           // calls at once: what a machine cannot do comes later instead of failing
	Kinds []Kind        // they take turns
	Holds time.Duration // how long a caller stays in an answered call
	Rings time.Duration // how long a handset rings
}

// Kind is one sort of calls of a Load. # in From and To stands for the number of the call, seven digits; To must have it.
type Kind struct {
	Name     string
	From, To string
	Leaves   bool // the caller gives up half a second after ringing or an announcement began
}

// Fate is what became of a call.
type Fate struct {
	Kind    string
	Final   string // the code of the final answer, "" if there was none
	Rang    bool   // a handset got an INVITE
	Invited time.Time
	Ringing time.Time // the first 180 to the caller; zero if there was none
}

// Run places the calls and waits until no channel is left. It gives the fate of each.
func (t *Trial) Run(ctx context.Context, l Load) ([]*Fate, error) {
	var stay, leave strings.Builder // sipp's lists of calls
	stays, leaves := 0, 0
	fates := make([]*Fate, l.Calls)
	byNumber, byCall := make(map[string]*Fate, l.Calls), make(map[string]*Fate, l.Calls)
	for i := range l.Calls {
		k := l.Kinds[i%len(l.Kinds)]
		number := fmt.Sprintf("%07d", i)
		to := strings.ReplaceAll(k.To, "#", number)
		fates[i] = &Fate{Kind: k.Name}
		byNumber[to] = fates[i]
		list, n := &stay, &stays
		if k.Leaves {
			list, n = &leave, &leaves
		}
		fmt.Fprintf(list, "%s;%s\n", strings.ReplaceAll(k.From, "#", number), to)
		*n++
	}
	t.watch(func(p Packet) {
		m, ok := sip.Parse(p.Data)
		if !ok || !strings.HasSuffix(m.Get("CSeq"), "INVITE") {
			return
		}
		id := m.Get("Call-ID")
		code, _, _ := strings.Cut(m.Status(), " ")
		switch f := byNumber[m.To()]; {
		case m.Method() == "INVITE" && int(p.To.Port()) == t.ports.handset:
			if f != nil {
				f.Rang = true
			}
		case m.Method() == "INVITE":
			if f != nil && f.Invited.IsZero() {
				f.Invited, byCall[id] = p.At, f
			}
		case byCall[id] == nil || code == "":
		case code == "180" && byCall[id].Ringing.IsZero():
			byCall[id].Ringing = p.At
		case code[0] != '1':
			byCall[id].Final = code
		}
	})
	defer t.watch(t.keep)

	phones, err := t.root.sipp(t.folder, "handsets", handsetTemplate, handset{Rings: l.Rings}, t.ports.handset, t.ports.handsetMedia)
	if err != nil {
		return nil, err
	}
	defer phones.Stop()
	if err := phones.bound(ctx, t.ports.handset); err != nil {
		return nil, err
	}
	data := caller{From: "[field0]", To: "[field1]", Holds: l.Holds, Refusals: refusals}
	staying, err := t.many("staying", stay.String(), stays, l, data, t.ports.caller, t.ports.media)
	if err != nil {
		return nil, err
	}
	defer staying.Stop()
	data.GivesUp = 500 * time.Millisecond
	leaving, err := t.many("leaving", leave.String(), leaves, l, data, t.ports.leaver, t.ports.leaverMedia)
	if err != nil {
		return nil, err
	}
	defer leaving.Stop()
	err = errors.Join(staying.Wait(ctx), leaving.Wait(ctx), t.Idle())
	if lost := t.capture.Lost(); lost > 0 {
		err = errors.Join(err, fmt.Errorf("the capture lost %d packets: what became of calls is not known", lost))
	}
	return fates, err
}

// many places n calls of a list, at its share of the rate. Of none there is no sipp.
func (t *Trial) many(name, list string, n int, l Load, data caller, port, media int) (*Sipp, error) {
	if n == 0 {
		return nil, nil
	}
	file := filepath.Join(t.folder, name+".csv")
	if err := os.WriteFile(file, []byte("SEQUENTIAL\n"+list), 0o600); err != nil {
		return nil, err
	}
	// So many calls every ten seconds.
	rate := max(1, l.Rate*10*n/l.Calls)
	return t.root.sipp(t.folder, name, callerTemplate, data, port, media, "-inf", file, "-m", fmt.Sprint(n), "-r", fmt.Sprint(rate), "-rp", "10000", "-l", fmt.Sprint(max(1, l.Limit*n/l.Calls)), t.Address)
}
