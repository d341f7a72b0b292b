package console

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write openapi.json from the types and the table of operations")

// operation is one thing that can be asked of the API.
type operation struct {
	route string // as the mux has it
	text  string // what it does; the first sentence is its summary
	query string // its parameters, each NAME, NAME:TYPE or NAME=one|other; they are described in parameters
	in    any    // of what type the body is; file for a file, nil for none
	out   any    // what is answered; many for one a line, file for a file
	tag   bool   // the answer has an ETag, and If-None-Match is looked at; of what changes something, If-Match
}

// file stands for bytes as they are.
type file struct{}

// many stands for an answer of one object a line.
type many struct{ each any }

// events stands for server-sent events, each with an object.
type eventsOf struct{ each any }

// orLines is an answer that is one object, or many, as is asked for.
type orLines struct{ one, each any }

const callFilters = "since:time until:time caller callee action id customer line rule trunk kind would holder list detector range text outcome=answered|unanswered|stopped|rang min_talk:number max_talk:number"

// operations are in the order of the document: what scripts use most comes first.
var operations = []operation{
	{"POST /api/v1/check", "Says what would happen to a call, and why. Nothing is recorded.", "", CheckQuery{}, CheckReport{}, false},

	{"GET /api/v1/calls", "Gives past calls, the newest first: one a line, or with page=1 or Accept: application/json a page with a cursor. All filters must hold.", callFilters + " limit:int cursor order=newest|oldest page=1 here=1 look:span", nil, orLines{SearchPage{}, Record{}}, false},
	{"DELETE /api/v1/calls", "Deletes the calls that the filters name from the journal.", callFilters + " limit:int", nil, Deleted{}, false},
	{"GET /api/v1/calls/stream", "Sends each call as it is decided, as server-sent events. Who reads too slowly is told by an event named error, and the stream ends.", "", nil, eventsOf{Record{}}, false},
	{"GET /api/v1/calls/{id}", "Gives one call, and how it was decided as it was then.", "", nil, CallDetail{}, false},
	{"POST /api/v1/calls/{id}/correct", "Says that a call was decided wrongly. One that rang is reported; the caller of one that was stopped is let through to its line.", "", struct{}{}, Corrected{}, false},
	{"GET /api/v1/activity", "Counts calls over time, by what was done.", "since:time until:time step:span", nil, Activity{}, false},
	{"GET /api/v1/ranges", "Counts calls by the next digit of their callers' numbers.", "prefix since:time until:time look:span", nil, RangeReport{}, false},
	{"GET /api/v1/effect", "Says what a list entry would have done to the calls of the last weeks.", "pattern list", nil, EntryEffect{}, false},

	{"GET /api/v1/lists", "Gives the lists.", "line", nil, []ListSummary{}, false},
	{"GET /api/v1/lists/{list}/entries", "Gives the entries of a list, one a line. The ETag changes with each edit of the list; hits do not change it.", "", nil, many{ListEntry{}}, true},
	{"POST /api/v1/lists/{list}/entries", "Adds entries, at most 10,000 at once: all, or none if one cannot be read. Idempotent: what is there and says the same comes back as unchanged.", "keep=good", []NewEntry{}, []Edit{}, true},
	{"DELETE /api/v1/lists/{list}/entries", "Takes entries away, at most 10,000 at once. Idempotent: what is not there comes back as absent.", "all=true|false", []string{}, []Edit{}, true},
	{"POST /api/v1/lists/{list}/import", "Adds what a file says, as one change.", "file format column* encoding threshold:int window:number dry_run:bool strict:bool force:bool replace:bool", file{}, ImportReport{}, false},
	{"GET /api/v1/changes", "Gives the changes to lists, the oldest first, one a line; with pattern what they did to it, as ListHistory.", "list pattern", nil, many{anyOf{ListChange{}, ListHistory{}}}, false},
	{"POST /api/v1/changes/{id}/undo", "Makes a change undone. Idempotent: what is undone already comes back with the id 0.", "", nil, ListChange{}, false},
	{"GET /api/v1/feeds", "Gives the lists that others keep.", "", nil, []FeedStatus{}, false},
	{"POST /api/v1/feeds/{list}/fetch", "Fetches a feed now.", "", nil, FeedStatus{}, false},
	{"POST /api/v1/feeds/{list}/accept", "Makes what a feed holds back count.", "", nil, FeedStatus{}, false},

	{"GET /api/v1/reports", "Gives the marks of nuisance callers, one a line.", "state=open|confirmed|dismissed|lifted customer", nil, many{Report{}}, false},
	{"POST /api/v1/reports", "Marks a caller as a nuisance, by a call that rang lately.", "", NewReport{}, ReportEdit{}, false},
	{"GET /api/v1/reports/{id}", "Gives a mark with what there is to decide it by.", "", nil, ReportEvidence{}, false},
	{"POST /api/v1/reports/{id}/confirm", "Puts the caller on the list. Idempotent.", "", decisionQuery{}, ReportEdit{}, false},
	{"POST /api/v1/reports/{id}/dismiss", "Lets nothing come of a mark. Idempotent.", "", decisionQuery{}, ReportEdit{}, false},
	{"POST /api/v1/reports/{id}/lift", "Takes the caller of a confirmed mark off the list again. Idempotent.", "", decisionQuery{}, ReportEdit{}, false},

	{"GET /api/v1/detectors", "Gives the breakers of the detectors, one a line.", "detector trunk all=true|false", nil, many{Breaker{}}, false},
	{"GET /api/v1/detectors/settings", "Gives the detectors of the policy.", "", nil, []Detector{}, false},
	{"POST /api/v1/detectors/{name}/reset", "Closes a breaker, which counts from nothing.", "", pinQuery{}, BreakerEdit{}, false},
	{"POST /api/v1/detectors/{name}/pin", "Holds a breaker open or shut. Idempotent.", "", pinQuery{}, BreakerEdit{}, false},
	{"POST /api/v1/detectors/{name}/unpin", "Lets go of a breaker that is held. Idempotent.", "", pinQuery{}, BreakerEdit{}, false},
	{"GET /api/v1/score/fit", "Proposes weights of the score by the marks that were decided. It sets nothing.", "since:time allowlist=true|false", nil, ScoreFit{}, false},

	{"GET /api/v1/policy", "Gives the policy file.", "", nil, PolicyText{}, true},
	{"PUT /api/v1/policy", "Checks a policy, writes it to its file and puts it in force, keeping the one before. With a fault nothing changes, and loaded is false. The ETag of the text that it was made from is required, in If-Match or as etag.", "", PolicyEdit{}, PolicyPut{}, true},
	{"POST /api/v1/policy/check", "Says what is wrong with a policy. Nothing changes.", "", policyText{}, ReloadReport{}, false},
	{"POST /api/v1/policy/try", "Runs past calls through a policy, and says what would have come out otherwise.", "", TryQuery{}, TryReport{}, false},
	{"POST /api/v1/policy/reload", "Reads the policy file again.", "", nil, ReloadReport{}, false},
	{"GET /api/v1/policy/versions", "Gives the policies that were in force, the newest first, one a line.", "", nil, many{PolicyVersion{}}, false},
	{"GET /api/v1/policy/versions/{id}", "Gives the text of one.", "", nil, PolicyVersionText{}, false},

	{"GET /api/v1/lines", "Gives the lines of the database, one a line.", "customer profile", nil, many{Line{}}, false},
	{"POST /api/v1/lines", "Makes lines, at most 10,000 at once: all or none.", "", []LineSet{}, []LineEdit{}, false},
	{"DELETE /api/v1/lines", "Takes lines away, by their names. Idempotent: what is not there comes back as absent.", "", []string{}, []LineEdit{}, false},
	{"POST /api/v1/lines/import", "Makes the lines what a file says, as one change.", "file format source profile mode column* encoding whole:bool dry_run:bool strict:bool force:bool", file{}, LineReport{}, false},
	{"GET /api/v1/lines/{line}", "Gives one line of the database; nothing if there is none.", "", nil, many{Line{}}, false},
	{"PATCH /api/v1/lines/{line}", "Changes of a line what is not null. Idempotent.", "", LineSet{}, LineEdit{}, false},
	{"GET /api/v1/lines/{line}/changes", "Gives the changes to a line, the oldest first, one a line.", "", nil, many{LineHistory{}}, false},
	{"GET /api/v1/usage", "Counts what came to the lines of customers, one line and day a line.", "customer since:time until:time", nil, many{Usage{}}, false},

	{"GET /api/v1/known", "Says whom lines deal with, one a line.", "line caller", nil, many{Acquaintance{}}, false},
	{"POST /api/v1/known/import", "Takes in whom lines deal with, from a file.", "file format line* column* encoding time_format zone dry_run:bool", file{}, KnownReport{}, false},
	{"POST /api/v1/known/forget", "Makes a number unknown to a line, or to all. Idempotent.", "", KnownForget{}, KnownForgotten{}, false},
	{"GET /api/v1/held", "Says what is held of a number, one thing a line.", "number since:time", nil, many{Held{}}, false},
	{"POST /api/v1/forget", "Deletes what is held of a number.", "", ForgetQuery{}, ForgetReport{}, false},

	{"GET /api/v1/users", "Gives who may sign in.", "", nil, []User{}, false},
	{"POST /api/v1/users", "Makes a user; without a password there is a link to choose one.", "", NewUser{}, UserEdit{}, false},
	{"PATCH /api/v1/users/{name}", "Changes of a user what is not null. Idempotent.", "", UserSet{}, UserEdit{}, false},
	{"DELETE /api/v1/users/{name}", "Takes a user away, and ends the sessions.", "", nil, UserEdit{}, false},
	{"GET /api/v1/tokens", "Gives the tokens, without their secrets.", "", nil, []Token{}, false},
	{"POST /api/v1/tokens", "Makes a token. This is the only time that its secret is to be seen.", "", NewToken{}, MadeToken{}, false},
	{"DELETE /api/v1/tokens/{id}", "Takes a token back.", "", nil, Token{}, false},
	{"GET /api/v1/sessions", "Gives who is signed in; one's own sessions alone for who is no admin.", "", nil, []Session{}, false},
	{"DELETE /api/v1/sessions/{id}", "Ends a session.", "", nil, SessionEnded{}, false},
	{"GET /api/v1/audit", "Gives what was changed and by whom, the newest first, one a line.", "who what since:time until:time limit:int cursor", nil, many{AuditEntry{}}, false},

	{"GET /api/v1/status", "Gives a look at the daemon.", "", nil, Status{}, false},
	{"POST /api/v1/pause", "Lets every call pass, for so many seconds or until resumed. Idempotent.", "", pauseQuery{}, PauseState{}, false},
	{"DELETE /api/v1/pause", "Resumes. Idempotent.", "", nil, PauseState{}, false},
	{"GET /api/v1/cluster", "Says how this node stands with the others that have the same lists; not found where there is no cluster.", "", nil, ClusterReport{}, false},
	{"POST /api/v1/cluster/held/{id}/take", "Has a change of another node count that waits.", "", struct{}{}, ClusterReport{}, false},
	{"POST /api/v1/cluster/held/{id}/refuse", "Has a change of another node that waits count on no node.", "", struct{}{}, ClusterReport{}, false},
	{"POST /api/v1/cluster/nodes/{node}/undo", "Undoes what another node did to lists since a time, the latest first.", "", ClusterUndo{}, ClusterUndone{}, false},
	{"DELETE /api/v1/cluster/nodes/{node}", "Takes a node out of the cluster that has gone for good, and says how things are then.", "", nil, ClusterReport{}, false},
	{"GET /api/v1/backup", "Gives a copy of the database.", "", nil, file{}, false},
	{"POST /api/v1/storage/verify", "Reads all of the database, and says what is wrong with it.", "", nil, VerifyReport{}, false},
	{"GET /api/v1/openapi.json", "Gives this document.", "", nil, map[string]any{}, false},
}

