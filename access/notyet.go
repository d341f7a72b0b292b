package access

import (
	"context"
	"errors"
	"ringfence/console"
)

// errNotYet: to be replaced.
var errNotYet = errors.New("not yet")

func (b *Book) Users(ctx context.Context) ([]console.User, error) { return nil, errNotYet }
func (b *Book) AddUser(ctx context.Context, u console.NewUser) (*console.UserEdit, error) {
	return nil, errNotYet
}
func (b *Book) SetUser(ctx context.Context, u console.UserSet) (*console.UserEdit, error) {
	return nil, errNotYet
}
func (b *Book) RemoveUser(ctx context.Context, name string) (*console.UserEdit, error) {
	return nil, errNotYet
}
func (b *Book) Tokens(ctx context.Context) ([]console.Token, error) { return nil, errNotYet }
func (b *Book) AddToken(ctx context.Context, t console.NewToken) (*console.MadeToken, error) {
	return nil, errNotYet
}
func (b *Book) RevokeToken(ctx context.Context, id string) (*console.Token, error) {
	return nil, errNotYet
}
func (b *Book) Sessions(ctx context.Context) ([]console.Session, error) { return nil, errNotYet }
func (b *Book) EndSession(ctx context.Context, id string) error         { return errNotYet }
func (b *Book) Audit(ctx context.Context, q console.AuditQuery, yield func(console.AuditEntry) error) error {
	return errNotYet
}
