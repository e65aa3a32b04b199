package natsengine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roomcast/roomcast"
)

const (
	maxInfo    = 512 << 10
	maxWriters = 64 // writes under way at the same time
)

// memberID is what a member may be called: it becomes part of a key.
var memberID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

type presenceConfig struct {
	node, prefix  string
	replicas      int
	lease, linger time.Duration
	timeout       time.Duration // of one write
	logger        *slog.Logger
}

// presence keeps the table of the members of the whole cluster in step with a key-value bucket.
//
//	s.<member>  who presents it, and its Info
//	n.<owner>   the lease of one life of a node, refreshed three times as often as it would run out
//
// Goroutines, all ended by close: read (watch.go) takes in what the bucket says, beat (lease.go) refreshes the lease and finds the dead, writers
// (writer.go) come and go with what is to be written, and each watcher has one that calls it (audience.go).
type presence struct {
	cfg    presenceConfig
	self   string // this life of the node: random
	bucket string
	ctx    context.Context
	cancel context.CancelFunc
	tasks  sync.WaitGroup // read, beat and writers
	kick   chan struct{}  // cap 1: the bucket is to be read anew; never closed
	alone  atomic.Bool    // no other node is known, alive or dead

	mu        sync.Mutex // for all below
	table     *table
	audience  audience
	changes   uint64              // told to the audience
	js        jetstream.JetStream // nil before start
	connected bool
	closing   bool
	writers   int
	pulse     pulse
	interrupt context.CancelFunc // ends the reading under way
	trouble   error              // why the bucket is not being read; nil while it is
	out       chan struct{}      // closed when a node that leaves has written everything, or cannot any more; nil then
}

func newPresence(cfg presenceConfig) *presence {
	ctx, cancel := context.WithCancel(context.Background())
	p := &presence{
		cfg: cfg, self: rand.Text()[:16], bucket: bucketName(cfg.prefix, "PRESENCE"),
		ctx: ctx, cancel: cancel, interrupt: func() {}, kick: make(chan struct{}, 1),
	}
	p.table = newTable(cfg.node, p.self)
	p.trouble = errors.New("no connection to NATS yet")
	return p
}

// start is called once, when there is a connection.
func (p *presence) start(js jetstream.JetStream) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.js != nil || p.closing {
		return
	}
	p.js, p.connected = js, true
	p.tasks.Go(p.read)
	p.tasks.Go(p.beat)
}

// disconnected says that the connection is lost: nothing is written until reconnected, and nobody is taken for dead.
func (p *presence) disconnected() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.connected {
		p.connected = false
		p.pulse.well = time.Time{}
		p.alone.Store(false)
		p.trouble = errors.New("the connection to NATS is lost")
		p.outLocked()
		p.interrupt()
	}
}

func (p *presence) reconnected() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.js == nil || p.connected {
		return
	}
	p.connected = true
	p.pulse.complete = time.Time{}
	p.reread()
	p.table.retry()
	p.writeLocked()
}

// reread has the bucket read anew.
func (p *presence) reread() {
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// present is Engine.Present.
func (p *presence) present(m roomcast.Member) {
	if !memberID.MatchString(m.ID) || len(m.Info) > maxInfo {
		p.cfg.logger.Error("a member cannot be presented: its ID is 1 to 64 letters and digits, - and _, its Info at most 512 KiB", "id", m.ID, "info_bytes", len(m.Info))
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closing {
		return
	}
	p.table.present(m)
	p.changedLocked()
}

// watch is Engine.Watch.
func (p *presence) watch(changed func(members []roomcast.Member)) (cancel func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closing {
		return func() {}
	}
	return p.audience.add(&p.mu, p.table.told(), changed)
}

// ready is nil if the table is complete and this node's lease is kept up; otherwise it says what is missing.
func (p *presence) ready() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.readyLocked(time.Now())
}

// fit is ready for who asks whether clients may come: the table stays when it has to be read anew, and they are better off here than nowhere. While
// the servers of a cluster choose who leads, that is so on all nodes at once.
func (p *presence) fit() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fitLocked(time.Now())
}

func (p *presence) fitLocked(now time.Time) error {
	if err := p.readyLocked(now); err != nil && now.Sub(p.pulse.well) > electionTime {
		return err
	}
	return nil
}

func (p *presence) readyLocked(now time.Time) error {
	switch {
	case p.trouble != nil:
		return fmt.Errorf("presence: %w", p.trouble)
	case p.pulse.complete.IsZero():
		return errors.New("presence: the table of members is being read")
	case p.pulse.proof.IsZero():
		return errors.New("presence: the lease of this node has not been stored yet")
	case now.Sub(p.pulse.proof) > p.cfg.lease:
		return fmt.Errorf("presence: the lease of this node has not been refreshed for %v", now.Sub(p.pulse.proof).Round(time.Millisecond))
	}
	return nil
}

// stats is how many members there are, and how many changes the audience has been told.
func (p *presence) stats() (members int, changes uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.table.here, p.changes
}

// outLocked lets close go on.
func (p *presence) outLocked() {
	if p.out != nil {
		close(p.out)
		p.out = nil
	}
}

// close writes what is still to be written and gives back the lease, so that this node is dead to the others at once: its members linger there and can be
// taken over. It does not take much longer than the timeout of a write; after that, the others wait for the lease to run out.
func (p *presence) close() {
	p.mu.Lock()
	if p.closing {
		p.mu.Unlock()
		p.tasks.Wait()
		return
	}
	p.closing = true
	p.audience.end()
	p.table.leave()
	out := make(chan struct{})
	p.out = out
	p.changedLocked()
	left, js := p.connected, p.js
	p.mu.Unlock()
	p.audience.wait()
	if left {
		deadline := time.NewTimer(p.cfg.timeout)
		select {
		case <-out:
		case <-deadline.C:
			p.cfg.logger.Warn("leaving the cluster took too long: not all that this node had to say of its members has been written", "node", p.cfg.node)
		}
		deadline.Stop()
	}
	p.mu.Lock()
	p.cancel() // no writer starts any more
	left = left && p.connected
	p.mu.Unlock()
	p.tasks.Wait()
	if left {
		ctx, cancel := context.WithTimeout(context.Background(), p.cfg.timeout)
		defer cancel()
		if _, err := p.erase(ctx, js, leaseKey+p.self, 0); err != nil {
			p.cfg.logger.Warn("the lease of this node could not be given back: it will run out", "node", p.cfg.node, "error", err)
		}
	}
}

// changedLocked passes on what the table has to say after a change: news to the audience, writes to the writers.
func (p *presence) changedLocked() {
	if news := p.table.news; len(news) > 0 {
		p.table.news = nil
		p.changes += uint64(len(news))
		p.audience.tell(news)
	}
	p.alone.Store(p.connected && !p.pulse.complete.IsZero() && p.table.alone())
	p.writeLocked()
}
