//go:build unix

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/chaos/client"
	"github.com/roomcast/roomcast/internal/chaos/history"
)

// The rooms of a run.
const (
	mainRoom  = "log-main"  // keeps everything
	slowRoom  = "log-slow"  // likewise, and slow members miss messages there
	shutRoom  = "log-shut"  // likewise, and slow members are closed there
	shortRoom = "short-one" // keeps the last few
	liveRoom  = "live-one"  // keeps nothing
)

const (
	keptShort = 30

	// A replay is no larger than the outbox, of 256 KiB here, so that slow clients are found to be slow. Messages with their envelope have less than 600 bytes,
	// those of the talkers less than 8,500.
	replayMain = 400
	replaySlow = 29
	patience   = 30 * time.Second // for what has to happen when everything is well again
)

var (
	kept     = map[string]int{mainRoom: history.Everything, slowRoom: history.Everything, shutRoom: history.Everything, shortRoom: keptShort}
	replayed = map[string]int{mainRoom: replayMain, slowRoom: replaySlow, shutRoom: replaySlow}
)

var allRooms = []string{mainRoom, slowRoom, shutRoom, shortRoom, liveRoom}

// serveFlags are those of the server nodes for these rooms.
var serveFlags = []string{"--history", "log-*=1000000,24h,1GiB", "--history", fmt.Sprintf("short-*=%d", keptShort),
	"--slow", "log-slow=drop-oldest", "--outbox", "256KiB"}

// fleet is the clients of a run and what they do.
type fleet struct {
	t      *testing.T
	urls   []string
	seed   uint64
	began  time.Time
	tasks  sync.WaitGroup
	ctx    context.Context // ends when no fault comes any more: clients do nothing strange, and nothing new is sent
	cancel context.CancelFunc
	final  context.Context // ends when everything has to be acknowledged

	mu      sync.Mutex
	clients []*client.Client
	ended   []*client.Client // of clients, those that went for ever
	unacked []string         // publishes with an idempotency key that were given up
	posts   []*poster
}

func newFleet(t *testing.T, urls []string, seed uint64) *fleet {
	t.Helper()
	f := &fleet{t: t, urls: urls, seed: seed, began: time.Now()}
	f.ctx, f.cancel = context.WithCancel(t.Context())
	t.Cleanup(func() {
		f.cancel()
		f.tasks.Wait()
		var ends sync.WaitGroup
		for _, c := range f.all() {
			ends.Go(func() { c.End(false) })
		}
		ends.Wait()
	})
	return f
}

func (f *fleet) all() []*client.Client {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]*client.Client(nil), f.clients...)
}

// calm ends all that clients do and that is done to them. Who is away comes back.
func (f *fleet) calm() {
	f.cancel()
	for _, c := range f.present() {
		c.Home()
	}
}

// present are the clients that have not gone for ever.
func (f *fleet) present() (there []*client.Client) {
	f.mu.Lock()
	defer f.mu.Unlock()
	gone := map[*client.Client]bool{}
	for _, c := range f.ended {
		gone[c] = true
	}
	for _, c := range f.clients {
		if !gone[c] {
			there = append(there, c)
		}
	}
	return there
}

// add starts a client.
func (f *fleet) add(o client.Options) *client.Client {
	f.mu.Lock()
	defer f.mu.Unlock()
	if o.URLs == nil {
		o.URLs = f.urls
	}
	o.Seed, o.Began = f.seed*1000+uint64(len(f.clients)), f.began
	c := client.New(o)
	f.clients = append(f.clients, c)
	c.Start()
	return c
}

// allReady waits until all clients are in their rooms.
func (f *fleet) allReady(bound time.Duration) error {
	ctx, cancel := context.WithTimeout(f.t.Context(), bound)
	defer cancel()
	for _, c := range f.present() {
		if err := c.Ready(ctx); err != nil && slices.Contains(f.present(), c) { // it may have left meanwhile
			return fmt.Errorf("%s is not in its rooms after %v: %w", c.Name, bound, err)
		}
	}
	return nil
}

// sends lets a client publish, one message after the other with a pause in between, until no fault comes any more. Chance decides on echo
// and, where messages are kept, on an idempotency key.
func (f *fleet) sends(c *client.Client, lane int, pause time.Duration, pad int, rooms ...string) {
	random := rand.New(rand.NewPCG(f.seed, uint64(lane)+1000))
	f.tasks.Go(func() {
		for f.pause(pause/4 + time.Duration(random.Int64N(int64(pause*3/2)))) {
			s := client.Sending{Room: rooms[random.IntN(len(rooms))], Pad: strings.Repeat("x", random.IntN(pad+1))}
			if s.Room != shortRoom {
				s.Silent = random.IntN(2) == 0 // what one sent silently in the short room, nobody could tell from what is missing
			}
			s.Once = s.Room != liveRoom && random.IntN(3) > 0
			if err := c.Publish(f.final, s); err != nil && s.Once {
				f.mu.Lock()
				f.unacked = append(f.unacked, fmt.Sprintf("%s to %s: %v", c.Name, s.Room, err))
				f.mu.Unlock()
				return
			}
		}
	})
}

