package desk

import (
	"context"
	"errors"
	"ringfence/console"
)

// errNotYet: to be replaced.
var errNotYet = errors.New("not yet")

func (d *Desk) Search(ctx context.Context, q console.SearchQuery) (*console.SearchPage, error) {
	return nil, errNotYet
}
func (d *Desk) Call(ctx context.Context, id string) (*console.CallDetail, error) {
	return nil, errNotYet
}
func (d *Desk) Activity(ctx context.Context, q console.ActivityQuery) (*console.Activity, error) {
	return nil, errNotYet
}
func (d *Desk) Ranges(ctx context.Context, q console.RangeQuery) (*console.RangeReport, error) {
	return nil, errNotYet
}
func (d *Desk) EffectOf(ctx context.Context, q console.EffectQuery) (*console.EntryEffect, error) {
	return nil, errNotYet
}
func (d *Desk) Correct(ctx context.Context, id string) (*console.Corrected, error) {
	return nil, errNotYet
}
