package traffic

import (
	"fmt"
	"testing"
)

// Whatever contexts calls come in by, as many are kept as there is room for; what finds none is counted.
func TestContextsAreBounded(t *testing.T) {
	var c Contexts
	for i := range maxContexts + 10 {
		c.See(fmt.Sprint("context", i))
		c.See("context0") // is there: it needs no room
		c.See("")
	}
	if len(c.names) != maxContexts || c.Full() != 10 {
		t.Errorf("got %d contexts and %d counted as without room, want %d and 10", len(c.names), c.Full(), maxContexts)
	}
	if !c.Has("context0") || !c.Has("public") || c.Has(fmt.Sprint("context", maxContexts)) {
		t.Error("got another answer than what was seen, and public")
	}
}