// anyOf is one of two types.
type anyOf struct{ one, other any }

// parameters says what parameters are for.
var parameters = map[string]string{
	"since": "from then on", "until": "up to then, which is not included", "caller": "the caller's number in any spelling, or the text as it arrived",
	"callee": "the called number as the journal has it", "action": "what was done", "id": "the id of a call", "customer": "whose line it is",
	"line": "the name of a line", "rule": "the rule that decided", "trunk": "where the call came in", "kind": "the kind of the caller's number",
	"would": "what the rule says", "holder": "who holds the caller's range", "list": "the name of a list", "detector": "the name of a detector",
	"range": "a pattern that the caller's number matches, as 9521????", "text": "is in the caller's name or number, in the reason or in the called number",
	"outcome": "what became of the call", "min_talk": "seconds of conversation, at least", "max_talk": "seconds of conversation, at most",
	"limit": "how many, at most; 100 by default", "cursor": "goes on behind an earlier answer: its cursor, or the id of its last object", "order": "which comes first",
	"page": "gives a page with a cursor, not one object a line", "here": "only what the journal of this node has, not of the other nodes of a cluster", "look": "how long to look, as 2s, where no index helps; 10s at most", "step": "how long a step is, as 5m",
	"prefix": "digits as they are written in the policy's country, or + and a country code", "pattern": "a number or a range, in any spelling",
	"keep": "adds those that can be read, and says which cannot", "all": "also what is usually left out, or left alone", "file": "the name of the file, for the record",
	"format": "what the file is; by default what it looks like", "column": "WHAT=COLUMN: which column of a table holds what", "encoding": "its name on the web, as gbk",
	"threshold": "FTC: complaints that make an entry", "window": "FTC: how old they may be, in seconds", "dry_run": "only says what would be done",
	"strict": "does nothing if a line is refused", "force": "also what the safeguards would refuse", "replace": "also takes away what the file of this name said before and does not say now",
	"state": "what became of the mark", "allowlist": "takes callers of the list allowlist for wanted", "profile": "the profile of lines", "source": "what keeps the lines of the file from now on",
	"mode": "the mode of new lines", "whole": "lines of the source that the file does not name go", "number": "a number, in any spelling",
	"time_format": "how times are written, as strftime has it", "zone": "the clock of times without an offset", "who": "who changed it", "what": "what was done, or its begin, as list",
}

