package storage

import (
	"encoding/json"
	"reflect"
	"testing"
)

// Every field that a line is written with is read the quick way.
func TestLineQuick(t *testing.T) {
	var l, got Line
	v := reflect.ValueOf(&l).Elem()
	kept := 0
	for i := range v.NumField() {
		f := v.Type().Field(i)
		switch tag := f.Tag.Get("json"); {
		case tag == "-":
			continue
		case f.Type.Kind() == reflect.String:
			v.Field(i).SetString("of " + f.Name + " 你好")
		case f.Name == "Numbers":
			l.Numbers = []string{"+865925550100", "8000..8009"}
		default:
			t.Fatalf("%s is of a type that is not read", f.Name)
		}
		kept++
	}
	text, err := json.Marshal(l)
	check(t, err)
	if !got.quick(string(text)) || !reflect.DeepEqual(got, l) || kept < 9 {
		t.Errorf("got %+v of %s", got, text)
	}
	if got = (Line{}); !got.quick(`{"key":"a~1"}`) || got.Key != "a~1" {
		t.Errorf("%+v", got)
	}
}

// FuzzLine holds that what is read the quick way is what encoding/json reads, and that everything that can be written is read back.
func FuzzLine(f *testing.F) {
	for _, text := range []string{
		`{"key":"a~1","numbers":["+1","2"],"note":"x"}`, `{"key":"a\u0041"}`, `{"numbers":[]}`, `{"numbers":null}`, `{}`, ``, `{"key":"a"`, `{"key":"a"} `,
		`{"KEY":"a"}`, `{"key":"a","key":"b"}`, `{"numbers":["a"],"numbers":[]}`, `{"key":"a",}`, `{"numbers":["a",]}`, "{\"key\":\"\xff\"}", `{"key":1}`, `{,"key":"a"}`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var quick, slow Line
		err := json.Unmarshal([]byte(text), &slow)
		if quick.quick(text) && (err != nil || !reflect.DeepEqual(quick, slow)) {
			t.Errorf("%q: got %+v, encoding/json has %+v, %v", text, quick, slow, err)
		}
		l, back := Line{Key: text, Note: text, Numbers: []string{text}}, Line{}
		written, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		var want Line
		if err := json.Unmarshal(written, &want); err != nil {
			t.Fatal(err)
		}
		if err := back.read(string(written)); err != nil || !reflect.DeepEqual(back, want) {
			t.Errorf("%q: got %+v, %v", written, back, err)
		}
	})
}

func BenchmarkLineRead(b *testing.B) {
	text := `{"key":"customer12345~abcdef","numbers":["+8613002469000","+8613002469007"],"customer":"c08230","profile":"strict","timezone":"Asia/Shanghai","notify":"noc@example.net","note":"contract 4711"}`
	b.ReportAllocs()
	for b.Loop() {
		var l Line
		if err := l.read(text); err != nil {
			b.Fatal(err)
		}
	}
}
