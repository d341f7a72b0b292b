package traces

// World is what a made-up enterprise is like: its size, who calls it, and how campaigns go about. A pair is the lowest and the highest
// of what is drawn for each trace.
type World struct {
	Name string

	perDay    [2]float64 // honest calls of a weekday that come by themselves
	strangers [2]float64 // how many of these are strangers', to regular ones of 0.45 to 0.8
	firms     [2]float64 // and of firms with a block of numbers
	rare      float64    // and of the smaller classes
	landlines float64    // how much of the callers have a fixed number
	people    [2]float64 // who calls again and again, for each honest call of a day
	centres   [2]float64 // calls of an honest call centre a day
	couriers  float64    // rounds of couriers on a weekday
	storm     [2]float64 // calls of a call-back storm
	platforms int        // that lend couriers a number for each call, at most

	large  float64 // how many of the campaigns have more than 200 calls,
	drips  float64 // drip,
	trunks float64 // come by both trunks,
	night  float64 // and at any hour
	small  float64 // of heads have no more than ten numbers
	plan   []plan  // how many of each sort
}

// plan is how many campaigns come from a source, at least and at most.
type plan struct {
	source    string
	low, high int
}

// Harsh is a big site, on which everything that is hard for a detector is common: calls so many that strangers of one range come by chance,
// firms that nobody knows with blocks of numbers, campaigns that drip and that come by two trunks.
var Harsh = &World{
	Name: "harsh", perDay: [2]float64{1500, 6000}, strangers: [2]float64{0.12, 0.35}, firms: [2]float64{0.02, 0.09}, rare: 0.05, landlines: 0.2,
	people: [2]float64{0.6, 2}, centres: [2]float64{3, 30}, couriers: 7, storm: [2]float64{50, 500}, platforms: 2,
	small: 0.5, large: 0.06, drips: 0.06, trunks: 0.2, night: 0.15,
	plan: []plan{
		{FromHead, 8, 16},
		{FromHeads, 2, 5},
		{FromSublet, 1, 3},
		{FromNeighbours, 1, 4},
		{FromMobiles, 3, 7},
		{FromAbroad, 0, 3},
		{FromOne, 2, 6},
		{FromAnywhere, 4, 10},
	},
}

// Ordinary is an enterprise that is mostly called by people who deal with it. It is calibrated on what was measured elsewhere, on traces
// of others: see docs/measured.md.
var Ordinary = &World{
	Name: "ordinary", perDay: [2]float64{400, 1600}, strangers: [2]float64{0.03, 0.09}, firms: [2]float64{0.01, 0.03}, rare: 0.05, landlines: 0.12,
	people: [2]float64{0.3, 0.8}, centres: [2]float64{1, 4}, couriers: 2, storm: [2]float64{30, 200}, platforms: 0,
	small: 0.1, large: 0.1, drips: 0.02, trunks: 0.05, night: 0.05,
	plan: []plan{
		{FromHead, 8, 16},
		{FromHeads, 3, 6},
		{FromSublet, 1, 3},
		{FromNeighbours, 0, 2},
		{FromMobiles, 1, 2},
		{FromAbroad, 0, 1},
		{FromOne, 1, 3},
		{FromAnywhere, 2, 6},
	},
}

// Worlds lists them.
func Worlds() []*World { return []*World{Ordinary, Harsh} }
