package console

import (
	"context"
	"net"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"
)

// Who asks through the unix socket is who opened it: the kernel tells, and nothing that a request says of it counts.

type peerKey struct{}

// WithPeer is for http.Server.ConnContext: it keeps in a connection's context whose it is.
func WithPeer(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, peerKey{}, peerName(conn))
}

// peerName is the login name of the process at the other end of a unix socket, "uid N" if that has none, "" of any other
// connection.
func peerName(conn net.Conn) string {
	c, ok := conn.(*net.UnixConn)
	if !ok {
		return ""
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return ""
	}
	name := ""
	raw.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			return
		}
		uid := strconv.FormatUint(uint64(cred.Uid), 10)
		name = "uid " + uid
		if u, err := user.LookupId(uid); err == nil {
			name = u.Username
		}
	})
	return name
}

// PeerOf is what WithPeer kept.
func PeerOf(ctx context.Context) string {
	name, _ := ctx.Value(peerKey{}).(string)
	return name
}
