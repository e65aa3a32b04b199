package loadgen

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/gobwas/ws"
)

// The protocol roomcast.v1 (docs/protocol.md) puts an envelope around a message. Deliveries are too many for a JSON parser: a message has to
// come with its members in the order of that document and without spaces, so that an envelope can be compared and its data found
// by its length. What comes otherwise is counted as a fault, never taken for a delivery.
const (
	subprotocol   = "roomcast.v1"
	messageBegins = `{"type":"message",`
	dataBegins    = `},"data":"` // behind the members of "from"
	dataEnds      = `"}`
	maxEnvelope   = 512 // bytes of a message before its data
	maxEpoch      = 16  // bytes
	maxDigits     = 16  // of an offset
)

// sendTo is what a sender puts before the header of each message to the room. What is behind it is text that JSON has no escapes for, so
// that the application's data are as many bytes as without the protocol.
func sendTo(room string) []byte {
	return fmt.Appendf(nil, `{"type":"send","room":"%s","echo":false,"data":"`, room)
}

// wrote reports whether what came before the header is what others have to get before the sender's messages.
func (s *sender) wrote(envelope []byte) bool {
	if !s.run.cfg.Protocol {
		return true // there is none
	}
	rest, inRoom := bytes.CutPrefix(envelope, s.envelope.room)
	rest, from := bytes.CutPrefix(afterPosition(rest), s.envelope.from)
	return inRoom && from && (string(rest) == dataBegins ||
		bytes.HasPrefix(rest, []byte(`,"user":"`)) && bytes.HasSuffix(rest, []byte(`"`+dataBegins)))
}

// envelope is how the messages of a sender begin, for others. In a room with a history, the position of the message is between the two.
type envelope struct{ room, from []byte }

// afterPosition is what comes after the position of a message, which is there in rooms with a history: all of rest if there is none.
func afterPosition(rest []byte) []byte {
	epoch, found := bytes.CutPrefix(rest, []byte(`,"epoch":"`))
	end := bytes.IndexByte(epoch, '"')
	if !found || end < 1 || end > maxEpoch {
		return rest
	}
	offset, found := bytes.CutPrefix(epoch[end:], []byte(`","offset":`))
	after := bytes.TrimLeft(offset, "0123456789")
	if digits := len(offset) - len(after); !found || digits == 0 || digits > maxDigits {
		return rest
	}
	return after
}

// strange counts a message that is none of the run's, or not as it was sent; body is its beginning.
func (m *member) strange(body []byte) {
	r := m.run
	if !r.cfg.Protocol || bytes.HasPrefix(body, []byte(messageBegins)) {
		r.faults.damaged.Add(1)
		return
	}
	r.faults.unexpected.Add(1)
	r.complain(fmt.Errorf("connection %d of %d was sent %s", m.id+1, r.cfg.Conns, shown(body)))
}

// shown is the beginning of what a server has sent, fit for a terminal.
func shown(body []byte) string { return fmt.Sprintf("%#q", body[:min(len(body), 120)]) }

// answer is what a server sends while a connection gets into its room.
type answer struct {
	Type       string
	Code       string
	Message    string
	Connection json.RawMessage // as it stands, since so it stands in "from"
}

// enter waits for hello, joins the member's room and waits for the ack. early is what has come already; rest, of that, what came behind
// the ack.
func (m *member) enter(ctx context.Context, conn net.Conn, early []byte) (rest []byte, err error) {
	_ = conn.SetDeadline(time.Now().Add(m.run.cfg.Timeout))
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	in := bytes.NewReader(early)
	both := io.MultiReader(in, conn)
	hello, err := await("hello", both, conn)
	if err != nil {
		return nil, err
	}
	if m.id < len(m.run.senders) {
		m.run.senders[m.id].envelope = envelope{
			room: fmt.Appendf(nil, `%s"room":"%s"`, messageBegins, m.room.name),
			from: fmt.Appendf(nil, `,"from":{"connection":%s`, hello.Connection),
		}
	}
	if _, err := conn.Write(appendFrame(nil, ws.OpText, fmt.Appendf(nil, `{"type":"join","id":1,"room":"%s"}`, m.room.name))); err != nil {
		return nil, cannotEnter("ack of the join", err)
	}
	if _, err := await("ack", both, conn); err != nil {
		return nil, err
	}
	if !stop() {
		return nil, ctx.Err()
	}
	_ = conn.SetDeadline(time.Time{}) // of a connection that is there
	return early[len(early)-in.Len():], nil
}

// await reads the one message that may come next, and answers pings before it.
func await(want string, in io.Reader, out io.Writer) (answer, error) {
	for {
		op, payload, err := readFrame(in)
		switch {
		case err != nil:
			return answer{}, cannotEnter(want, err)
		case op == ws.OpPing:
			if _, err := out.Write(appendFrame(nil, ws.OpPong, payload)); err != nil {
				return answer{}, cannotEnter(want, err)
			}
		case op == ws.OpClose:
			return answer{}, cannotEnter(want, closeOf(payload))
		case op == ws.OpPong:
		default:
			var a answer
			if err := json.Unmarshal(payload, &a); err != nil || a.Type != want {
				return answer{}, cannotEnter(want, fmt.Errorf("the server sent %s", shown(payload)))
			}
			return a, nil
		}
	}
}

// readFrame reads one whole frame and not a byte more.
func readFrame(in io.Reader) (ws.OpCode, []byte, error) {
	h, err := ws.ReadHeader(in)
	switch {
	case err != nil:
		return 0, nil, err
	case h.Masked:
		return 0, nil, errMasked
	case !h.Fin:
		return 0, nil, errFragment
	case h.Length > readBuffer:
		return 0, nil, errLength
	}
	payload := make([]byte, h.Length)
	_, err = io.ReadFull(in, payload)
	return h.OpCode, payload, err
}

// cannotEnter says what was waited for, and what to do.
func cannotEnter(want string, err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errors.New("nothing came in time")
	}
	return fmt.Errorf("no %s: %w; check that the address speaks %s and lets this client in", want, clearer(err), subprotocol)
}
