package console

import (
	"encoding/json"
)

// detail is what a CallDetail has besides its record, whose way of being written would else be that of the whole.
type detail struct {
	Policy string     `json:"policy,omitempty"`
	Steps  []Step     `json:"steps,omitempty"`
	Saw    []Finding  `json:"saw,omitempty"`
	Around []TenCalls `json:"around,omitempty"`
	Known  []string   `json:"known_to,omitempty"`
}

// MarshalJSON writes the record with the detail behind it, as one object.
func (c CallDetail) MarshalJSON() ([]byte, error) {
	out, err := json.Marshal(c.Record)
	if err != nil {
		return nil, err
	}
	rest, err := json.Marshal(detail{c.Policy, c.Steps, c.Saw, c.Around, c.Known})
	if err != nil || len(rest) == len("{}") {
		return out, err
	}
	out[len(out)-1] = ','
	return append(out, rest[1:]...), nil
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (c *CallDetail) UnmarshalJSON(data []byte) error {
	var d detail
	if err := json.Unmarshal(data, &d); err != nil {
		return err
	}
	*c = CallDetail{Policy: d.Policy, Steps: d.Steps, Saw: d.Saw, Around: d.Around, Known: d.Known}
	return json.Unmarshal(data, &c.Record)
}
