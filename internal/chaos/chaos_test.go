//go:build unix

package chaos

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/chaos/client"
	"github.com/roomcast/roomcast/internal/chaos/history"
)

const shortTime = 12 * time.Second // of the faults that telling plans

// TestChaos is the run that the package documentation describes.
func TestChaos(t *testing.T) {
	form := formOf(t, shortTime)
	form.begin(t)
	faults := telling(form.seed)
	if form.long {
		faults = plan(form.seed, form.time)
	}
	t.Logf("CHAOS_SEED=%d, %v of faults: %d", form.seed, form.time, len(faults))
	c := newCluster(t, form.ttl(), serveFlags...)
	f := newFleet(t, c.urls(), form.seed)
	run(t, c, f, form, faults)
}

func run(t *testing.T, c *cluster, f *fleet, form form, faults []fault) {
	final, done := context.WithTimeout(t.Context(), form.time+startTime+patience)
	defer done()
	f.final = final
	f.man(form)
	if err := f.allReady(patience); err != nil {
		t.Fatal(err)
	}
	health := c.watchHealth()
	if err := c.unleash(f.ctx, faults, f.dropThird); err != nil {
		t.Fatal(err)
	}
	f.pause(time.Second)
	for _, p := range c.dead() {
		t.Errorf("%s has ended by itself:\n%s", p.name, p.tail(40))
	}
	if err := c.heal(); err != nil {
		t.Fatal(err)
	}
	healed := time.Now()
	f.calm()
	if err := c.ready(startTime); err != nil {
		t.Errorf("all faults are over, and the cluster is not ready: %v", err)
	}
	t.Logf("healed; all nodes are ready after %v", time.Since(healed).Round(time.Millisecond))
	f.tasks.Wait()
	if err := f.allReady(patience); err != nil {
		t.Error(err)
	}
	t.Logf("all clients are in their rooms %v after the end of the last fault", time.Since(healed).Round(time.Millisecond))
	for _, text := range f.unacked {
		t.Errorf("a publish was not acknowledged in time: %s", text)
	}
	j := &judge{t: t, c: c, f: f, healed: healed, health: health}
	j.judge()
}

// dead are the processes that do not run though nobody has killed them.
func (c *cluster) dead() (all []*process) {
	for i := range size {
		for _, p := range []*process{c.nats[i].process, c.servers[i].process} {
			if !p.running() {
				all = append(all, p)
			}
		}
	}
	return all
}

// judge is the end of a run: it waits until all is quiet, and compares.
type judge struct {
	t      *testing.T
	c      *cluster
	f      *fleet
	healed time.Time
	health *health
	found  []history.Violation
}

func (j *judge) judge() {
	bells := j.bells()
	j.presence()
	j.ring(bells)
	logs := j.read(mainRoom, slowRoom, shutRoom)
	for _, room := range allRooms {
		r := j.f.room(room, logs[room])
		j.found = append(j.found, history.Check(r)...)
		j.t.Logf("%s: %v", room, history.Measure(r))
	}
	j.sessions()
	j.report()
}

// diaries writes down what became of the connections of all clients, in the order of time, where the logs of the processes are.
func (j *judge) diaries() {
	dir := os.Getenv("CHAOS_LOGS")
	if dir == "" {
		return
	}
	var lines []string
	for _, c := range j.f.all() {
		lines = append(lines, c.Record().Diary...)
	}
	slices.Sort(lines)
	file := filepath.Join(dir, logName(j.t)+"-clients.log")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		j.t.Error(err)
	}
}

// report fails the test for everything that was found.
func (j *judge) report() {
	j.diaries()
	for _, p := range j.c.all() {
		if text := p.panicked(); text != "" {
			j.t.Errorf("%s: %s", p.name, text)
		}
	}
	told := map[history.Rule]int{}
	for _, v := range j.found {
		if told[v.Rule]++; told[v.Rule] <= 8 {
			j.t.Error(v)
		}
	}
	for rule, n := range told {
		if n > 8 {
			j.t.Errorf("%s: %d in all", rule, n)
		}
	}
}

