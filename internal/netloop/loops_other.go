//go:build !linux

package netloop

import (
	"errors"
	"net"
	"net/netip"
	"time"
)

// Loops makes links. The zero value is ready to use.
type Loops struct {
	// Coalesce is how long output waits for more, so that fewer, larger writes leave. It is set before the first link is made.
	Coalesce time.Duration
}

// New returns the Link between conn and peer, which owns conn from then on. It does nothing until Start.
func (s *Loops) New(conn net.Conn, peer Peer) Link { return NewPortable(conn, peer, s.Coalesce) }

// Looped is the Link of a connection that a loop runs: there is none on this system.
type Looped struct{ Portable }

// Hand gives the link to another peer.
func (l *Looped) Hand(Peer) {}

// InTime does nothing.
func (l *Looped) InTime() {}

// Conn takes the connection out of the loop.
func (l *Looped) Conn([]byte) (net.Conn, error) { return nil, errors.ErrUnsupported }

// Door accepts connections straight into loops: there are none on this system.
type Door struct{}

// NewDoor returns errors.ErrUnsupported, and leaves l as it is.
func NewDoor(*net.TCPListener) (*Door, error) { return nil, errors.ErrUnsupported }

// Close does nothing.
func (d *Door) Close() error { return nil }

// Accept returns errors.ErrUnsupported.
func (d *Door) Accept(*Loops, time.Duration, func(*Looped, netip.AddrPort) Peer, func(error)) error {
	return errors.ErrUnsupported
}

// Swappable returns l: there are no loops to take its connections over.
func Swappable(l net.Listener) net.Listener { return l }
