package loadgen

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"syscall"

	"github.com/gobwas/ws"
)

// member is one connection, in one room. Its reader goroutine checks what arrives.
type member struct {
	run  *run
	id   int
	room *room
	out  outlet

	// Owned by the reader until it has ended.
	frames framer
	seen   []tracker // by the senders of the room

	got       atomic.Uint64 // deliveries, each counted once
	connected atomic.Bool   // out.conn is set
	gone      atomic.Bool   // the connection was lost before the run was over
}

// room is who is where.
type room struct {
	name    string // nobody else's, since it has the random word of the run in it
	lead    []byte // before the header of what is sent to it; empty without the protocol
	senders []*sender
	live    atomic.Int32 // members whose connection is there
	sent    uint64       // owned by run.settle
}

// errClosed is a Close frame.
type errClosed struct {
	code   int
	reason string
}

func (e errClosed) Error() string {
	if e.reason == "" {
		return fmt.Sprintf("closed by the server with %d", e.code)
	}
	return fmt.Sprintf("closed by the server with %d %s", e.code, e.reason)
}

// read reads until the connection ends; early is what came together with the answer to the upgrade request.
func (m *member) read(early []byte) {
	err := m.take(early)
	if err == nil {
		err = m.readAll()
	}
	if err = clearer(err); m.run.leaving.Load() {
		return
	}
	m.gone.Store(true)
	m.room.live.Add(-1)
	m.run.faults.closed.Add(1)
	m.run.complain(fmt.Errorf("connection %d of %d: %w", m.id+1, m.run.cfg.Conns, err))
	for _, s := range m.room.senders {
		s.renew.Store(true)
		s.poke()
	}
	m.out.conn.Close()
}

// clearer says what a reading error means to somebody who runs a server.
func clearer(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("hung up by the server without a Close frame")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errors.New("the server has not answered the Close frame")
	}
	var call *os.SyscallError
	if errors.As(err, &call) {
		err = call.Err
	}
	if errors.Is(err, syscall.ECONNRESET) {
		return errors.New("reset by the server")
	}
	return err
}

// readPortable is readAll for what is not a plain TCP connection, or not on Unix.
func (m *member) readPortable() error {
	buf := make([]byte, readBuffer/4)
	for {
		n, err := m.out.conn.Read(buf)
		if err := m.take(buf[:n]); err != nil {
			return err
		}
		if err != nil {
			return err
		}
	}
}

// take handles what one read has brought.
func (m *member) take(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	w := m.run.pool.get()
	defer m.run.pool.put(w)
	return m.consume(w, p)
}

// consume handles the frames in p. The time of all of them is the time of the read.
func (m *member) consume(w *worker, p []byte) error {
	now, begin := m.run.now(), m.run.begin.Load()
	fresh := uint64(0)
	defer func() {
		if fresh > 0 {
			m.got.Add(fresh)
			w.last.Store(max(w.last.Load(), now))
			w.delivered.Add(fresh)
		}
	}()
	for len(p) > 0 {
		rest, e, body, err := m.frames.next(p)
		if err != nil {
			m.run.faults.damaged.Add(1)
			return err
		}
		p = rest
		switch e {
		case message:
			if s, ok := m.deliver(body); ok {
				fresh++
				if s.due >= begin {
					record(w.latency, now-s.due)
				}
			}
		case damaged:
			m.strange(body)
		case ping:
			m.out.answer(body)
		case closing:
			return m.closed(body)
		}
	}
	return nil
}

// deliver checks one message by what comes before its filling; ok means that it counts as a delivery.
func (m *member) deliver(body []byte) (s stamp, ok bool) {
	r := m.run
	at := len(body) - HeaderBytes
	s, ok = readHeader(body[at:], r.word)
	if !ok {
		m.strange(body)
		return s, false
	}
	if s.sender >= len(r.senders) || s.room != m.id%len(r.rooms) || s.sender%len(r.rooms) != s.room || s.sender == m.id {
		r.faults.misdirected.Add(1) // of another room, or its own
		return s, false
	}
	from := r.senders[s.sender]
	if s.seq == 0 || s.seq > from.sent.Load() || !from.wrote(body[:at]) {
		r.faults.damaged.Add(1)
		return s, false
	}
	seen := &m.seen[s.sender/len(r.rooms)]
	before := seen.last
	switch seen.see(s.seq) {
	case duplicate:
		r.faults.duplicate.Add(1)
		return s, false
	case late:
		r.faults.outOfOrder.Add(1)
	case fresh:
		if g := from.ring.Load(); g != nil && g.reached(before, s.seq) {
			from.poke()
		}
	}
	return s, true
}

// closed answers the server's Close frame.
func (m *member) closed(body []byte) error {
	if !m.run.leaving.Load() {
		m.out.answerClose(body[:min(len(body), 2)])
	}
	return closeOf(body)
}

// closeOf is what a Close frame says.
func closeOf(body []byte) error {
	if len(body) < 2 {
		return errClosed{code: int(ws.StatusNoStatusRcvd)}
	}
	return errClosed{code: int(binary.BigEndian.Uint16(body)), reason: string(body[2:])}
}
