package bridge

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// queued is how long a connection had been complete before we took it: the time since the handshake's
// last ACK, the only packet that the switch has sent by then (it waits for our `connect`). Were this
// process stopped for a while, calls that waited in the accept queue would otherwise look new, and we
// would act on calls that the switch's guard has long taken away.
func queued(conn net.Conn) time.Duration {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return 0
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0
	}
	var age time.Duration
	raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			age = time.Duration(info.Last_ack_recv) * time.Millisecond
		}
	})
	return age
}
