package eslbridge

import "ringfence/screening"

// What the bridges have in common lies in screening. These are its names as they read here.
type (
	Screener  = screening.Screener
	StarCoder = screening.StarCoder
	Dialler   = screening.Dialler
	Inquiry   = screening.Inquiry
	Facts     = screening.Facts
	Verdict   = screening.Verdict
	Sound     = screening.Sound
	Challenge = screening.Challenge
	Question  = screening.Question
	Refusal   = screening.Refusal
	Result    = screening.Result
	Keyed     = screening.Keyed
	Held      = screening.Held
	Options   = screening.Options
	Counters  = screening.Counters
)

// How a caller met a challenge.
const (
	NotAsked     = screening.NotAsked
	KeyedLeft    = screening.KeyedLeft
	KeyedNothing = screening.KeyedNothing
	KeyedWrong   = screening.KeyedWrong
	KeyedRight   = screening.KeyedRight
)

// Reasons of a fail-open.
const (
	FailDeadline = screening.FailDeadline
	FailLate     = screening.FailLate
	FailWire     = screening.FailWire
	FailCommand  = screening.FailCommand
	FailPanic    = screening.FailPanic
	FailLimit    = screening.FailLimit
	FailStopping = screening.FailStopping
	FailUnheard  = screening.FailUnheard
)

// MaxDeadline is the longest a decision may take.
const MaxDeadline = screening.MaxDeadline

// Listen opens the screening port.
var Listen = screening.Listen

// Sounds are several files played behind each other.
var Sounds = screening.Sounds
