package loadgen

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/gobwas/ws"
)

// dialers is how many connections are made at the same time.
const dialers = 64

// connect makes all connections and starts their readers. It returns the first error, when nothing is being dialled any more.
func (r *run) connect(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(dialers, len(r.members)) {
		group.Go(func() {
			for ctx.Err() == nil {
				i := next.Add(1) - 1
				if i >= int64(len(r.members)) {
					return
				}
				if err := r.members[i].dial(ctx); err != nil {
					cancel(fmt.Errorf("cannot connect to %s (%d of %d connections made): %w", r.cfg.URL, r.connected.Load(), len(r.members), err))
					return
				}
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}

// dial connects the member and starts its reader.
func (m *member) dial(ctx context.Context) error {
	r := m.run
	dialer := ws.Dialer{
		Timeout:   r.cfg.Timeout,
		Header:    ws.HandshakeHeaderHTTP(r.cfg.Header),
		TLSConfig: &tls.Config{InsecureSkipVerify: r.cfg.Insecure}, //nolint:gosec // asked for
		NetDial:   r.cfg.Dial,
	}
	if r.cfg.Protocol {
		dialer.Protocols = []string{subprotocol}
	}
	if dialer.NetDial == nil {
		dialer.NetDial = (&net.Dialer{KeepAlive: -1}).DialContext
	}
	conn, early, _, err := dialer.Dial(ctx, r.address(m.room))
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return r.unreachable(err)
	}
	rest := buffered(early)
	if r.cfg.Protocol {
		if rest, err = m.enter(ctx, conn, rest); err != nil {
			conn.Close()
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return err
		}
	}
	m.out.conn = conn
	m.connected.Store(true)
	r.connected.Add(1)
	r.tasks.Go(func() { m.read(rest) })
	return nil
}

// buffered is what the server sent right after its answer.
func buffered(early *bufio.Reader) []byte {
	if early == nil {
		return nil
	}
	p, _ := io.ReadAll(io.LimitReader(early, int64(early.Buffered()))) // from memory: no error
	ws.PutReader(early)
	return p
}

// address is where a member of the room connects to.
func (r *run) address(room *room) string {
	u, err := url.Parse(r.cfg.URL)
	if err != nil {
		panic(err) // the configuration has been checked
	}
	top := strings.Trim(u.Path, "/") == ""
	switch {
	case r.cfg.Protocol && top:
		return u.JoinPath("ws").String()
	case r.cfg.Protocol:
		return u.String()
	case top:
		return u.JoinPath("rooms", room.name).String()
	}
	return u.JoinPath(room.name).String()
}

// unreachable says why a connection could not be made, and what to do about it.
func (r *run) unreachable(err error) error {
	var status ws.StatusError
	var timeout net.Error
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	reason := err
	var op *net.OpError
	if errors.As(err, &op) {
		reason = op.Err
	}
	var call *os.SyscallError
	if errors.As(reason, &call) {
		reason = call.Err
	}
	remedy := "check the address"
	switch {
	case errors.As(err, &status):
		reason = fmt.Errorf("the server answered %d instead of 101", int(status))
		remedy = "check the address: rooms are expected at /rooms/NAME below it, or at NAME below its path"
		if r.cfg.Protocol {
			remedy = "check the address: " + subprotocol + " is expected at /ws, or at its path"
		}
	case errors.Is(err, syscall.ECONNREFUSED):
		remedy = "nothing listens there: start the server (roomcast serve), or leave out the address for one of its own"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		remedy = "the ports of this machine are used up: use fewer connections, or wait a minute until closed ones are forgotten"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		remedy = "raise the limit with ulimit -n, or use fewer connections"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		reason = errors.New("the server hung up on the upgrade request")
		remedy = "see its log, and whether it has a limit on connections"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		reason = errors.New("no answer in time")
		remedy = "check the address, or give it longer with a longer timeout"
	case errors.As(err, &certificate):
		remedy = "use a certificate that this machine trusts, or set insecure"
	case errors.As(err, &record):
		remedy = "it does not speak TLS: write the address with ws://"
	}
	return fmt.Errorf("%w; %s", reason, remedy)
}