// needed are the members without which a request makes no sense. All others may be left out.
var needed = map[string][]string{
	"NewEntry": {"number"}, "NewUser": {"name", "role"}, "NewToken": {"name", "role"}, "ForgetQuery": {"number"}, "NewReport": {"caller"},
}

const aboutAPI = `The API of Ringfence. docs/api.md says how to get a token and has examples.

A token goes into the header Authorization: Bearer, never into an address. Requests that change something have a body in JSON (application/json), or a file
(application/octet-stream). A member that a request has and this document does not is refused; an answer may get further members with later versions.
Answers of one object a line are application/x-ndjson, and the schema is that of a line; where one fails on the way, the last line is an error.
What a role does not cover is 403 forbidden; what somebody bound to lines must not see is as if it were not there.`

// documenter makes the document.
type documenter struct {
	about   map[string]string // comments of types, and as TYPE.Field of their members
	schemas map[string]any
	input   bool // what is described is a request's
}

type object = map[string]any

// comments reads what the types of this package are said to be.
func comments(t *testing.T) map[string]string {
	t.Helper()
	about := make(map[string]string)
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			gen, ok := n.(*ast.GenDecl)
			if !ok {
				return true
			}
			for _, spec := range gen.Specs {
				typ, ok := spec.(*ast.TypeSpec)
				if !ok {
					continue
				}
				about[typ.Name.Name] = strings.TrimSpace(gen.Doc.Text())
				if fields, ok := typ.Type.(*ast.StructType); ok {
					for _, f := range fields.Fields.List {
						for _, name := range f.Names {
							about[typ.Name.Name+"."+name.Name] = strings.TrimSpace(f.Doc.Text() + f.Comment.Text())
						}
					}
				}
			}
			return true
		})
	}
	return about
}

