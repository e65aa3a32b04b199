//go:build unix

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/chaos/client"
	"github.com/roomcast/roomcast/internal/chaos/history"
)

const (
	dropped     = 100             // clients that lose their network
	dropEvery   = 5 * time.Second // each of them
	dropFor     = 2 * time.Second
	dropSenders = 5
	dropRate    = 50 // messages per second, of all senders together
)

// TestDrops has a hundred clients lose their network for two seconds every five: half of them so that the server is told, half silently. Everything is
// delivered to all of them, in order, nothing twice.
func TestDrops(t *testing.T) {
	form := formOf(t, 10*time.Second)
	form.begin(t)
	if form.long {
		form.time = time.Minute
	}
	t.Logf("CHAOS_SEED=%d, %v", form.seed, form.time)
	c := newCluster(t, form.ttl(), serveFlags...)
	f := newFleet(t, c.urls(), form.seed)
	final, done := context.WithTimeout(t.Context(), form.time+patience)
	defer done()
	f.final = final
	for i := range dropped {
		f.add(client.Options{Name: fmt.Sprint("dropped", i), Rooms: []string{mainRoom}})
	}
	if err := f.allReady(startTime); err != nil {
		t.Fatal(err)
	}
	health := c.watchHealth()
	random := rand.New(rand.NewPCG(form.seed, 0))
	for i, reader := range f.present() {
		first := time.Duration(random.Int64N(int64(dropEvery)))
		f.tasks.Go(func() {
			for more := f.pause(first); more; more = f.pause(dropEvery) {
				reader.Drop(dropFor, i%2 == 0)
			}
		})
	}
	for i := range dropSenders {
		sender := f.add(client.Options{Name: fmt.Sprint("sender", i), Rooms: []string{mainRoom}})
		f.tasks.Go(func() { f.sendsAt(sender, dropRate/dropSenders) })
	}
	f.pause(form.time)
	f.calm()
	f.tasks.Wait()
	if err := f.allReady(patience); err != nil {
		t.Error(err)
	}
	for _, text := range f.unacked {
		t.Errorf("a publish was not acknowledged: %s", text)
	}
	j := &judge{t: t, c: c, f: f, healed: time.Now(), health: health}
	j.drops()
}

// sendsAt lets a client publish so many messages per second, whether the one before was acknowledged or not.
func (f *fleet) sendsAt(c *client.Client, rate int) {
	ticker := time.NewTicker(time.Second / time.Duration(rate))
	defer ticker.Stop()
	for {
		select {
		case <-f.ctx.Done():
			return
		case <-ticker.C:
		}
		f.tasks.Go(func() {
			if err := c.Publish(f.final, client.Sending{Room: mainRoom, Once: true}); err != nil {
				f.mu.Lock()
				f.unacked = append(f.unacked, err.Error())
				f.mu.Unlock()
			}
		})
	}
}

// drops waits until all have the last message, and compares.
func (j *judge) drops() {
	bell := j.f.add(client.Options{Name: "bell", URLs: j.f.urls[:1], Rooms: []string{mainRoom}})
	last, err := j.say(bell, mainRoom)
	if err != nil {
		j.t.Fatal(err)
	}
	j.heard(mainRoom, last)
	r := j.f.room(mainRoom, j.read(mainRoom)[mainRoom])
	j.found = append(j.found, history.Check(r)...)
	j.t.Logf("%v", history.Measure(r))
	j.sessions()
	j.report()
}