// pause waits, and returns false if no fault comes any more.
func (f *fleet) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-f.ctx.Done():
		return false
	}
}

// troubles does something to a client again and again, with a pause of up to twice the given length.
func (f *fleet) troubles(c *client.Client, lane int, pause time.Duration, do func(random *rand.Rand)) {
	random := rand.New(rand.NewPCG(f.seed, uint64(lane)+2000))
	f.tasks.Go(func() {
		for f.pause(time.Duration(random.Int64N(int64(2*pause))) + 100*time.Millisecond) {
			do(random)
		}
	})
}

// leave ends a client for ever.
func (f *fleet) leave(c *client.Client, politely bool) {
	f.mu.Lock()
	f.ended = append(f.ended, c)
	f.mu.Unlock()
	c.End(politely)
}

// man fills the fleet of the chaos run.
func (f *fleet) man(form form) {
	readers := []string{mainRoom, shortRoom, liveRoom}
	for i := range 4 { // senders, of whom two lose their network now and then
		c := f.add(client.Options{Name: fmt.Sprint("sender", i), Rooms: allRooms})
		for lane := range 2 {
			f.sends(c, 10*i+lane, 80*time.Millisecond, 200, mainRoom, mainRoom, liveRoom, shortRoom)
		}
		if i >= 2 {
			f.troubles(c, i, 4*time.Second, func(random *rand.Rand) {
				c.Drop(time.Duration(random.Int64N(int64(2*time.Second))), random.IntN(2) == 0)
			})
		}
	}
	for i, room := range []string{slowRoom, shutRoom} { // what slow members are slow for
		c := f.add(client.Options{Name: fmt.Sprint("talker", i), Rooms: []string{room}})
		for lane := range 2 {
			f.sends(c, 100+10*i+lane, 15*time.Millisecond, 8000, room)
		}
	}
	for i := range 2 {
		f.post(i, 80*time.Millisecond, mainRoom, mainRoom, slowRoom, shortRoom)
	}
	for i := range 6 { // readers: two steady, two that lose their network, two that stay away for long
		c := f.add(client.Options{Name: fmt.Sprint("reader", i), Rooms: readers})
		away := []time.Duration{0, 2 * time.Second, 15 * time.Second}[i/2]
		if away > 0 {
			f.troubles(c, 10+i, 3*time.Second, func(random *rand.Rand) {
				c.Drop(time.Duration(random.Int64N(int64(away))), random.IntN(2) == 0)
			})
		}
	}
	for i := range 3 { // slow ones
		c := f.add(client.Options{Name: fmt.Sprint("slow", i), Rooms: [][]string{{slowRoom, mainRoom}, {shutRoom, mainRoom}, {slowRoom, shutRoom}}[i], Slow: true})
		f.troubles(c, 20+i, 5*time.Second, func(random *rand.Rand) {
			c.Stall(2*time.Second + time.Duration(random.Int64N(int64(3*time.Second))))
		})
	}
	for i := range 3 {
		f.add(client.Options{Name: fmt.Sprint("watcher", i), Rooms: allRooms, Watch: true})
	}
	for i := range 4 { // some go for ever, half of them without a word
		c := f.add(client.Options{Name: fmt.Sprint("leaver", i), Rooms: readers})
		f.tasks.Go(func() {
			if f.pause(form.time * time.Duration(i+2) / 6) {
				f.leave(c, i%2 == 0)
			}
		})
	}
}

// dropThird takes the network away from a third of the clients, at once and for a moment.
func (f *fleet) dropThird(third int) {
	for i, c := range f.present() {
		if i%size == third {
			c.Drop(0, false)
		}
	}
}

// room is what everybody saw of a room. The log is added by who has read it.
func (f *fleet) room(name string, log []history.Seen) history.Room {
	r := history.Room{Name: name, Keeps: kept[name], Replays: replayed[name], Log: log}
	for _, c := range f.all() {
		r.Publishes = append(r.Publishes, c.Published(name)...)
		for _, wanted := range c.Rooms {
			if wanted == name {
				r.Readers = append(r.Readers, c.Reader(name))
			}
		}
	}
	for _, p := range f.posts {
		r.Publishes = append(r.Publishes, p.in(name)...)
	}
	return r
}
