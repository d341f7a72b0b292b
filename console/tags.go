package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// ErrChanged is about something that is not any more what the request was made for. It is an ErrConflict.
var ErrChanged = fmt.Errorf("changed since: %w", ErrConflict)

// Changed is an error about something that changed since whoever asks looked at it.
func Changed(text string) error { return &problem{ErrChanged, text} }

// ListTag travels in the context of what is asked of one list: it says of which state of the list the request was made, and takes back in which it is.
// States are texts without meaning; each edit makes another, hits and what expires make none.
type ListTag struct {
	Match []string // the list must be in one of these states; nil: in any. Else an edit is refused (ErrChanged), before anything is done
	Now   string   // set by who answers: of Entries the state before the first entry was read, of an edit the one after it; "" if there is no such list
}

type listTagKey struct{}

// WithListTag puts a tag into a context.
func WithListTag(ctx context.Context, t *ListTag) context.Context {
	return context.WithValue(ctx, listTagKey{}, t)
}

// ListTagOf is what WithListTag put there, nil for nothing.
func ListTagOf(ctx context.Context) *ListTag {
	t, _ := ctx.Value(listTagKey{}).(*ListTag)
	return t
}

// anyTag is what If-Match says of a list that must be there, whatever is in it.
const anyTag = "*"

// Allows reports whether an edit may be made of a list in a state, "" if there is no such list.
func (t *ListTag) Allows(now string) bool {
	return t == nil || t.Match == nil || slices.Contains(t.Match, now) || now != "" && slices.Contains(t.Match, anyTag)
}

// tagged puts what If-Match says into a request's context.
func tagged(r *http.Request) (*http.Request, *ListTag) {
	t := &ListTag{}
	if values := r.Header.Values("If-Match"); len(values) > 0 {
		t.Match = append([]string{}, tagsOf(values)...)
	}
	return r.WithContext(WithListTag(r.Context(), t)), t
}

// tagsOf reads ETags as headers have them. Weak ones are of none of ours.
func tagsOf(values []string) (tags []string) {
	for _, value := range values {
		for text := range strings.SplitSeq(value, ",") {
			text = strings.TrimSpace(text)
			if tag, err := strconv.Unquote(text); err == nil && text[0] == '"' {
				tags = append(tags, tag)
			} else if text == anyTag {
				tags = append(tags, anyTag)
			}
		}
	}
	return tags
}

func setTag(w http.ResponseWriter, t *ListTag) {
	if t.Now != "" {
		w.Header().Set("ETag", strconv.Quote(t.Now))
	}
}

var errNotModified = errors.New("not modified")

// entries serves the entries of a list.
func entries(d Desk, w http.ResponseWriter, r *http.Request) {
	r, tag := tagged(r)
	have := tagsOf(r.Header.Values("If-None-Match"))
	first := true
	begin := func() error {
		if !first {
			return nil
		}
		first = false
		setTag(w, tag)
		if tag.Now != "" && (slices.Contains(have, tag.Now) || slices.Contains(have, anyTag)) {
			return errNotModified
		}
		return nil
	}
	stream(w, func(yield func(any) error) error {
		err := d.Entries(r.Context(), r.PathValue("list"), func(e ListEntry) error {
			if err := begin(); err != nil {
				return err
			}
			return yield(e)
		})
		if err == nil {
			err = begin() // of an empty list
		}
		if errors.Is(err, errNotModified) {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
		return err
	})
}

// edited serves an edit of a list, with the state that it is in then.
func edited[Q any](edit func(r *http.Request, q Q) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r, tag := tagged(r)
		answer(func(r *http.Request, q Q) (any, error) {
			v, err := edit(r, q)
			if err == nil {
				setTag(w, tag)
			}
			return v, err
		})(w, r)
	}
}
