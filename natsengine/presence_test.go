package natsengine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roomcast/roomcast"
)

// testNode is a presence with a connection of its own, which the test can cut.
type testNode struct {
	*presence
	t     *testing.T
	nc    *nats.Conn
	audit *audit
}

// join starts a node of a cluster and waits until it is ready.
func join(t *testing.T, s *Server, name string, change ...func(*presenceConfig)) *testNode {
	t.Helper()
	n := begin(t, name, nil, change...)
	n.connect(s)
	eventually(t, name+" is ready", func() bool { return n.ready() == nil })
	return n
}

// begin makes a node that has no connection yet.
func begin(t *testing.T, name string, a *audit, change ...func(*presenceConfig)) *testNode {
	cfg := presenceConfig{
		node: name, prefix: "app", replicas: 1, lease: time.Second, linger: 500 * time.Millisecond, timeout: 5 * time.Second,
		logger: testLogger(t),
	}
	for _, c := range change {
		c(&cfg)
	}
	n := &testNode{presence: newPresence(cfg), t: t, audit: a}
	if a == nil {
		n.audit = newAudit(t)
	}
	n.watch(n.audit.changed)
	t.Cleanup(func() {
		n.close()
		if n.nc != nil {
			n.nc.Close()
		}
	})
	return n
}

func (n *testNode) connect(s *Server, o ...nats.Option) {
	n.t.Helper()
	o = append(o, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectJitter(time.Millisecond, time.Millisecond),
		nats.DisconnectErrHandler(func(*nats.Conn, error) { n.disconnected() }),
		nats.ReconnectHandler(func(*nats.Conn) { n.reconnected() }))
	var js jetstream.JetStream
	if url := s.ClientURL(); url != "" {
		var err error
		if n.nc, err = nats.Connect(url, o...); err != nil {
			n.t.Fatal(err)
		}
		if js, err = jetstream.New(n.nc); err != nil {
			n.t.Fatal(err)
		}
	} else {
		n.nc, js = dial(n.t, s, o...)
	}
	n.start(js)
}

// die ends a node as a killed process ends: nothing is taken out.
func (n *testNode) die() {
	n.nc.Close()
	n.disconnected()
	n.close()
}

// says waits until the node's table is exactly this: "id@node=info" for each member.
func (n *testNode) says(want ...string) {
	n.t.Helper()
	slices.Sort(want)
	var got []string
	deadline, ticker := time.Now().Add(patience), time.NewTicker(5*time.Millisecond)
	defer ticker.Stop()
	for time.Now().Before(deadline) {
		if got = n.audit.list(); slices.Equal(got, want) {
			return
		}
		<-ticker.C
	}
	n.t.Fatalf("%s has %v, not %v", n.cfg.node, got, want)
}

func (n *testNode) put(id, info string) { n.present(roomcast.Member{ID: id, Info: []byte(info)}) }
func (n *testNode) gone(id string)      { n.present(roomcast.Member{ID: id, Gone: true}) }

// audit follows the calls of a watcher and checks that they make sense.
type audit struct {
	t       *testing.T
	busy    atomic.Bool
	mu      sync.Mutex
	calls   int
	members map[string]roomcast.Member
	left    map[string]int // how often a member has gone
}

func newAudit(t *testing.T) *audit {
	return &audit{t: t, members: map[string]roomcast.Member{}, left: map[string]int{}}
}

func (a *audit) changed(members []roomcast.Member) {
	if a.busy.Swap(true) {
		a.t.Error("two calls at a time")
	}
	defer a.busy.Store(false)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls++
	for _, m := range members {
		if m.Gone {
			if _, ok := a.members[m.ID]; !ok {
				a.t.Errorf("%s is gone, who was not there", m.ID)
			}
			delete(a.members, m.ID)
			a.left[m.ID]++
			continue
		}
		a.members[m.ID] = m
	}
}

