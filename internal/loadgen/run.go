package loadgen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// run is one run of the generator.
type run struct {
	cfg     Config
	epoch   time.Time // zero of all times
	name    string    // in the names of the rooms
	word    string    // in the header of each message
	filling []byte    // of a message, after the header: to the end of the frame

	members []*member
	rooms   []*room
	senders []*sender
	plan    schedule // of an open loop; written before the senders start

	begin   atomic.Int64 // of the measured time; far away before that is known
	leaving atomic.Bool  // all is over: connections may end

	connected atomic.Int64 // connections
	pool      pool
	faults    counters
	tasks     sync.WaitGroup // all goroutines but those that connect

	mu         sync.Mutex
	complaints []string
}

// counters are the faults that can be seen at once.
type counters struct {
	duplicate, outOfOrder, damaged, misdirected, unexpected, closed atomic.Uint64
}

func (c *counters) sum() uint64 {
	return c.duplicate.Load() + c.outOfOrder.Load() + c.damaged.Load() + c.misdirected.Load() + c.unexpected.Load() + c.closed.Load()
}

// ErrStopped means that the context ended before anything was sent.
var ErrStopped = errors.New("stopped before all connections were made: nothing was measured")

// Run loads the server as c says and returns what it has found; faults of the server are part of that and no error. An error means
// that nothing could be measured. When ctx ends, the run ends early, with what there is.
func Run(ctx context.Context, c Config) (*Result, error) {
	return newRun(c).execute(ctx, newAlarm)
}

func newRun(c Config) *run {
	random := rand.Uint64()
	word := runWord(random)
	r := &run{cfg: c, epoch: time.Now(), word: word, name: fmt.Sprintf("%08x", uint32(random))}
	r.begin.Store(math.MaxInt64)
	r.filling = bytes.Repeat([]byte("roomcast"), max(0, c.Size-HeaderBytes)/8+1)[:max(0, c.Size-HeaderBytes)]
	if c.Protocol {
		r.filling = append(r.filling, dataEnds...)
	}
	return r
}

// now is the time of the run in nanoseconds.
func (r *run) now() int64 { return int64(time.Since(r.epoch)) }

// people puts the members and the senders into their rooms.
func (r *run) people() {
	c := r.cfg
	r.rooms = make([]*room, c.Rooms)
	envelope := 0
	for i := range r.rooms {
		r.rooms[i] = &room{name: fmt.Sprintf("bench-%s-%d", r.name, i+1)}
		if c.Protocol {
			r.rooms[i].lead = sendTo(r.rooms[i].name)
			envelope = maxEnvelope
		}
	}
	r.members = make([]*member, c.Conns)
	perRoom := (c.Senders + c.Rooms - 1) / c.Rooms
	seen := make([]tracker, c.Conns*perRoom)
	for i := range r.members {
		m := &member{run: r, id: i, room: r.rooms[i%c.Rooms], frames: framer{filling: r.filling, envelope: envelope}}
		m.seen, seen = seen[:perRoom:perRoom], seen[perRoom:]
		m.room.live.Add(1)
		r.members[i] = m
		if i < c.Senders {
			s := &sender{run: r, id: i, m: m, quota: share(c.Messages, i, c.Senders), wake: make(chan struct{}, 1)}
			m.room.senders = append(m.room.senders, s)
			r.senders = append(r.senders, s)
		}
	}
}

// mark is how things stood at one time.
type mark struct {
	at        int64
	delivered uint64
	server    usage
	self      usage
}

// marks are the times that the figures are taken from.
type marks struct {
	before, connected, begin, end mark
	finished                      bool  // all was sent before the time was up
	cut                           bool  // the last deliveries were not waited for
	err                           error // why there are no figures of the server
}

func (r *run) mark() (mark, error) {
	m := mark{at: r.now()}
	m.delivered, _ = r.pool.delivered()
	if !hasProc() {
		return m, nil
	}
	m.self, _ = readUsage(proc(), []int{os.Getpid()})
	var err error
	m.server, err = readUsage(proc(), r.cfg.PIDs)
	return m, err
}

// note is mark, with its error kept for the result.
func (r *run) note(marks *marks) mark {
	m, err := r.mark()
	if marks.err == nil {
		marks.err = err
	}
	return m
}

// execute is the run from beginning to end.
func (r *run) execute(ctx context.Context, newAlarm func() alarm) (*Result, error) {
	if err := r.cfg.Validate(); err != nil {
		return nil, err
	}
	if err := checkLimit(&r.cfg); err != nil {
		return nil, err
	}
	var marks marks
	var err error
	if marks.before, err = r.mark(); err != nil {
		return nil, err
	}
	r.people()
	defer r.leave()
	if err := r.connectAll(ctx); err != nil {
		return nil, err
	}
	r.load(ctx, newAlarm(), &marks)
	r.leave()
	return r.result(&marks, ctx.Err() != nil), nil
}

