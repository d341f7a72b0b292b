package access

import "ringfence/console"

const (
	viewer   = console.Viewer
	reviewer = console.Reviewer
	admin    = console.Admin
)

// rule says who may use a method of console.Desk.
type rule struct {
	least console.Role // of those who see everything
	bound console.Role // of those who are bound to lines; "": to them it is not there. What they get of it is for the method here to say.
	what  string       // how the audit calls what it changes; "": it changes nothing
}

// nobody is what is not there for those who are bound to lines.
const nobody console.Role = ""

// rules has a row for each method of console.Desk (TestRulesHaveAll).
var rules = map[string]rule{
	// Calls: those to their own lines, without what comes of other customers' calls.
	"Journal":       {viewer, viewer, ""},
	"Search":        {viewer, viewer, ""},
	"Call":          {viewer, viewer, ""},
	"Follow":        {viewer, viewer, ""},
	"Usage":         {viewer, viewer, ""},
	"Correct":       {reviewer, reviewer, "call correct"},
	"EffectOf":      {viewer, reviewer, ""}, // on their own lists
	"Check":         {viewer, viewer, ""},   // calls to their own lines
	"Activity":      {viewer, nobody, ""},
	"Ranges":        {viewer, nobody, ""},
	"Held":          {viewer, nobody, ""},
	"DeleteRecords": {admin, nobody, "journal delete"},
	"Forget":        {admin, nobody, "forget"},

	// Lists: LINE:blacklist and LINE:allowlist of their own lines.
	"Lists":         {viewer, viewer, ""},
	"ListsOf":       {viewer, viewer, ""},
	"Entries":       {viewer, viewer, ""},
	"AddEntries":    {reviewer, reviewer, "list add"},
	"RemoveEntries": {reviewer, reviewer, "list remove"},
	"Changes":       {viewer, viewer, ""},
	"History":       {viewer, viewer, ""},
	"Undo":          {reviewer, reviewer, "undo"}, // changes of lines: administrators
	"Import":        {reviewer, nobody, "list import"},
	"Feeds":         {viewer, nobody, ""},
	"FetchFeed":     {reviewer, nobody, "feed fetch"},
	"AcceptFeed":    {reviewer, nobody, "feed accept"},

	// Lines.
	"Lines":       {viewer, viewer, ""},
	"SetLine":     {admin, reviewer, "line set"}, // mode and notify
	"AddLines":    {admin, nobody, "line add"},
	"RemoveLines": {admin, nobody, "line remove"},
	"ImportLines": {admin, nobody, "line import"},
	"LineHistory": {viewer, nobody, ""},

	// Marks: those of calls to their own lines.
	"Reports":       {viewer, viewer, ""},
	"ShowReport":    {viewer, viewer, ""},
	"Report":        {reviewer, reviewer, "report add"},
	"ConfirmReport": {reviewer, reviewer, "report confirm"}, // to LINE:blacklist
	"DismissReport": {reviewer, reviewer, "report dismiss"},
	"LiftReport":    {reviewer, reviewer, "report lift"}, // from LINE:blacklist

	// What calls have taught.
	"Known":        {viewer, nobody, ""},
	"ImportKnown":  {admin, nobody, "known import"},
	"ForgetKnown":  {admin, nobody, "known forget"},
	"FitScore":     {viewer, nobody, ""},
	"Detectors":    {viewer, nobody, ""},
	"Breakers":     {viewer, nobody, ""},
	"ResetBreaker": {admin, nobody, "detector reset"},
	"PinBreaker":   {admin, nobody, "detector pin"},
	"UnpinBreaker": {admin, nobody, "detector unpin"},

	// The policy.
	"Policy":         {viewer, nobody, ""},
	"CheckPolicy":    {viewer, nobody, ""},
	"PolicyVersions": {viewer, nobody, ""},
	"PolicyVersion":  {viewer, nobody, ""},
	"TryPolicy":      {reviewer, nobody, ""}, // it takes a processor for some seconds
	"PutPolicy":      {admin, nobody, "policy put"},
	"Reload":         {admin, nobody, "policy reload"},

	// The daemon.
	"Status": {viewer, viewer, ""}, // whether calls are screened at all
	"Pause":  {admin, nobody, "pause"},
	"Resume": {admin, nobody, "resume"},
	"Backup": {admin, nobody, "backup"},
	"Verify": {admin, nobody, ""},

	// The other nodes.
	"Cluster":      {viewer, nobody, ""},
	"LeaveCluster": {admin, nobody, "cluster leave"},
	"DecideHeld":   {admin, nobody, "cluster held"},
	"UndoNode":     {admin, nobody, "cluster undo"},

	// People. Everybody has sessions of their own, and may choose another password.
	"Users":       {admin, nobody, ""},
	"AddUser":     {admin, nobody, "user add"},
	"SetUser":     {viewer, viewer, "user set"},
	"RemoveUser":  {admin, nobody, "user remove"},
	"Tokens":      {admin, nobody, ""},
	"AddToken":    {admin, nobody, "token add"},
	"RevokeToken": {admin, nobody, "token revoke"},
	"Sessions":    {viewer, viewer, ""},
	"EndSession":  {viewer, viewer, "session end"},
	"Audit":       {admin, nobody, ""},
}

// asksAgain is what lets somebody in later, as an account or a token does: who asks for it by a session must have signed in a moment ago, since the session
// may be one that its owner left open.
var asksAgain = map[string]bool{"AddUser": true, "SetUser": true, "AddToken": true}

// byLink is what the link of a notice is good for.
var byLink = map[string]bool{"Call": true, "Correct": true}
