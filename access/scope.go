package access

import (
	"context"
	"errors"
	"slices"
	"strings"

	"ringfence/console"
)

// scope is what somebody who is bound to lines may see. Names of lines are looked up for each request: lines come and go, and change hands.
type scope struct {
	who  *console.Who
	desk console.Desk

	owners map[string]string // of lines that were looked up: whose each is now
}

// Own lists that a line's customer may see and edit.
const (
	blacklist = "blacklist"
	allowlist = "allowlist"
)

// ownerOf is whose a line is now. One that the database does not have is the policy's, where each line is its own customer, or is none.
func (s *scope) ownerOf(ctx context.Context, line string) (owner string, err error) {
	if owner, ok := s.owners[line]; ok {
		return owner, nil
	}
	owner = line
	err = s.desk.Lines(ctx, console.LineQuery{Name: line}, func(l console.Line) error {
		if l.Name == line {
			owner = l.Customer
		}
		return nil
	})
	if err != nil && !errors.Is(err, console.ErrNotFound) {
		return "", err
	}
	if s.owners == nil {
		s.owners = map[string]string{}
	}
	s.owners[line] = owner
	return owner, nil
}

// line reports whether a line is theirs now.
func (s *scope) line(ctx context.Context, name string) (bool, error) {
	switch {
	case name == "":
		return false, nil
	case slices.Contains(s.who.Lines, name):
		return true, nil
	case s.who.Customer == "":
		return false, nil
	}
	owner, err := s.ownerOf(ctx, name)
	return err == nil && owner == s.who.Customer, err
}

// owns reports whether what was of a line, when it was a customer's, is theirs: not what was of a line that they have now when others had it.
func (s *scope) owns(ctx context.Context, line, customer string) (bool, error) {
	owner := customer
	if owner == "" {
		owner = line
	}
	switch {
	case line == "" && customer == "":
		return false, nil
	case s.who.Customer != "" && owner == s.who.Customer:
		return true, nil
	case !slices.Contains(s.who.Lines, line):
		return false, nil
	}
	now, err := s.ownerOf(ctx, line)
	return err == nil && now == owner, err
}

// record reports whether a call was to a line of theirs.
func (s *scope) record(ctx context.Context, r *console.Record) (bool, error) {
	if s.who.Call != "" && r.ID != s.who.Call && !slices.Contains(r.Also, s.who.Call) {
		return false, nil
	}
	return s.owns(ctx, r.Line, r.Customer)
}

// lines are all lines that are theirs now, MaxBound at most, by their names.
func (s *scope) lines(ctx context.Context, most int) (names []string, err error) {
	names = slices.Clone(s.who.Lines)
	if s.who.Customer != "" {
		err = s.desk.Lines(ctx, console.LineQuery{Customer: s.who.Customer}, func(l console.Line) error {
			if l.Customer == s.who.Customer {
				names = append(names, l.Name)
			}
			return nil
		})
		if errors.Is(err, console.ErrNotFound) {
			err = nil
		}
		if err == nil { // a line of the policy is its own customer
			var own bool
			if own, err = s.line(ctx, s.who.Customer); own {
				names = append(names, s.who.Customer)
			}
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	return names[:min(len(names), most)], err
}

// ownList is the line of a list of theirs, NotFound if it is none.
func (s *scope) ownList(ctx context.Context, list string) (line string, err error) {
	line, own, ok := strings.Cut(list, ":")
	if !ok || own != blacklist && own != allowlist {
		return "", hidden()
	}
	mine, err := s.line(ctx, line)
	if err == nil && !mine {
		err = hidden()
	}
	return line, err
}

// isOwn reports whether a list is one that they may see.
func (s *scope) isOwn(ctx context.Context, list string) (bool, error) {
	_, err := s.ownList(ctx, list)
	if errors.Is(err, console.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// narrow makes a question about calls one about theirs. false: there is nothing to ask.
func (s *scope) narrow(ctx context.Context, q *console.Query) (bool, error) {
	q.Detector, q.Holder = "", "" // what they ask of that they do not see
	if q.List != "" {
		if own, err := s.isOwn(ctx, q.List); err != nil || !own {
			return false, err
		}
	}
	switch {
	case len(s.who.Lines) == 0 && q.Customer == "":
		q.Customer = s.who.Customer
	case len(s.who.Lines) == 0:
		return q.Customer == s.who.Customer, nil
	case s.who.Customer == "":
		q.Lines = slices.Clone(s.who.Lines)
	default:
		lines, err := s.lines(ctx, maxScopeLines)
		if err != nil {
			return false, err
		}
		q.Lines = lines
	}
	return true, nil
}

// maxScopeLines is more than a customer has.
const maxScopeLines = 100_000

// asksHidden reports whether a question is about what they do not see.
func asksHidden(q *console.Query) bool { return q.Detector != "" || q.Holder != "" }

// cut takes out of a call what comes of others' calls, lists and numbers: of why it was decided so there is the rule, and the reason where that is of
// the call alone.
func cut(r console.Record) console.Record {
	r.Reason = ownReason(r.Reason, r.List, r.Line, len(r.Tripped)+len(r.TrippedBy)+len(r.Terms) > 0 || r.Score != 0 || r.Holder != "" && strings.Contains(r.Reason, r.Holder))
	if !ownListOf(r.List, r.Line) {
		r.List = ""
	}
	r.Tripped, r.TrippedBy, r.Holder, r.Score, r.Terms = nil, nil, "", 0, nil
	return r
}

// hasText reports whether a text that was asked for is in what they see of a call: a desk finds it in what is cut out as well.
func hasText(r *console.Record, text string) bool {
	text = strings.ToLower(text)
	return text == "" || slices.ContainsFunc([]string{r.Name, r.Caller.Raw, r.Caller.E164, r.Reason, r.Callee}, func(of string) bool {
		return strings.Contains(strings.ToLower(of), text)
	})
}

// ownListOf reports whether a list is one that a line has of its own, as records name it.
func ownListOf(list, line string) bool {
	of, own, ok := strings.Cut(list, ":")
	return ok && (of == line || of == "line") && (own == blacklist || own == allowlist)
}

// ownReason is the reason of a decision as far as it is of the call and the line alone. One that is of a list of all has what others wrote there.
func ownReason(reason, list, line string, others bool) string {
	switch {
	case others, strings.Contains(reason, " is known to a line"): // whichever
		return ""
	case list == "", ownListOf(list, line):
		return reason
	}
	return ""
}

// rang reports whether a phone rang for a call, as far as its record says.
func rang(r *console.Record) bool {
	switch {
	case r.Action == "reject", r.Action == "challenge" && !r.Passed:
		return false
	case r.Outcome == nil:
		return true
	}
	o := r.Outcome
	return (o.Answered || o.RingS > 0) && (o.By != "ringfence" || o.RingS > 0)
}
