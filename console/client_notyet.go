package console

import (
	"context"
	"errors"
)

// errNotYet: to be replaced.
var errNotYet = errors.New("not yet")

func (c *Client) Users(ctx context.Context) ([]User, error)                 { return nil, errNotYet }
func (c *Client) AddUser(ctx context.Context, u NewUser) (*UserEdit, error) { return nil, errNotYet }
func (c *Client) SetUser(ctx context.Context, u UserSet) (*UserEdit, error) { return nil, errNotYet }
func (c *Client) RemoveUser(ctx context.Context, name string) (*UserEdit, error) {
	return nil, errNotYet
}
func (c *Client) Tokens(ctx context.Context) ([]Token, error)                  { return nil, errNotYet }
func (c *Client) AddToken(ctx context.Context, t NewToken) (*MadeToken, error) { return nil, errNotYet }
func (c *Client) RevokeToken(ctx context.Context, id string) (*Token, error)   { return nil, errNotYet }
func (c *Client) Sessions(ctx context.Context) ([]Session, error)              { return nil, errNotYet }
func (c *Client) EndSession(ctx context.Context, id string) error              { return errNotYet }
func (c *Client) Audit(ctx context.Context, q AuditQuery, yield func(AuditEntry) error) error {
	return errNotYet
}
