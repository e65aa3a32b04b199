package client

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roomcast/roomcast/internal/chaos/history"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// watch runs two clients that send, one of which loses its network again and again, and one that reads and does as well, and returns what they saw.
func watch(t *testing.T, wrong string) (history.Room, []history.Violation) {
	t.Helper()
	_, urls := serveFake(t, wrong)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	began := time.Now()
	var all []*Client
	for i := range 3 {
		c := New(Options{Name: "c" + strconv.Itoa(i), URLs: urls, Rooms: []string{"r"}, Seed: uint64(i), Began: began})
		c.Start()
		defer c.End(i == 0)
		all = append(all, c)
		if err := c.Ready(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 30 {
		for i, c := range all[:2] {
			if err := c.Publish(ctx, Sending{Room: "r", Once: true, Silent: n%5 == 0}); err != nil {
				t.Fatal(err)
			}
			if n%10 == 5 { // right after something silent
				all[i+1].Drop(50*time.Millisecond, n%20 == 5)
				all[1].Drop(0, false)
			}
		}
		moments(ctx, 10*time.Millisecond)
	}
	if err := all[0].Publish(ctx, Sending{Room: "r", Once: true}); err != nil {
		t.Fatal(err)
	}
	return collect(t, ctx, all)
}

// collect waits until all have the last message, as far as the server lets them, and puts together what they saw.
func collect(t *testing.T, ctx context.Context, all []*Client) (history.Room, []history.Violation) {
	t.Helper()
	sent := all[0].Published("r")
	last := sent[len(sent)-1].ID
	r := history.Room{Name: "r", Keeps: history.Everything}
	var complaints []history.Violation
	for _, c := range all {
		if err := c.Ready(ctx); err != nil {
			t.Fatal(err)
		}
		for range 40 {
			if c.Saw("r", last) {
				break
			}
			moments(ctx, 10*time.Millisecond)
		}
		r.Readers = append(r.Readers, c.Reader("r"))
		r.Publishes = append(r.Publishes, c.Published("r")...)
		complaints = append(complaints, c.Record().Complaints...)
	}
	late := New(Options{Name: "late", URLs: all[0].URLs, Rooms: []string{"r"}, From: map[string]history.Position{"r": {Epoch: fakeEpoch}}, Began: time.Now()})
	late.Start()
	defer late.End(true)
	for range 40 {
		if late.Saw("r", last) {
			break
		}
		moments(ctx, 10*time.Millisecond)
	}
	for _, e := range late.Reader("r").Events {
		if e.Kind == history.Message {
			r.Log = append(r.Log, history.Seen{ID: e.ID, At: e.At})
		}
	}
	return r, complaints
}

// TestHonest holds that a client of a server that does everything right sees nothing wrong, whatever happens to its network.
func TestHonest(t *testing.T) {
	r, complaints := watch(t, "")
	if found := append(history.Check(r), complaints...); len(found) > 0 {
		t.Errorf("the server does nothing wrong, and it is found: %v", found)
	}
	if f := history.Measure(r); f.Acked != 61 || f.Delivered != f.Due || f.Restored < 5 {
		t.Errorf("%+v, want 61 acknowledged, all delivered, and five reconnects or more", f)
	}
}

// TestDishonest holds that whatever a server does wrong is found in what its clients saw.
func TestDishonest(t *testing.T) {
	for wrong, rule := range map[string]history.Rule{
		"own in replay":              history.RuleOwn,
		"replay lacks the first":     history.RuleSilentGap,
		"not recovered":              history.RuleFalseGap,
		"replay begins too early":    history.RuleTwice,
		"loses what it acknowledged": history.RuleLost,
		"acknowledges first":         history.RuleOwnLate,
	} {
		t.Run(wrong, func(t *testing.T) {
			t.Parallel()
			r, complaints := watch(t, wrong)
			found := append(history.Check(r), complaints...)
			if !slices.ContainsFunc(found, func(v history.Violation) bool { return v.Rule == rule }) {
				t.Errorf("it is found: %v, and not %q", found, rule)
			}
		})
	}
}

func TestMembers(t *testing.T) {
	_, urls := serveFake(t, "")
	c := New(Options{Name: "c", URLs: urls, Began: time.Now()})
	c.Start()
	defer c.End(true)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if got, err := c.Members(ctx, "r"); err != nil || !slices.Equal(got, []string{c.Record().Connection}) {
		t.Errorf("Members = %v, %v, want itself", got, err)
	}
}

// TestStall holds that a client that stalls reads nothing meanwhile and everything afterwards, over the same connection.
func TestStall(t *testing.T) {
	_, urls := serveFake(t, "")
	slow := New(Options{Name: "slow", URLs: urls, Rooms: []string{"r"}, Began: time.Now()})
	fast := New(Options{Name: "fast", URLs: urls, Rooms: []string{"r"}, Began: time.Now()})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, c := range []*Client{slow, fast} {
		c.Start()
		defer c.End(false)
		if err := c.Ready(ctx); err != nil {
			t.Fatal(err)
		}
	}
	slow.Stall(300 * time.Millisecond)
	for range 3 { // one may be under way to it already
		if err := fast.Publish(ctx, Sending{Room: "r", Once: true}); err != nil {
			t.Fatal(err)
		}
	}
	if slow.Saw("r", history.ID{By: "fast", Seq: 3}) {
		t.Error("a client that stalls has read on")
	}
	for !slow.Saw("r", history.ID{By: "fast", Seq: 3}) {
		if moments(ctx, 10*time.Millisecond); ctx.Err() != nil {
			t.Fatal("it has not read after it stalled")
		}
	}
	if n := slow.Record().Conns; n != 1 {
		t.Errorf("it has had %d connections, want 1", n)
	}
}