// connectAll is connect, with progress.
func (r *run) connectAll(ctx context.Context) error {
	done := make(chan struct{})
	var err error
	go func() {
		defer close(done)
		err = r.connect(ctx)
	}()
	r.watch(context.Background(), Connecting, 0, done)
	<-done
	if err != nil && ctx.Err() != nil {
		return ErrStopped
	}
	return err
}

// load sends, and waits for what was sent.
func (r *run) load(ctx context.Context, a alarm, marks *marks) {
	defer a.close()
	marks.connected = r.note(marks)
	r.plan = schedule{start: r.now(), rate: r.cfg.Rate, senders: len(r.senders)}
	begin := r.plan.start + int64(r.cfg.Warmup)
	r.begin.Store(begin)
	if r.cfg.Duration > 0 {
		r.plan.end = begin + int64(r.cfg.Duration)
	}
	marks.begin = marks.connected
	stop, sent := r.startSenders(a)
	if r.cfg.Warmup > 0 {
		r.watch(ctx, WarmingUp, r.until(begin), sent)
		marks.begin = r.note(marks)
	}
	r.watch(ctx, Measuring, r.until(r.plan.end), sent)
	finished := ended(sent) // all has been sent: measured is until all has come
	if !finished {
		marks.end = r.note(marks)
	}
	close(stop)
	a.cancel()
	marks.cut = r.settle(ctx, sent)
	if finished {
		marks.end = r.note(marks)
		marks.finished = true
		if _, last := r.pool.delivered(); last > marks.begin.at {
			marks.end.at = last
		}
	}
}

// until is the time left, at least a nanosecond; 0 if there is no such end.
func (r *run) until(t int64) time.Duration {
	if t == 0 {
		return 0
	}
	return time.Duration(max(1, t-r.now()))
}

// startSenders returns the channel that stops them, and one that is closed when they have ended.
func (r *run) startSenders(a alarm) (stop, ended chan struct{}) {
	stop, ended = make(chan struct{}), make(chan struct{})
	var senders sync.WaitGroup
	for _, s := range r.senders {
		s.startRing()
		if r.cfg.Messages == 0 || s.quota > 0 {
			senders.Go(func() { s.work(stop) })
		}
	}
	if r.cfg.Rate > 0 {
		r.tasks.Go(func() { r.pace(a, stop) })
	}
	r.tasks.Go(func() {
		senders.Wait()
		close(ended)
	})
	return stop, ended
}

// settle waits until everything that was sent has come, or nothing has come for the timeout. When ctx ends meanwhile it gives up at
// once; when it has ended already, after the timeout. cut says that it has given up.
func (r *run) settle(ctx context.Context, sent <-chan struct{}) (cut bool) {
	done := make(chan struct{})
	stopped := ctx.Err() != nil
	go func() {
		defer close(done)
		tick := time.NewTicker(settleTick)
		defer tick.Stop()
		for start := r.now(); ; <-tick.C {
			_, last := r.pool.delivered()
			quiet, waited := r.now()-max(last, start), r.now()-start
			switch {
			case ended(sent) && r.complete(), quiet >= int64(r.cfg.Timeout):
				return
			case stopped && waited >= int64(r.cfg.Timeout), !stopped && ctx.Err() != nil:
				cut = true
				return
			}
		}
	}()
	r.watch(context.Background(), Settling, 0, done)
	return cut
}

const settleTick = 5 * time.Millisecond

// complete reports whether every member that is there has everything.
func (r *run) complete() bool {
	for _, room := range r.rooms {
		room.sent = 0
		for _, s := range room.senders {
			room.sent += s.sent.Load()
		}
	}
	for _, m := range r.members {
		want := m.room.sent
		if m.id < len(r.senders) {
			want -= r.senders[m.id].sent.Load()
		}
		if !m.gone.Load() && m.got.Load() < want {
			return false
		}
	}
	return true
}

// goodbyeTime is how long a server may take to answer a Close frame.
const goodbyeTime = 2 * time.Second

// leave says goodbye on every connection and waits for all goroutines. A second call does nothing.
func (r *run) leave() {
	if r.leaving.Swap(true) {
		return
	}
	deadline := time.Now().Add(goodbyeTime)
	for _, m := range r.members {
		if m.connected.Load() {
			_ = m.out.conn.SetDeadline(deadline) // ends a write that is stuck
		}
	}
	for _, m := range r.members {
		if m.connected.Load() && !m.gone.Load() {
			m.out.goodbye()
		}
	}
	r.tasks.Wait()
	for _, m := range r.members {
		if m.connected.Load() {
			m.out.conn.Close()
		}
	}
}

// maxComplaints is how many lost connections and unexpected messages are told one by one.
const maxComplaints = 5

func (r *run) complain(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.complaints) < maxComplaints {
		r.complaints = append(r.complaints, err.Error())
	}
}
