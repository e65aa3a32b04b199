package natsengine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roomcast/roomcast"
)

// The headers and errors of the server that matter here. It looks whether the message is the last of its subject, and whether it knows the
// message id, before it stores anything: one server in this order, several in the other. As an attempt is repeated with the right
// sequence until it succeeds, both end in the same.
const (
	headerFollows = nats.ExpectedLastSubjSeqHdr
	headerOnce    = nats.MsgIdHdr

	codeWrongLast         = 10071 // another message is the last, see its text
	codeWrongLastConstant = 10164 // another is being stored
	codeOnceInProcess     = 10158 // one with the same message id is being stored
	codeOutOfStep         = 10063 // the servers of the stream have to agree again
)

// publishAttempts is into how many attempts Options.Timeout is divided, at least.
const publishAttempts = 3

// attempt tries once to store a batch behind h. sent is false if it is certain that it has not been and will not be.
func (r *room) attempt(ctx context.Context, o *outgoing, h base) (s storing, sent bool, err error) {
	b := &batch{epoch: h.Epoch, first: h.Offset + 1, id: o.id, count: o.count, body: o.body}
	if h.opens() {
		b.epoch, b.first = randomName(8), 1
	}
	m := nats.NewMsg(r.subject)
	m.Data = b.encode()
	m.Header.Set(headerFollows, strconv.FormatUint(h.seq, 10))
	if o.once != "" {
		m.Header.Set(headerOnce, o.once)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, r.e.o.Timeout/publishAttempts, errSilent)
	defer cancel()
	r.e.stats.attempts.Add(1)
	answer, sent, err := r.e.calls.one(ctx, m)
	if errors.Is(err, errNobody) {
		r.e.lookAgain() // the stream may have been deleted
	}
	if err != nil {
		return storing{}, sent, err
	}
	var ack struct {
		Error     *apiError `json:"error"`
		Seq       uint64    `json:"seq"`
		Duplicate bool      `json:"duplicate"`
	}
	if err := json.Unmarshal(answer.Data, &ack); err != nil {
		return storing{}, true, fmt.Errorf("an answer of NATS cannot be read: %w", err)
	}
	switch {
	case ack.Error != nil && ack.Error.Code == codeOutOfStep:
		return storing{}, true, ack.Error
	case ack.Error != nil:
		return storing{}, false, refusal(ack.Error)
	case ack.Duplicate:
		s, err := r.again(ctx, o, ack.Seq)
		return s, false, err
	}
	b.seq = ack.Seq
	r.e.stats.stored.Add(b.count)
	r.mu.Lock()
	r.writer.last = b.seq
	r.mu.Unlock()
	r.took(ctx, b, h)
	return storing{roomcast.Position{Epoch: b.epoch, Offset: b.first}, b.head(), false}, true, nil
}

func refusal(e *apiError) error {
	switch e.Code {
	case codeWrongLast:
		return errLate
	case codeWrongLastConstant, codeOnceInProcess:
		return errBusy
	}
	return fmt.Errorf("%w: %w", errRefused, e)
}

// again returns where the entry is that was stored with the same idempotency key: perhaps by an earlier attempt of the same batch.
func (r *room) again(ctx context.Context, o *outgoing, seq uint64) (storing, error) {
	b, err := r.e.newest(ctx, r.kind, getRequest{Seq: seq})
	if err != nil {
		return storing{}, err
	}
	if b == nil {
		return storing{again: true}, nil // it is forgotten already
	}
	s := storing{roomcast.Position{Epoch: b.epoch, Offset: b.first}, b.head(), b.id != o.id}
	if s.again {
		r.e.stats.duplicates.Add(1)
	}
	r.accept(b)
	return s, nil
}

// unavailable is the error of something that could not be done, in which the reason is said but for the caller's own: a context that is over.
func (e *Engine) unavailable(what, room string, err error) error {
	switch {
	case errors.Is(err, context.Canceled) && e.ctx.Err() == nil:
		return fmt.Errorf("natsengine: %s %q: %w", what, room, err)
	case errors.Is(err, roomcast.ErrUnavailable):
		return err
	}
	return fmt.Errorf("natsengine: %s %q: %w: %w", what, room, roomcast.ErrUnavailable, err)
}

// pause waits before something is tried again, longer each time but less than half a second, and reports whether it is to be.
func (e *Engine) pause(ctx context.Context, try int) bool {
	return e.pauseFor(ctx, 25*time.Millisecond<<min(try, 4))
}
