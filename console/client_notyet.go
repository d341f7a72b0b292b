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

func (c *Client) Policy(ctx context.Context) (*PolicyText, error) { return nil, errNotYet }

func (c *Client) CheckPolicy(ctx context.Context, text string) (*ReloadReport, error) {
	return nil, errNotYet
}

func (c *Client) PutPolicy(ctx context.Context, edit PolicyEdit) (*PolicyPut, error) {
	return nil, errNotYet
}

func (c *Client) PolicyVersions(ctx context.Context, yield func(PolicyVersion) error) error {
	return errNotYet
}

func (c *Client) PolicyVersion(ctx context.Context, id string) (*PolicyVersionText, error) {
	return nil, errNotYet
}

func (c *Client) TryPolicy(ctx context.Context, q TryQuery) (*TryReport, error) {
	return nil, errNotYet
}