func (a *audit) list() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var list []string
	for id, m := range a.members {
		list = append(list, fmt.Sprintf("%s@%s=%s", id, m.Node, m.Info))
	}
	slices.Sort(list)
	return list
}

func (a *audit) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.members)
}

func (a *audit) timesLeft(id string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.left[id]
}

// keys are the keys in the bucket, without those of living nodes' leases.
func keys(t *testing.T, s *Server) []string {
	t.Helper()
	nc, js := dial(t, s)
	defer nc.Close()
	kv, err := js.KeyValue(t.Context(), "APP_PRESENCE")
	if err != nil {
		t.Fatal(err)
	}
	list, err := kv.Keys(t.Context())
	if err != nil && err != jetstream.ErrNoKeysFound {
		t.Fatal(err)
	}
	return list
}

// members are the keys of members.
func members(t *testing.T, s *Server) []string {
	return slices.DeleteFunc(keys(t, s), func(k string) bool { return strings.HasPrefix(k, leaseKey) })
}

func TestPresenceIsShared(t *testing.T) {
	s := runServer(t, ServerOptions{})
	a, b := join(t, s, "a"), join(t, s, "b")
	a.put("ann", "1")
	b.put("bob", "1")
	a.says("ann@a=1", "bob@b=1")
	b.says("ann@a=1", "bob@b=1")
	a.put("ann", "2")
	b.says("ann@a=2", "bob@b=1")
	late := newAudit(t)
	cancel := b.watch(late.changed)
	eventually(t, "who comes later is told all", func() bool { return late.count() == 2 })
	if late.calls != 1 {
		t.Errorf("in %d calls", late.calls)
	}
	cancel()
	if n, changes := b.stats(); n != 2 || changes < 3 {
		t.Errorf("it counts %d members, %d changes", n, changes)
	}
	b.gone("bob")
	a.says("ann@a=2")
	b.says("ann@a=2")
	if late.count() != 2 {
		t.Error("who has cancelled is told more")
	}
	a.gone("nobody")
	a.gone("ann")
	b.says()
	eventually(t, "no key is left", func() bool { return len(members(t, s)) == 0 })
}

func TestPresenceBeforeTheConnection(t *testing.T) {
	s := runServer(t, ServerOptions{})
	a := begin(t, "a", nil)
	a.put("ann", "1")
	a.put("bob", "1")
	a.gone("bob")
	a.says("ann@a=1")
	if err := a.ready(); err == nil || !strings.Contains(err.Error(), "connection") {
		t.Errorf("ready without a connection: %v", err)
	}
	a.connect(s)
	join(t, s, "b").says("ann@a=1")
}

func TestPresenceClose(t *testing.T) {
	s := runServer(t, ServerOptions{})
	a, b := join(t, s, "a"), join(t, s, "b", func(c *presenceConfig) { c.lease, c.linger = time.Minute, time.Minute })
	a.put("ann", "1")
	a.put("kim", "1")
	b.says("ann@a=1", "kim@a=1")
	b.put("kim", "2")
	a.says("ann@a=1", "kim@b=2")
	a.put("bob", "1")
	a.gone("bob")
	a.put("cid", "1")
	a.close()
	b.says("ann@a=1", "cid@a=1", "kim@b=2") // a's linger, and can be taken over
	want := []string{leaseKey + b.self, memberKey + "ann", memberKey + "cid", memberKey + "kim"}
	if got := keys(t, s); !slices.Equal(slices.Sorted(slices.Values(got)), want) {
		t.Errorf("the bucket has %v, not %v", got, want)
	}
	a.put("late", "1")
	b.put("cid", "2")
	b.says("ann@a=1", "cid@b=2", "kim@b=2")
}

func TestPresenceCloseWithoutAServer(t *testing.T) {
	s := runServer(t, ServerOptions{})
	a := join(t, s, "a")
	a.put("ann", "1")
	s.Close()
	start := time.Now()
	a.close()
	if d := time.Since(start); d > 15*time.Second {
		t.Errorf("closing took %v", d)
	}
}

