package console

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func (a *asked) Lines(ctx context.Context, q LineQuery, yield func(Line) error) error {
	_, err := a.note(ctx, "lines", q)
	return errors.Join(yield(Line{Name: "a", Numbers: []string{"1"}, Updated: time.UnixMilli(1).UTC()}), yield(Line{Name: "b"}), err)
}

func (a *asked) AddLines(ctx context.Context, add []LineSet) ([]LineEdit, error) {
	_, err := a.note(ctx, "add", add[0].Name, *add[0].Numbers, *add[0].Customer == "", add[0].Profile == nil)
	return []LineEdit{{Name: "a", Change: LineAdded, ID: 3}}, err
}

func (a *asked) SetLine(ctx context.Context, set LineSet) (*LineEdit, error) {
	_, err := a.note(ctx, "set", set.Name, set.Add, set.Drop, set.Numbers == nil, *set.Mode)
	return &LineEdit{Name: set.Name, Change: LineUpdated, What: []string{"x"}, Warnings: []string{"y"}}, err
}

func (a *asked) RemoveLines(ctx context.Context, names []string) ([]LineEdit, error) {
	_, err := a.note(ctx, "remove", names)
	return []LineEdit{{Name: names[0], Change: LineRemoved}}, err
}

func (a *asked) ImportLines(ctx context.Context, q LineImport, file io.Reader) (*LineReport, error) {
	text, readErr := io.ReadAll(file)
	_, err := a.note(ctx, "import", q, len(text))
	return &LineReport{Format: "table", Added: 7}, errors.Join(readErr, err)
}

func (a *asked) LineHistory(ctx context.Context, name string, yield func(LineHistory) error) error {
	_, err := a.note(ctx, "history", name)
	return errors.Join(yield(LineHistory{Name: name, After: &Line{Name: name}}), err)
}

// What is asked of lines at the one end of the socket is what the desk is asked at the other, and its answer comes back.
func TestLinesThroughSocket(t *testing.T) {
	d := &asked{}
	c, _ := served(t, d)
	names := func(q LineQuery) ([]string, error) {
		var all []string
		err := c.Lines(t.Context(), q, func(l Line) error { all = append(all, l.Name+strings.Join(l.Numbers, "")); return nil })
		return all, err
	}
	for want, ask := range map[string]func() (got, want any, err error){
		"lines {Name: Customer:Bob & Sons Profile:p}": func() (any, any, error) {
			got, err := names(LineQuery{Customer: "Bob & Sons", Profile: "p"})
			return got, []string{"a1", "b"}, err
		},
		"lines {Name:a%b.c Customer: Profile:}": func() (any, any, error) {
			got, err := names(LineQuery{Name: "a%b.c"})
			return got, []string{"a1", "b"}, err
		},
		"add a [1 2] true true": func() (any, any, error) {
			got, err := c.AddLines(t.Context(), []LineSet{{Name: "a", Numbers: new([]string{"1", "2"}), Customer: new("")}})
			return got, []LineEdit{{Name: "a", Change: LineAdded, ID: 3}}, err
		},
		"set a [1] [2] true off": func() (any, any, error) {
			got, err := c.SetLine(t.Context(), LineSet{Name: "a", Add: []string{"1"}, Drop: []string{"2"}, Mode: new("off")})
			return got, &LineEdit{Name: "a", Change: LineUpdated, What: []string{"x"}, Warnings: []string{"y"}}, err
		},
		"remove [a b]": func() (any, any, error) {
			got, err := c.RemoveLines(t.Context(), []string{"a", "b"})
			return got, []LineEdit{{Name: "a", Change: LineRemoved}}, err
		},
		"import {File:f Format:fusionpbx Source:s Whole:true DryRun:false Strict:true Force:true Profile:p Mode:off Columns:[name=1 note=x] Encoding:gbk} 5": func() (any, any, error) {
			got, err := c.ImportLines(t.Context(), LineImport{
				File: "f", Format: FormatFusionPBX, Source: "s", Whole: true, Strict: true, Force: true, Profile: "p", Mode: "off", Columns: []string{"name=1", "note=x"}, Encoding: "gbk",
			}, strings.NewReader("lines"))
			return got, &LineReport{Format: "table", Added: 7}, err
		},
		"history import": func() (any, any, error) {
			var got []LineHistory
			err := c.LineHistory(t.Context(), "import", func(h LineHistory) error { got = append(got, h); return nil })
			return got, []LineHistory{{Name: "import", After: &Line{Name: "import"}}}, err
		},
	} {
		got, wanted, err := ask()
		if diff := cmp.Diff(wanted, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", want, err, diff)
		}
		if call, by := d.last(); call != want || by.From != FromAPI {
			t.Errorf("got %s by %s, want %s", call, by.From, want)
		}
	}
}