// of is the schema of a type.
func (d *documenter) of(typ reflect.Type) object {
	switch typ {
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[Role]():
		return object{"type": "string", "enum": Roles}
	}
	switch typ.Kind() {
	case reflect.Pointer:
		return object{"anyOf": []any{d.of(typ.Elem()), object{"type": "null"}}}
	case reflect.Slice:
		return object{"type": []string{"array", "null"}, "items": d.of(typ.Elem())}
	case reflect.Array:
		return object{"type": "array", "items": d.of(typ.Elem()), "minItems": typ.Len(), "maxItems": typ.Len()}
	case reflect.Map:
		return object{"type": []string{"object", "null"}, "additionalProperties": d.of(typ.Elem())}
	case reflect.Interface:
		return object{}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer"}
	case reflect.Uint64:
		return object{"type": "integer", "minimum": 0}
	case reflect.Struct:
		return d.struc(typ)
	}
	panic("no schema is known of " + typ.String())
}

func (d *documenter) struc(typ reflect.Type) object {
	name := typ.Name()
	if name == "" {
		return object{"type": "object"}
	}
	if upper := strings.ToUpper(name[:1]) + name[1:]; upper != name { // a type of the requests alone; it may have the name of another but for that letter
		name = upper + "Body"
	}
	if _, ok := d.schemas[name]; !ok {
		s := object{"type": "object"}
		d.schemas[name] = s // before what it has: it may have itself
		properties := object{}
		var required []string
		for _, f := range reflect.VisibleFields(typ) {
			tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			if f.Anonymous || tag == "-" || tag == "" || shadowed(typ, f, tag) {
				continue
			}
			p := d.of(f.Type)
			owner := typ
			if len(f.Index) > 1 {
				owner = typ.FieldByIndex(f.Index[:len(f.Index)-1]).Type
			}
			if text := d.about[owner.Name()+"."+f.Name]; text != "" {
				p["description"] = oneLine(text)
			}
			properties[tag] = p
			if !d.input && !strings.Contains(options, "omitempty") && !strings.Contains(options, "omitzero") {
				required = append(required, tag)
			}
		}
		s["properties"] = properties
		if d.input {
			required = needed[name]
			s["additionalProperties"] = false
		}
		if len(required) > 0 {
			s["required"] = required
		}
		if text := d.about[typ.Name()]; text != "" {
			s["description"] = oneLine(text)
		}
	}
	return object{"$ref": "#/components/schemas/" + name}
}

