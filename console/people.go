package console

import (
	"context"
	"time"
)

// People is who may use the console and the API.
type People interface {
	Users(ctx context.Context) ([]User, error)
	// AddUser makes a user; without a password they get a one-time link to choose one. SetUser changes what is not null. RemoveUser ends their
	// sessions as well, and revokes the tokens that they made.
	AddUser(ctx context.Context, u NewUser) (*UserEdit, error)
	SetUser(ctx context.Context, u UserSet) (*UserEdit, error)
	RemoveUser(ctx context.Context, name string) (*UserEdit, error)
	// Tokens are those of scripts. AddToken is the only time that the secret is to be seen.
	Tokens(ctx context.Context) ([]Token, error)
	AddToken(ctx context.Context, t NewToken) (*MadeToken, error)
	RevokeToken(ctx context.Context, id string) (*Token, error)
	// Sessions are those signed in now, one's own alone for who is no admin. EndSession ends one, by its public id.
	Sessions(ctx context.Context) ([]Session, error)
	EndSession(ctx context.Context, id string) error
	// Audit calls yield for each thing that somebody changed, the newest first.
	Audit(ctx context.Context, q AuditQuery, yield func(AuditEntry) error) error
}

// User is a person with an account.
type User struct {
	Name     string    `json:"name"`
	Role     Role      `json:"role"`
	Lines    []string  `json:"lines,omitempty"`
	Customer string    `json:"customer,omitempty"`
	Added    time.Time `json:"added"`
	LastSeen time.Time `json:"last_seen,omitzero"`
	Password bool      `json:"password"`           // there is one
	Passkeys []string  `json:"passkeys,omitempty"` // their names
	OIDC     bool      `json:"oidc,omitempty"`     // made by the sign-in of another server, which says the role each time
	Invited  time.Time `json:"invited,omitzero"`   // until when the one-time link counts
	Sessions int       `json:"sessions"`
}

// NewUser is a user to make.
type NewUser struct {
	Name     string   `json:"name"`
	Role     Role     `json:"role"`
	Lines    []string `json:"lines,omitempty"`
	Customer string   `json:"customer,omitempty"`
	Password string   `json:"password,omitempty"`
}

// UserSet says what of a user shall be. What is null stays.
type UserSet struct {
	Name     string    `json:"name"`
	Role     *Role     `json:"role,omitempty"`
	Lines    *[]string `json:"lines,omitempty"`
	Customer *string   `json:"customer,omitempty"`
	Password *string   `json:"password,omitempty"` // "": none, and a one-time link to choose one
}

// UserEdit is what became of a user: added, updated, unchanged, removed or absent.
type UserEdit struct {
	User
	Change string   `json:"change"`
	Link   string   `json:"link,omitempty"`   // to choose a password once, as a path under the console's address
	Tokens []string `json:"tokens,omitempty"` // names of those that went with a user who was removed
}

// Token is what a script shows instead of a password. Role, lines and customer are what it is good for now: never more than the user who made it may.
type Token struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Role     Role      `json:"role"`
	Lines    []string  `json:"lines,omitempty"`
	Customer string    `json:"customer,omitempty"`
	Added    time.Time `json:"added"`
	Who      string    `json:"who,omitempty"`     // who made it
	User     string    `json:"user,omitempty"`    // the user of the console on whose behalf that was; none for one that was made at the machine itself
	Nothing  bool      `json:"nothing,omitempty"` // it is good for nothing: the user may not do any of it now
	Expires  time.Time `json:"expires,omitzero"`
	LastUsed time.Time `json:"last_used,omitzero"` // to the minute
}

// NewToken is a token to make.
type NewToken struct {
	Name     string    `json:"name"`
	Role     Role      `json:"role"`
	Lines    []string  `json:"lines,omitempty"`
	Customer string    `json:"customer,omitempty"`
	Expires  time.Time `json:"expires,omitzero"`
}

// MadeToken is a token with its secret, which is kept nowhere.
type MadeToken struct {
	Token
	Secret string `json:"secret"`
}

// Session is somebody signed in.
type Session struct {
	ID      string    `json:"id"` // public: it signs nobody in
	User    string    `json:"user"`
	Role    Role      `json:"role"`
	Began   time.Time `json:"began"`
	Seen    time.Time `json:"seen"` // to the minute
	Address string    `json:"address"`
	Browser string    `json:"browser,omitempty"` // made inert, 100 characters at most
	Own     bool      `json:"own,omitempty"`     // that of who asks
}

// AuditQuery says which changes to give.
type AuditQuery struct {
	Who          string
	What         string // the begin of it, as "list" or "list add"
	Since, Until time.Time
	Limit        int    // 0: 100
	Cursor       string // the ID of the last one of an earlier answer
}

// AuditEntry is one change that somebody made, or tried to sign in for.
type AuditEntry struct {
	ID      string    `json:"id"`
	Time    time.Time `json:"time"`
	Who     string    `json:"who"`
	Way     string    `json:"way"`
	Address string    `json:"address,omitempty"`
	What    string    `json:"what"`              // "list add", "policy put", "sign in"
	Subject string    `json:"subject,omitempty"` // what it was about: a list, a user, a report
	Detail  string    `json:"detail,omitempty"`  // one line, 500 characters at most
	Change  uint64    `json:"change,omitempty"`  // what undo takes
	Failed  string    `json:"failed,omitempty"`  // why it was refused
}