func (c *cluster) all() (all []*process) {
	for i := range size {
		all = append(all, c.nats[i].process, c.servers[i].process)
	}
	return all
}

// bells are clients that say something in every room at the end, one on each node: it is heard by all, and everything before it was, too.
func (j *judge) bells() (bells []*client.Client) {
	for i, url := range j.f.urls {
		bells = append(bells, j.f.add(client.Options{Name: fmt.Sprint("bell", i), URLs: []string{url}, Rooms: allRooms}))
	}
	if err := j.f.allReady(patience); err != nil {
		j.t.Error(err)
	}
	return bells
}

// rested waits until everybody has read all that waits for him: who is slow to the last would miss the bells, and rightly so.
func (j *judge) rested() {
	for _, c := range j.f.present() {
		err := until(j.t.Context(), patience, func(ctx context.Context) error {
			_, err := c.Members(ctx, c.Rooms[0]) // the answer comes behind what waits
			return err
		})
		if err != nil {
			j.t.Errorf("all is well, and %s gets no answer: %v", c.Name, err)
		}
	}
}

func (j *judge) ring(bells []*client.Client) {
	j.rested()
	for _, room := range allRooms {
		for _, bell := range bells {
			if sent, err := j.say(bell, room); err != nil {
				j.t.Errorf("all is well, and %s cannot publish in %s: %v", bell.Name, room, err)
			} else {
				j.heard(room, sent)
			}
		}
	}
}

// say lets a client publish in a room, where it has nothing else to say.
func (j *judge) say(bell *client.Client, room string) (history.ID, error) {
	ctx, cancel := context.WithTimeout(j.t.Context(), patience)
	defer cancel()
	err := bell.Publish(ctx, client.Sending{Room: room, Once: true})
	sent := bell.Published(room)
	return sent[len(sent)-1].ID, err
}

// heard waits until everybody in a room has got a message. Who has not, Check names.
func (j *judge) heard(room string, id history.ID) {
	for _, c := range j.f.present() {
		if !slices.Contains(c.Rooms, room) {
			continue
		}
		err := until(j.t.Context(), patience, func(context.Context) error {
			if !c.Saw(room, id) {
				return fmt.Errorf("%s has not got %v in %s", c.Name, id, room)
			}
			return nil
		})
		if err != nil {
			j.t.Errorf("all is well, and %v", err)
		}
	}
}

// end is how far anybody has come in a room.
func (j *judge) end(room string) (end history.Position) {
	for _, c := range j.f.present() {
		if slices.Contains(c.Rooms, room) {
			if at := c.Position(room); at.Offset >= end.Offset {
				end = at
			}
		}
	}
	return end
}

// read reads the whole history of rooms that keep everything, as somebody who comes for the first time and wants it all. A replay is no larger than the
// outbox, so that is done on one more node, whose outbox is large.
func (j *judge) read(rooms ...string) map[string][]history.Seen {
	logs := map[string][]history.Seen{}
	url, err := j.c.another("auditor", "--outbox", "1GiB")
	if err != nil {
		j.t.Errorf("a fresh node is not ready: %v", err)
		return logs
	}
	for _, room := range rooms {
		end := j.end(room)
		c := j.f.add(client.Options{Name: "late in " + room, URLs: []string{url}, Rooms: []string{room},
			From: map[string]history.Position{room: {Epoch: end.Epoch}}})
		err := until(j.t.Context(), 2*patience, func(context.Context) error {
			if at := c.Position(room); at != end {
				return fmt.Errorf("the history of %s ends at %v, want %v", room, at, end)
			}
			return nil
		})
		if err != nil {
			j.t.Error(err)
		}
		events := c.Reader(room).Events
		if len(events) > 0 && !events[0].Recovered {
			j.t.Errorf("the history of %s cannot be read from its begin to %v, though nothing of it is too old", room, end)
		}
		for _, e := range events {
			if e.Kind == history.Message {
				logs[room] = append(logs[room], history.Seen{ID: e.ID, At: e.At})
			}
		}
	}
	return logs
}
