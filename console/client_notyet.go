package console

import (
	"context"
	"errors"
)

// errNotYet: to be replaced.
var errNotYet = errors.New("not yet")

func (c *Client) Search(ctx context.Context, q SearchQuery) (*SearchPage, error) {
	return nil, errNotYet
}
func (c *Client) Call(ctx context.Context, id string) (*CallDetail, error) { return nil, errNotYet }
func (c *Client) Activity(ctx context.Context, q ActivityQuery) (*Activity, error) {
	return nil, errNotYet
}

func (c *Client) Ranges(ctx context.Context, q RangeQuery) (*RangeReport, error) {
	return nil, errNotYet
}

func (c *Client) EffectOf(ctx context.Context, q EffectQuery) (*EntryEffect, error) {
	return nil, errNotYet
}

func (c *Client) Correct(ctx context.Context, id string) (*Corrected, error) { return nil, errNotYet }
