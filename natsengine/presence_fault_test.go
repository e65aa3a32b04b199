package natsengine

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// gate is a node's way to its server, which the test can cut.
type gate struct {
	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

// Dial is nats.CustomDialer.
func (g *gate) Dial(network, address string) (net.Conn, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cut {
		return nil, errors.New("the way is cut")
	}
	c, err := net.DialTimeout(network, address, time.Second)
	if err == nil {
		g.conns = append(g.conns, c)
	}
	return c, err
}

func (g *gate) set(cut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cut = cut
	if cut {
		for _, c := range g.conns {
			c.Close()
		}
		g.conns = nil
	}
}

func TestNodeThatWasCutOffComesBack(t *testing.T) {
	s := runServer(t, ServerOptions{Listen: "127.0.0.1:0"})
	var g gate
	a := begin(t, "a", nil)
	a.connect(s, nats.SetCustomDialer(&g))
	b := join(t, s, "b")
	a.put("ann", "1")
	a.put("kim", "1")
	b.put("bob", "1")
	a.says("ann@a=1", "bob@b=1", "kim@a=1")
	b.says("ann@a=1", "bob@b=1", "kim@a=1")
	for range 2 {
		g.set(true)
		b.says("bob@b=1") // for b it is dead
		b.put("kim", "2")
		a.put("new", "1")
		a.says("ann@a=1", "bob@b=1", "kim@a=1", "new@a=1")
		if err := a.ready(); err == nil || !strings.Contains(err.Error(), "lost") {
			t.Errorf("ready without a connection: %v", err)
		}
		g.set(false)
		a.says("ann@a=1", "bob@b=1", "kim@b=2", "new@a=1")
		b.says("ann@a=1", "bob@b=1", "kim@b=2", "new@a=1")
		a.put("kim", "1")
		a.gone("new")
		b.says("ann@a=1", "bob@b=1", "kim@a=1")
	}
	if a.audit.timesLeft("bob") > 0 {
		t.Error("the node that was cut off took the other one for dead")
	}
}

func TestClusterLosesAServer(t *testing.T) {
	if testing.Short() {
		t.Skip("three servers")
	}
	c := runCluster(t, 3)
	replicated := func(cfg *presenceConfig) { cfg.replicas, cfg.lease = 3, 2*time.Second }
	var nodes []*testNode
	for i, s := range c.servers {
		nodes = append(nodes, join(t, s, fmt.Sprint("n", i), replicated))
	}
	everywhere := func(want ...string) {
		t.Helper()
		for _, n := range nodes {
			if n != nil {
				n.says(want...)
			}
		}
	}
	nodes[0].put("ann", "1")
	nodes[1].put("bob", "1")
	nodes[2].put("cid", "1")
	everywhere("ann@n0=1", "bob@n1=1", "cid@n2=1")

	// The server with the leader of the bucket goes, but no node dies: the one that used it is cut off for longer than its lease.
	stream, err := nodes[0].js.Stream(t.Context(), "KV_APP_PRESENCE")
	if err != nil {
		t.Fatal(err)
	}
	lost := 0
	for i, o := range c.options {
		if o.Name == stream.CachedInfo().Cluster.Leader {
			lost = i
		}
	}
	rest := (lost + 1) % 3
	c.stop(lost)
	nodes[rest].put("dan", "1")
	other := (lost + 2) % 3
	eventually(t, "the others go on", func() bool {
		return strings.Contains(fmt.Sprint(nodes[other].audit.list()), "dan@")
	})
	c.start(lost)
	want := []string{"ann@n0=1", "bob@n1=1", "cid@n2=1", fmt.Sprintf("dan@n%d=1", rest)}
	everywhere(want...)
	for _, n := range nodes {
		eventually(t, n.cfg.node+" is ready again", func() bool { return n.ready() == nil })
	}

	// A node dies together with its server.
	c.stop(lost)
	nodes[lost].die()
	nodes[lost] = nil
	want = append(want[:lost], want[lost+1:]...)
	everywhere(want...)
	if nodes[rest].audit.timesLeft(map[int]string{0: "ann", 1: "bob", 2: "cid"}[other]) > 0 {
		t.Error("a member of a node that lived was gone in between")
	}
}
