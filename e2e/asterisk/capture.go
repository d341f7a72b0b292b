package asterisk

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// Packet is a UDP datagram that was on loopback.
type Packet struct {
	At       time.Time // the kernel's stamp
	From, To netip.AddrPort
	Data     []byte
}

// Capture sees UDP datagrams on loopback (packet(7); root, or CAP_NET_RAW).
type Capture struct {
	fd    int
	each  func(Packet)
	done  chan struct{}
	ended chan struct{}
}

// StartCapture has each called with every datagram to or from some ports, one at a time, until Stop.
func StartCapture(each func(Packet), ports ...int) (*Capture, error) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(htons(unix.ETH_P_IP)))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoCapture, err)
	}
	c := &Capture{fd: fd, each: each, done: make(chan struct{}), ended: make(chan struct{})}
	// Everything on loopback is seen twice, going out and coming in; a test that looked at it all would slow down what it
	// measures.
	only := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: skfAdOff + skfAdPktType},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.PACKET_OUTGOING, Jt: 2},
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 9}, // the protocol of an IPv4 packet
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.IPPROTO_UDP, Jt: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0xffff},
	}
	err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(only)), Filter: &only[0]})
	if e := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_IP), Ifindex: lo.Index}); e != nil {
		err = e
	}
	for _, o := range [][3]int{{unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1}, {unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 32 << 20}} {
		if e := unix.SetsockoptInt(fd, o[0], o[1], o[2]); e != nil && o[1] == unix.SO_TIMESTAMPNS {
			err = e
		}
	}
	if e := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000}); e != nil {
		err = e
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("packets cannot be captured: %w", err)
	}
	wanted := map[uint16]bool{}
	for _, p := range ports {
		wanted[uint16(p)] = true
	}
	go c.read(wanted)
	return c, nil
}

// What a filter may ask besides the packet (linux/filter.h).
const (
	skfAdOff     = 0xfffff000
	skfAdPktType = 4
)

func htons(n uint16) uint16 { return n<<8 | n>>8 }

// read takes packets until Stop. The receive timeout lets it see that.
func (c *Capture) read(wanted map[uint16]bool) {
	defer close(c.ended)
	buf, oob := make([]byte, 64<<10), make([]byte, 256)
	for {
		select {
		case <-c.done:
			return
		default:
		}
		n, oobn, _, _, err := unix.Recvmsg(c.fd, buf, oob, 0)
		if err != nil {
			continue // nothing came
		}
		p, ok := parseIPv4(buf[:n])
		if ok && (wanted[p.From.Port()] || wanted[p.To.Port()]) {
			p.At = stampOf(oob[:oobn])
			c.each(p)
		}
	}
}

// stampOf is when the kernel saw a packet.
func stampOf(oob []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return time.Now()
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= 16 {
			return time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
		}
	}
	return time.Now()
}

// parseIPv4 reads a whole UDP datagram out of an IPv4 packet; fragments are left out.
func parseIPv4(b []byte) (Packet, bool) {
	if len(b) < 20 || b[0]>>4 != 4 || b[9] != unix.IPPROTO_UDP || binary.BigEndian.Uint16(b[6:])&0x3fff != 0 {
		return Packet{}, false
	}
	head := int(b[0]&15) * 4
	if len(b) < head+8 {
		return Packet{}, false
	}
	udp := b[head:]
	from, to := netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	size := min(int(binary.BigEndian.Uint16(udp[4:])), len(udp))
	if size < 8 {
		return Packet{}, false
	}
	return Packet{
		From: netip.AddrPortFrom(from, binary.BigEndian.Uint16(udp)),
		To:   netip.AddrPortFrom(to, binary.BigEndian.Uint16(udp[2:])),
		Data: append([]byte(nil), udp[8:size]...),
	}, true
}

// Lost is how many packets of loopback the kernel had no room for since it was asked last.
func (c *Capture) Lost() int {
	stats, err := unix.GetsockoptTpacketStats(c.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0
	}
	return int(stats.Drops)
}

// Stop ends the capture: each is not called any more.
func (c *Capture) Stop() {
	close(c.done)
	<-c.ended
	unix.Close(c.fd)
}
