package listfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// phoneBlockNumber is one number of PhoneBlock's list.
type phoneBlockNumber struct {
	Phone  string `json:"phone"`
	Rating string `json:"rating"`
	Votes  *int   `json:"votes"`
}

// readPhoneBlock reads {"numbers":[{"phone","rating","votes"}],"version"}. A number without votes any more is to be
// removed, which is how an update says that.
func readPhoneBlock(in io.Reader, yield func(Line) error) error {
	dec := json.NewDecoder(in)
	wrong := func(err error) error {
		if err == nil {
			return errors.New(`it is not a list of PhoneBlock: {"numbers":[…]} is expected`)
		}
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("its JSON cannot be read at byte %d: %w", dec.InputOffset(), err)
	}
	if t, err := dec.Token(); t != json.Delim('{') {
		return wrong(err)
	}
	found := false
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return wrong(err)
		}
		if key != "numbers" {
			var skip json.RawMessage
			if err := dec.Decode(&skip); err != nil {
				return wrong(err)
			}
			continue
		}
		found = true
		if t, err := dec.Token(); t != json.Delim('[') {
			return wrong(err)
		}
		for no := 1; dec.More(); no++ {
			var raw json.RawMessage
			if err := dec.Decode(&raw); err != nil {
				return wrong(err)
			}
			l := Line{No: no}
			var n phoneBlockNumber
			if err := json.Unmarshal(raw, &n); err != nil {
				l.Fault = errors.New(`it is not {"phone":"…","rating":"…","votes":1}`)
			} else if n.Phone == "" {
				l.Fault = errors.New(`it has no "phone"`)
			} else {
				l.Number, l.Reason, l.SaysReason = n.Phone, phoneBlockReason(n), true
				l.Remove = n.Votes != nil && *n.Votes == 0
			}
			if err := yield(l); err != nil {
				return err
			}
		}
		if _, err := dec.Token(); err != nil {
			return wrong(err)
		}
	}
	if _, err := dec.Token(); err != nil {
		return wrong(err)
	}
	if !found {
		return wrong(nil)
	}
	return nil
}

func phoneBlockReason(n phoneBlockNumber) string {
	text := "PhoneBlock"
	if n.Rating != "" {
		text += ": " + n.Rating
	}
	if n.Votes != nil {
		text += fmt.Sprintf(", %d votes", *n.Votes)
	}
	return text
}
