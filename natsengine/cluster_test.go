package natsengine

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// patience is how long tests wait for what must happen.
const patience = 30 * time.Second

// eventually waits until cond holds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline, ticker := time.Now().Add(patience), time.NewTicker(5*time.Millisecond)
	defer ticker.Stop()
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("after %v not yet: %s", patience, what)
		}
		<-ticker.C
	}
}

// testLogger writes to the test until it ends.
func testLogger(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
}

// runServer runs a server until the test ends.
func runServer(t *testing.T, o ServerOptions) *Server {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	s, err := RunServer(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// freeAddr is a loopback address at which nobody listens.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// testCluster is servers in this process that are clustered over loopback.
type testCluster struct {
	t       *testing.T
	options []ServerOptions
	servers []*Server
}

// runCluster runs n servers that clients of other processes can connect to until the test ends, and waits until streams of n replicas can be made.
func runCluster(t *testing.T, n int) *testCluster {
	t.Helper()
	return runClusterOf(t, n, func() string { return freeAddr(t) })
}

// runClusterOf is runCluster with servers that listen there.
func runClusterOf(t *testing.T, n int, listen func() string) *testCluster {
	t.Helper()
	c := &testCluster{t: t, servers: make([]*Server, n)}
	addrs := make([]string, n)
	for i := range addrs {
		addrs[i] = freeAddr(t)
	}
	for i := range n {
		c.options = append(c.options, ServerOptions{
			Dir: t.TempDir(), Name: fmt.Sprintf("s%d", i), ClusterListen: addrs[i], Peers: addrs, Listen: listen(),
		})
		c.start(i)
	}
	t.Cleanup(func() {
		for i := range n {
			c.stop(i)
		}
	})
	nc, js := dial(t, c.servers[0])
	defer nc.Close()
	eventually(t, "the cluster makes a stream on all servers", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second) // who asks while there is no leader gets no answer
		defer cancel()
		s, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: "PROBE", Replicas: n})
		return err == nil && s.CachedInfo().Cluster.Leader != "" && js.DeleteStream(ctx, "PROBE") == nil
	})
	return c
}

func (c *testCluster) start(i int) {
	c.t.Helper()
	s, err := RunServer(c.options[i])
	if err != nil {
		c.t.Fatal(err)
	}
	c.servers[i] = s
}

func (c *testCluster) stop(i int) {
	if c.servers[i] != nil {
		c.servers[i].Close()
		c.servers[i] = nil
	}
}

// dial connects to a server within the process, for as long as it takes.
func dial(t *testing.T, s *Server, o ...nats.Option) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	nc, err := nats.Connect("", append(o, s.inProcess())...)
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return nc, js
}