func TestDeadNodesMembersGo(t *testing.T) {
	s := runServer(t, ServerOptions{})
	a, b, c := join(t, s, "a"), join(t, s, "b"), join(t, s, "c")
	a.put("ann", "1")
	a.put("kim", "1")
	b.put("bob", "1")
	c.says("ann@a=1", "bob@b=1", "kim@a=1")
	start := time.Now()
	a.die()
	c.put("kim", "2") // resumes there
	b.says("bob@b=1", "kim@c=2")
	if d := time.Since(start); d < a.cfg.linger+a.cfg.lease*2/3 {
		t.Errorf("they were gone after %v", d)
	}
	c.says("bob@b=1", "kim@c=2")
	if b.audit.timesLeft("kim") > 0 || c.audit.timesLeft("kim") > 0 {
		t.Error("a member that was taken over was gone in between")
	}
	eventually(t, "the dead node's keys are deleted", func() bool {
		list := keys(t, s)
		return !slices.Contains(list, leaseKey+a.self) && !slices.Contains(list, memberKey+"ann")
	})
}

func TestRestartWithStaleKeys(t *testing.T) {
	dir := t.TempDir()
	s := runServer(t, ServerOptions{Dir: dir})
	a := join(t, s, "a")
	a.put("ann", "1")
	a.put("kim", "1")
	eventually(t, "both are stored", func() bool { return len(members(t, s)) == 2 })
	a.die()
	s.Close()
	s = runServer(t, ServerOptions{Dir: dir})
	a2 := join(t, s, "a") // the same name, another life
	a2.says("ann@a=1", "kim@a=1")
	a2.put("kim", "2")
	a2.says("kim@a=2")
	if a2.audit.timesLeft("kim") > 0 {
		t.Error("a member that came back was gone in between")
	}
	eventually(t, "the stale keys are deleted", func() bool { return slices.Equal(members(t, s), []string{memberKey + "kim"}) && len(keys(t, s)) == 2 })
}

func TestReconnect(t *testing.T) {
	dir, addr := t.TempDir(), freeAddr(t)
	s := runServer(t, ServerOptions{Dir: dir, Listen: addr})
	a, b := join(t, s, "a"), join(t, s, "b")
	a.put("ann", "1")
	a.put("old", "1")
	b.put("bob", "1")
	b.says("ann@a=1", "bob@b=1", "old@a=1")
	for round := range 3 {
		s.Close()
		eventually(t, "a has noticed", func() bool { return a.ready() != nil })
		info := fmt.Sprint("round", round)
		a.put("ann", info)
		a.put("new", info)
		a.gone("old")
		s = runServer(t, ServerOptions{Dir: dir, Listen: addr})
		b.says("ann@a="+info, "bob@b=1", "new@a="+info)
		a.says("ann@a="+info, "bob@b=1", "new@a="+info)
	}
	eventually(t, "both are ready", func() bool { return a.ready() == nil && b.ready() == nil })
	if a.audit.timesLeft("bob") > 0 || b.audit.timesLeft("ann") > 0 {
		t.Error("a node that was cut off took others for dead")
	}
}

func TestLostDataAreSaidAgain(t *testing.T) {
	addr := freeAddr(t)
	s := runServer(t, ServerOptions{Listen: addr})
	a, b := join(t, s, "a"), join(t, s, "b")
	for i := range 20 {
		a.put("ann", fmt.Sprint(i))
	}
	b.put("bob", "1")
	b.says("ann@a=19", "bob@b=1")
	a.says("ann@a=19", "bob@b=1")
	s.Close()
	s = runServer(t, ServerOptions{Listen: addr}) // with another, empty Dir
	c := join(t, s, "c")
	c.says("ann@a=19", "bob@b=1")
	b.says("ann@a=19", "bob@b=1")
	a.gone("ann")
	c.says("bob@b=1")
	b.says("bob@b=1")
}

