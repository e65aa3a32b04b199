package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"
)

// errOtherBody: the idempotency key stands for another publication.
var errOtherBody = errors.New("the key was used for another publication")

// memory is what was done under idempotency keys: each is done once within the window. It is this server's own, and for all backends one; what holds on all servers, the engine sees to (hub.Post.Once).
type memory struct {
	window time.Duration
	most   int

	mu    sync.Mutex
	known map[digest]*deed
	old   []*deed // those that are done, oldest first
}

// digest stands for a key, or for all that is in a publication: what is remembered has the same size whatever was sent.
type digest [sha256.Size]byte

// deed is what is done, or being done, under one key.
type deed struct {
	key, what digest
	done      chan struct{} // closed when the rest is known

	// Written before done is closed.
	receipt Receipt
	failed  bool
	until   time.Time
}

func newMemory(window time.Duration, most int) *memory {
	return &memory{window: window, most: most, known: map[digest]*deed{}}
}

// once does work under the key, unless what it does has been done: then it returns the receipt of that, and true. While another does it, it
// waits for that. What fails is not remembered. The error is that of work, of ctx, or errOtherBody.
func (m *memory) once(ctx context.Context, key string, what digest, work func() (Receipt, error)) (_ Receipt, replayed bool, _ error) {
	for {
		d, mine := m.claim(sha256.Sum256([]byte(key)), what)
		if mine {
			r, err := m.do(d, work)
			return r, false, err
		}
		if d.what != what {
			return Receipt{}, false, errOtherBody
		}
		select {
		case <-d.done:
		case <-ctx.Done():
			return Receipt{}, false, ctx.Err()
		}
		if !d.failed {
			return d.receipt, true, nil
		}
	}
}

// claim returns the deed under the key; it is the caller's to do if there was none.
func (m *memory) claim(key, what digest) (d *deed, mine bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for len(m.old) > 0 && !m.old[0].until.After(now) {
		m.forgetLocked()
	}
	if d = m.known[key]; d != nil {
		return d, false
	}
	d = &deed{key: key, what: what, done: make(chan struct{}), failed: true}
	m.known[key] = d
	return d, true
}

// do does the work of a deed. A panic counts as a failure, and goes on.
func (m *memory) do(d *deed, work func() (Receipt, error)) (r Receipt, err error) {
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if d.failed {
			delete(m.known, d.key)
		} else {
			d.until = time.Now().Add(m.window)
			if m.old = append(m.old, d); len(m.old) > m.most {
				m.forgetLocked()
			}
		}
		close(d.done)
	}()
	r, err = work()
	d.receipt, d.failed = r, err != nil
	return r, err
}

// forgetLocked forgets the oldest deed.
func (m *memory) forgetLocked() {
	delete(m.known, m.old[0].key)
	m.old[0] = nil
	m.old = m.old[1:] // append moves it to the front of a new array from time to time
}
