package roomcasttest

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast"
)

// patience is how long the suite waits for what comes from other nodes, or with time.
const patience = 20 * time.Second

// The limits of SuiteRetention that the suite tries.
const (
	shortMessages = 10
	briefAge      = time.Second
	smallBytes    = 1 << 20
)

// SuiteRetention is the Options.History, or whatever it is called, with which EngineSuite wants its engines: rooms whose names begin
// with "log/", "short/", "brief/" and "small/", and last a kind for all others but those that begin with "live/". It matches the first ones
// too, and the program's own, which begin with "\x01".
func SuiteRetention() []roomcast.Retention {
	begins := func(prefix string) func(string) bool {
		return func(room string) bool { return strings.HasPrefix(room, prefix) }
	}
	return []roomcast.Retention{
		{Name: "log", Match: begins("log/"), Messages: 10_000},
		{Name: "short", Match: begins("short/"), Messages: shortMessages},
		{Name: "brief", Match: begins("brief/"), Age: briefAge},
		{Name: "small", Match: begins("small/"), Bytes: smallBytes},
		{Name: "rest", Match: func(room string) bool { return !strings.HasPrefix(room, "live/") }, Messages: 10_000, Bytes: 64 << 20},
	}
}

// EngineSuite holds an engine to the documentation of roomcast.Engine.
//
// cluster returns so many nodes of a cluster of their own, made with SuiteRetention and ready for use. They may have state of former runs: the
// names of rooms and members are new in every run. It closes them when its t ends. If an engine has a method Close, with or without an
// error, the suite also closes a node and looks at what the others see of it; that node is then closed twice.
//
// What other nodes do is waited for, for 20 seconds. Messages may be lost between nodes in rooms that keep no history, but not when they are
// sent one at a time: the suite would wait for them in vain.
func EngineSuite(t *testing.T, cluster func(t *testing.T, nodes int) []roomcast.Engine) {
	s := &suite{run: rand.Text()[:8], nodes: cluster(t, 3)}
	if len(s.nodes) != 3 {
		t.Fatalf("cluster(t, 3) returned %d engines", len(s.nodes))
	}
	for _, part := range []struct {
		name string
		run  func(t *testing.T)
	}{
		{"Node", s.testNode},
		{"Publish", s.testPublish},
		{"Once", s.testOnce},
		{"Subscribe", s.testSubscribe},
		{"History", s.testHistory},
		{"Retention", s.testRetention},
		{"Live", s.testLive},
		{"Rooms", s.testRooms},
		{"Presence", s.testPresence},
	} {
		t.Run(part.name, part.run)
	}
	t.Run("Close", func(t *testing.T) { s.testClose(t, cluster(t, 2)) })
}

// suite is one run of EngineSuite.
type suite struct {
	run   string // in the names of rooms and members
	nodes []roomcast.Engine
	names int // how many names there are so far
}

func (s *suite) testNode(t *testing.T) {
	seen := map[string]bool{}
	for i, node := range s.nodes {
		name := node.Node()
		if name == "" {
			t.Errorf(`node %d of a cluster is named ""; that says that there can be no others`, i)
		}
		if seen[name] {
			t.Errorf("two nodes are named %q", name)
		}
		seen[name] = true
		if again := node.Node(); again != name {
			t.Errorf("a node is named %q, and then %q", name, again)
		}
	}
}

// name returns one that nobody has used, and that begins with prefix.
func (s *suite) name(prefix string) string {
	s.names++
	return fmt.Sprintf("%s%s-%d", prefix, s.run, s.names)
}

// texts returns entries with these texts.
func texts(of ...string) []roomcast.Entry {
	entries := make([]roomcast.Entry, len(of))
	for i, text := range of {
		entries[i].Message = roomcast.Text(text)
	}
	return entries
}

// numbered returns n entries with texts that begin with prefix, and are numbered from 0.
func numbered(prefix string, n int) []roomcast.Entry {
	entries := make([]roomcast.Entry, n)
	for i := range entries {
		entries[i].Message = roomcast.Text(fmt.Sprint(prefix, i))
	}
	return entries
}

// bounded is the context of a call that ought to return soon.
func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// publish publishes, and returns the entries as Publish left them.
func publish(t *testing.T, node roomcast.Engine, room string, entries ...roomcast.Entry) []roomcast.Entry {
	t.Helper()
	if err := node.Publish(bounded(t), room, entries); err != nil {
		t.Fatalf("Publish of %d entries to %.60q on node %q: %v", len(entries), room, node.Node(), err)
	}
	return entries
}

// history asks for entries of a room, which has to work.
func history(t *testing.T, node roomcast.Engine, room string, since roomcast.Position, limit int) []roomcast.Entry {
	t.Helper()
	entries, err := node.History(bounded(t), room, since, limit)
	if err != nil {
		t.Fatalf("History(%.60q, %s, %d) on node %q: %v", room, place(since), limit, node.Node(), err)
	}
	return entries
}

// eventually asks again and again until wrong returns "". If that takes too long, it fails the test with what wrong returned last.
func eventually(t *testing.T, wrong func() string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	again := time.NewTicker(3 * time.Millisecond)
	defer again.Stop()
	for {
		what := wrong()
		if what == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v still: %s", patience, what)
		}
		<-again.C
	}
}

// place writes a position.
func place(p roomcast.Position) string { return fmt.Sprintf("%s:%d", p.Epoch, p.Offset) }
