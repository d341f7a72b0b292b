package desk

import (
	"fmt"
	"strings"
	"time"

	"ringfence/pseudonym"
	"ringfence/storage"
)

// Who was forgotten on this node does not come back from another one that was not told of it: what other nodes say of them from before is left out.

// whyForgotten is why an entry of another node is not taken. It does not name whose it is.
const whyForgotten = "it is of somebody who was forgotten here: say `ringfence forget` on that node too"

// forgottenHere is who was forgotten, nil for nobody. It is not changed any more.
func (d *Desk) forgottenHere() *pseudonym.Forgotten {
	d.forgotten.mu.Lock()
	defer d.forgotten.mu.Unlock()
	if !d.forgotten.read {
		if ago := d.o.Now().Sub(d.forgotten.tried); ago >= 0 && ago < time.Minute {
			return nil // it is asked for each thing that another node says
		}
		if err := d.readForgotten(); err != nil {
			d.forgotten.tried = d.o.Now()
			d.o.Log.Error("who was forgotten cannot be told, so that other nodes may bring them back", "error", err)
			return nil
		}
	}
	if d.forgotten.all.Len() == 0 {
		return nil
	}
	return d.forgotten.all
}

// readForgotten reads the file of who was forgotten. d.forgotten.mu is held.
func (d *Desk) readForgotten() error {
	key, err := pseudonym.Open(d.conf.Data, true)
	if err != nil {
		return err
	}
	all, err := pseudonym.OpenForgotten(d.conf.Data, key)
	if err != nil {
		return err
	}
	d.forgotten.all, d.forgotten.read = all, true
	return nil
}

// readForgottenAgain has the next look at who was forgotten read the file.
func (d *Desk) readForgottenAgain() {
	d.forgotten.mu.Lock()
	defer d.forgotten.mu.Unlock()
	d.forgotten.read = false
}

// IsForgottenFact reports whether what another node has learnt is of somebody who was forgotten here since.
func (d *Desk) IsForgottenFact(table storage.StampTable, key string, at time.Time) bool {
	forgotten := d.forgottenHere()
	if forgotten == nil {
		return false
	}
	s := subject{plan: d.force.Rules().Policy.Plan(), is: forgotten.Has}
	return s.inStamp(table, &storage.Stamp{Key: key, At: at})
}

// forgottenReport is an error if a report of another node is of somebody who was forgotten here since.
func (d *Desk) forgottenReport(r *storage.Report) error {
	forgotten := d.forgottenHere()
	if forgotten == nil {
		return nil
	}
	s := subject{plan: d.force.Rules().Policy.Plan(), is: forgotten.Has}
	if s.inReport(r) {
		return fmt.Errorf("a report of another node is not taken: %s", whyForgotten)
	}
	return nil
}

// isForgotten reports whether a row of another node is of a number that was taken off the lists here, and out of all that was known of them, since.
func (c *mergeCheck) isForgotten(row *storage.Row) bool {
	if c.forgotten == nil {
		return false
	}
	text := row.Pattern
	if c.own {
		_, text, _ = storage.CutOwn(text)
	}
	at := row.Added
	if row.Gone {
		at = row.Stamp.Wall
	}
	return time.UnixMilli(at).Before(c.forgotten.Lists(text))
}

// otherNodes are the names of the other nodes of the cluster, for a note on what this one alone has done; "" for none.
func (d *Desk) otherNodes() string {
	if d.o.Cluster == nil {
		return ""
	}
	var names []string
	for _, n := range d.o.Cluster.Report().Nodes {
		names = append(names, n.Name)
	}
	return strings.Join(names, ", ")
}