// shadowed reports whether a field of an embedded struct gives way to one further out of the same name in JSON.
func shadowed(typ reflect.Type, f reflect.StructField, tag string) bool {
	return slices.ContainsFunc(reflect.VisibleFields(typ), func(other reflect.StructField) bool {
		name, _, _ := strings.Cut(other.Tag.Get("json"), ",")
		return name == tag && len(other.Index) < len(f.Index)
	})
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// whole is the schema of a value that is there: a list at the top is never null.
func (d *documenter) whole(v any) object {
	if o, ok := v.(anyOf); ok {
		return object{"anyOf": []any{d.whole(o.one), d.whole(o.other)}}
	}
	s := d.of(reflect.TypeOf(v))
	if many, ok := s["type"].([]string); ok {
		s["type"] = many[0]
	}
	return s
}

// query makes the parameters of an operation.
func (d *documenter) query(t *testing.T, text string) (all []any) {
	for _, word := range strings.Fields(text) {
		name, schema := word, object{"type": "string"}
		if n, enum, ok := strings.Cut(word, "="); ok {
			name, schema["enum"] = n, strings.Split(enum, "|")
		} else if n, ok := strings.CutSuffix(word, "*"); ok {
			name, schema = n, object{"type": "array", "items": schema}
		} else if n, typ, ok := strings.Cut(word, ":"); ok {
			name = n
			schema = map[string]object{
				"time": {"type": "string", "format": "date-time"}, "int": {"type": "integer", "minimum": 0}, "number": {"type": "number", "minimum": 0},
				"bool": {"type": "boolean"}, "span": {"type": "string", "pattern": "^[0-9]"},
			}[typ]
		}
		about, ok := parameters[name]
		if !ok {
			t.Errorf("parameter %s is not described", name)
		}
		all = append(all, object{"name": name, "in": "query", "description": about, "schema": schema, "allowEmptyValue": true})
	}
	return all
}

var inPath = regexp.MustCompile(`\{(\w+)\}`)

// describe makes one operation.
func (d *documenter) describe(t *testing.T, o operation) object {
	method, path, _ := strings.Cut(o.route, " ")
	params := d.query(t, o.query)
	for _, m := range inPath.FindAllStringSubmatch(path, -1) {
		params = append(params, object{"name": m[1], "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	summary, _, _ := strings.Cut(o.text, ". ")
	op := object{
		"operationId": operationID(o.route), "summary": strings.TrimSuffix(summary, "."), "description": o.text,
		"tags": []string{strings.Split(strings.TrimPrefix(path, "/api/v1/"), "/")[0]},
	}
	d.input = true
	switch o.in.(type) {
	case nil:
	case file:
		op["requestBody"] = object{"required": true, "content": object{"application/octet-stream": object{"schema": object{}}}}
	default:
		op["requestBody"] = object{"required": true, "content": object{"application/json": object{"schema": d.whole(o.in)}}}
	}
	d.input = false
	content := object{}
	switch out := o.out.(type) {
	case file:
		content["application/octet-stream"] = object{"schema": object{}}
	case many:
		content["application/x-ndjson"] = d.line(out.each)
	case orLines:
		content["application/json"], content["application/x-ndjson"] = object{"schema": d.whole(out.one)}, d.line(out.each)
	case eventsOf:
		content["text/event-stream"] = object{"schema": d.whole(out.each)}
	default:
		content["application/json"] = object{"schema": d.whole(o.out)}
	}
	ok := object{"description": "what was asked for", "content": content}
	responses := object{"200": ok, "default": object{"$ref": "#/components/responses/Refused"}}
	if o.tag {
		ok["headers"] = object{"ETag": object{"schema": object{"type": "string"}}}
		header := "If-Match"
		if method == "GET" {
			header = "If-None-Match"
			responses["304"] = object{"description": "it is still what the ETag is of"}
		} else {
			responses["412"] = object{"$ref": "#/components/responses/Refused"}
		}
		params = append(params, object{"name": header, "in": "header", "schema": object{"type": "string"}, "description": "the ETag of an earlier answer"})
	}
	if params != nil {
		op["parameters"] = params
	}
	op["responses"] = responses
	return op
}

// line is what one line of many is.
func (d *documenter) line(v any) object {
	return object{"schema": object{"anyOf": []any{d.whole(v), object{"$ref": "#/components/schemas/Error"}}}}
}

// operationID names an operation for programs that are made from the document: getCallsById.
func operationID(route string) string {
	method, path, _ := strings.Cut(route, " ")
	id := strings.ToLower(method)
	for _, part := range strings.FieldsFunc(strings.TrimPrefix(path, "/api/v1/"), func(r rune) bool { return r == '/' || r == '.' }) {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			part = "By" + strings.ToUpper(name[:1]) + strings.TrimSuffix(name[1:], "}")
		}
		id += strings.ToUpper(part[:1]) + part[1:]
	}
	return id
}

// document makes the document.
func document(t *testing.T) []byte {
	d := &documenter{about: comments(t), schemas: object{}}
	paths := object{}
	for _, o := range operations {
		method, path, _ := strings.Cut(o.route, " ")
		item, ok := paths[path].(object)
		if !ok {
			item = object{}
			paths[path] = item
		}
		item[strings.ToLower(method)] = d.describe(t, o)
	}
	text := func(about string) object { return object{"type": "string", "description": about} }
	d.schemas["Error"] = object{
		"type": "object", "required": []string{"error"}, "description": "An error.",
		"properties": object{"error": object{
			"type": "object", "required": []string{"code", "message"},
			"properties": object{"code": text("for programs: bad_request, unauthorized, forbidden, not_found, method_not_allowed, conflict, precondition_failed, too_often, failed and the like"), "message": text("for people")},
		}},
	}
	out, err := json.MarshalIndent(object{
		"openapi": "3.1.0",
		"info":    object{"title": "Ringfence", "version": "1", "description": aboutAPI},
		"servers": []any{object{"url": "/"}},
		"security": []any{
			object{"token": []string{}}, object{"session": []string{}},
		},
		"paths": paths,
		"components": object{
			"schemas": d.schemas,
			"responses": object{"Refused": object{
				"description": "It was refused, or failed. The status says which kind of error it is.",
				"content":     object{"application/json": object{"schema": object{"$ref": "#/components/schemas/Error"}}},
			}},
			"securitySchemes": object{
				"token":   object{"type": "http", "scheme": "bearer", "description": "a token of ringfence token add"},
				"session": object{"type": "apiKey", "in": "cookie", "name": "ringfence", "description": "who signed in at the console; under TLS the cookie is __Host-ringfence"},
			},
		},
	}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return append(out, '\n')
}

// The document has each route that is served and no other, and its schemas are those of the types.
func TestOpenAPI(t *testing.T) {
	served := slices.Sorted(slices.Values(Routes()))
	var documented []string
	for _, o := range operations {
		documented = append(documented, o.route)
	}
	slices.Sort(documented)
	if !slices.Equal(served, documented) {
		t.Errorf("the document has\n%s\nand served is\n%s", strings.Join(documented, "\n"), strings.Join(served, "\n"))
	}
	used := make(map[string]bool)
	for _, o := range operations {
		for _, word := range strings.Fields(o.query) {
			used[word[:strings.IndexAny(word+":", ":=*")]] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		if !used[name] {
			t.Errorf("parameter %s is described, and no operation has it", name)
		}
	}
	doc := document(t)
	if *update {
		if err := os.WriteFile("openapi.json", doc, 0o644); err != nil {
			t.Fatal(err)
		}
	} else if !bytes.Equal(doc, OpenAPI) {
		t.Error("openapi.json is not what the types are: go test ./console -run TestOpenAPI -update, and say in docs/api.md what changed")
	}
}
