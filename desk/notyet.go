package desk

import (
	"context"
	"errors"
	"ringfence/console"
)

// errNotYet: to be replaced.
var errNotYet = errors.New("not yet")

func (d *Desk) Policy(ctx context.Context) (*console.PolicyText, error) { return nil, errNotYet }
func (d *Desk) CheckPolicy(ctx context.Context, text string) (*console.ReloadReport, error) {
	return nil, errNotYet
}
func (d *Desk) PutPolicy(ctx context.Context, edit console.PolicyEdit) (*console.PolicyPut, error) {
	return nil, errNotYet
}
func (d *Desk) PolicyVersions(ctx context.Context, yield func(console.PolicyVersion) error) error {
	return errNotYet
}
func (d *Desk) PolicyVersion(ctx context.Context, id string) (*console.PolicyVersionText, error) {
	return nil, errNotYet
}
func (d *Desk) TryPolicy(ctx context.Context, q console.TryQuery) (*console.TryReport, error) {
	return nil, errNotYet
}
