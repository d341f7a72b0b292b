package console

import (
	"encoding/json"
	"errors"
	"net/http"
)

// What can be wrong with a request. The text of the wrapping error is for the person who asked.
var (
	ErrBad      = errors.New("bad request")
	ErrNotFound = errors.New("not found")
	ErrConflict = errors.New("conflict")
)

// problem is an error that reads as its text alone and is one of the kinds above.
type problem struct {
	kind error
	text string
}

func (p *problem) Error() string { return p.text }
func (p *problem) Unwrap() error { return p.kind }

// Bad is an error that is the asker's mistake.
func Bad(text string) error { return &problem{ErrBad, text} }

// NotFound is an error about something that does not exist.
func NotFound(text string) error { return &problem{ErrNotFound, text} }

// Conflict is an error about something that is not as the request would need it.
func Conflict(text string) error { return &problem{ErrConflict, text} }

// errorBody is how an error travels.
type errorBody struct {
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

func writeError(w http.ResponseWriter, err error) {
	status, code := http.StatusInternalServerError, "failed"
	switch {
	case errors.Is(err, ErrBad):
		status, code = http.StatusBadRequest, "bad_request"
	case errors.Is(err, ErrNotFound):
		status, code = http.StatusNotFound, "not_found"
	case errors.Is(err, ErrChanged):
		status, code = http.StatusPreconditionFailed, "precondition_failed"
	case errors.Is(err, ErrConflict):
		status, code = http.StatusConflict, "conflict"
	case errors.Is(err, ErrForbidden):
		status, code = http.StatusForbidden, "forbidden"
	}
	writeErrorCode(w, status, code, err.Error())
}

func writeErrorCode(w http.ResponseWriter, status int, code, message string) {
	var b errorBody
	b.Error.Code, b.Error.Message = code, message
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(b)
}

// readError turns an error body back into an error of the same kind.
func readError(status int, body []byte) error {
	var b errorBody
	if json.Unmarshal(body, &b) != nil || b.Error.Message == "" {
		return errors.New("the daemon answered " + http.StatusText(status))
	}
	switch b.Error.Code {
	case "bad_request":
		return Bad(b.Error.Message)
	case "not_found":
		return NotFound(b.Error.Message)
	case "precondition_failed":
		return Changed(b.Error.Message)
	case "conflict":
		return Conflict(b.Error.Message)
	case "forbidden":
		return Forbidden(b.Error.Message)
	}
	return errors.New(b.Error.Message)
}