func TestDeletedByOthers(t *testing.T) {
	s := runServer(t, ServerOptions{})
	a, b := join(t, s, "a"), join(t, s, "b")
	a.put("ann", "1")
	b.says("ann@a=1")
	nc, js := dial(t, s)
	defer nc.Close()
	kv, err := js.KeyValue(t.Context(), "APP_PRESENCE")
	if err != nil {
		t.Fatal(err)
	}
	before, err := kv.Get(t.Context(), memberKey+"ann")
	if err != nil {
		t.Fatal(err)
	}
	if err := kv.Purge(t.Context(), memberKey+"ann"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is put again", func() bool {
		after, err := kv.Get(t.Context(), memberKey+"ann")
		return err == nil && after.Revision() > before.Revision()
	})
	b.says("ann@a=1")
	// The bucket may even go as a whole.
	if err := js.DeleteKeyValue(t.Context(), "APP_PRESENCE"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "everything is put again", func() bool {
		kv, err := js.KeyValue(t.Context(), "APP_PRESENCE")
		if err != nil {
			return false
		}
		_, err = kv.Get(t.Context(), memberKey+"ann")
		return err == nil
	})
	b.says("ann@a=1")
}

func TestStaleDeletionDoesNotStick(t *testing.T) {
	s := runServer(t, ServerOptions{})
	a, b := join(t, s, "a"), join(t, s, "b")
	// b takes over, and a, which does not know it yet, wants to delete: it must not take b's out.
	for i := range 50 {
		id := fmt.Sprint("m", i)
		a.put(id, "1")
		b.put(id, "2")
		a.gone(id)
	}
	want := map[string]bool{}
	eventually(t, "both agree", func() bool {
		return slices.Equal(a.audit.list(), b.audit.list()) && len(members(t, s)) == a.audit.count()
	})
	for _, m := range a.audit.list() {
		want[m] = strings.HasSuffix(m, "@b=2")
	}
	if slices.Contains(slices.Collect(maps.Values(want)), false) {
		t.Errorf("a deleted member is still a's: %v", want)
	}
}

// TestMarksDeleteThemselves shows what the server makes of the marks that deletions leave: the bucket does not grow with the members that come and go.
func TestMarksDeleteThemselves(t *testing.T) {
	s := runServer(t, ServerOptions{})
	a := join(t, s, "a")
	a.put("ann", "1")
	a.put("bob", "1")
	stream, err := a.js.Stream(t.Context(), "KV_APP_PRESENCE")
	if err != nil {
		t.Fatal(err)
	}
	subject := func(id string) string { return "$KV.APP_PRESENCE." + memberKey + id }
	eventually(t, "both are stored", func() bool { return len(members(t, s)) == 2 })
	a.gone("ann")
	eventually(t, "ann's mark has a time to live", func() bool {
		m, err := stream.GetLastMsgForSubject(t.Context(), subject("ann"))
		return err == nil && m.Header.Get(jetstream.MsgTTLHeader) == markerTTL.String()
	})
	mark := &nats.Msg{Subject: subject("ann"), Header: nats.Header{"KV-Operation": {"PURGE"}, jetstream.MsgRollup: {"sub"}, jetstream.MsgTTLHeader: {"1s"}}}
	if _, err := a.js.PublishMsg(t.Context(), mark); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a mark whose time is over is not there", func() bool {
		_, err := stream.GetLastMsgForSubject(t.Context(), subject("ann"))
		return errors.Is(err, jetstream.ErrMsgNotFound)
	})
	info, err := stream.Info(t.Context())
	if err != nil || info.State.Msgs != 2 {
		t.Errorf("the bucket has %d messages, not one member and one lease (%v)", info.State.Msgs, err)
	}
	a.says("bob@a=1")
}
