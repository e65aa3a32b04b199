//go:build unix

package chaos

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/chaos/proxy"
)

const (
	size = 3 // of both clusters

	lease     = 2 * time.Second  // of a server node in the table of presence
	startTime = 60 * time.Second // for a cluster to be ready, on a machine that has other things to do
)

// natsNode is one NATS server.
type natsNode struct {
	*process
	client  string // address for clients
	monitor string
	disk    *disk // nil if its disk is never full
}

// serverNode is one `roomcast serve`.
type serverNode struct {
	*process
	addr  string
	links [size]*proxy.Link // to each NATS node, its own
}

// cluster is all processes and the links between them.
type cluster struct {
	t       *testing.T
	nats    [size]*natsNode
	servers [size]*serverNode
	routes  [size][size]*proxy.Link // from one NATS node to another
	ttl     time.Duration           // how long a session waits for its client
	flags   []string                // of serve
}

// newCluster starts everything and returns when it is ready. The flags are those of serve besides the cluster's.
func newCluster(t *testing.T, ttl time.Duration, flags ...string) *cluster {
	t.Helper()
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, ttl: ttl, flags: flags}
	c.makeNATS(bin.nats)
	c.makeServers(bin.roomcast)
	for _, n := range c.nats {
		if err := n.start(); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range c.servers {
		if err := s.start(); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	if err := c.ready(startTime); err != nil {
		t.Fatalf("the cluster does not begin: %v", err)
	}
	t.Logf("three NATS nodes and three servers, ready after %v; the disk of NATS node %d is %s", time.Since(began).Round(time.Millisecond), 0, c.nats[0].disk.kind)
	return c
}

// natsConfig is the configuration of one NATS node. Nodes advertise an address at which nobody is, so that they and the servers go no other way
// than over the links; and they notice within seconds that a link is dead.
const natsConfig = `server_name: %s
listen: %q
http: %q
ping_interval: "2s"
ping_max: 2
write_deadline: "5s"
jetstream { store_dir: %q, max_file_store: 8GB, max_memory_store: 64MB }
cluster {
  name: chaos
  listen: %q
  advertise: "127.0.0.1:1"
  no_advertise: true
  ping_interval: "2s"
  ping_max: 2
  routes: [%s]
}
`

func (c *cluster) makeNATS(bin string) {
	var routes [size]string
	for i := range size {
		routes[i] = freeAddr(c.t)
	}
	for i := range size {
		n := &natsNode{client: freeAddr(c.t), monitor: freeAddr(c.t)}
		c.nats[i] = n
		dir := c.t.TempDir()
		if logs := os.Getenv("CHAOS_LOGS"); logs != "" {
			dir = filepath.Join(logs, fmt.Sprintf("%s-nats%d", logName(c.t), i))
		}
		if i == 0 {
			n.disk = newDisk(c.t)
			dir = n.disk.dir
		}
		var peers []string
		for j := range size {
			if j != i {
				c.routes[i][j] = c.link(routes[j])
				peers = append(peers, fmt.Sprintf("%q", "nats-route://"+c.routes[i][j].Addr()))
			}
		}
		name := fmt.Sprintf("nats%d", i)
		file := filepath.Join(c.t.TempDir(), name+".conf")
		text := fmt.Sprintf(natsConfig, name, n.client, n.monitor, filepath.Join(dir, "store"), routes[i], strings.Join(peers, ", "))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			c.t.Fatal(err)
		}
		n.process = newProcess(c.t, name, bin, "-c", file)
	}
}

func (c *cluster) makeServers(bin string) {
	for i := range size {
		s := &serverNode{addr: freeAddr(c.t)}
		c.servers[i] = s
		var urls []string
		for j := range size {
			s.links[j] = c.link(c.nats[j].client)
			urls = append(urls, "nats://"+s.links[j].Addr())
		}
		s.process = newProcess(c.t, fmt.Sprintf("server%d", i), bin, c.serve(s.addr, fmt.Sprintf("node%d", i), urls)...)
	}
}

// serve is the command line of a server node.
func (c *cluster) serve(addr, node string, urls []string, more ...string) []string {
	args := []string{"serve", "--addr", addr, "--node", node, "--nats", strings.Join(urls, ","), "--nats-replicas", fmt.Sprint(size),
		"--lease", lease.String(), "--session-ttl", c.ttl.String(), "--drain", "3s", "--ping-interval", "10s"}
	return append(append(args, c.flags...), more...)
}

// another starts one more server node, which comes fresh into the cluster, and returns where clients connect. It goes at the end of the test.
func (c *cluster) another(name string, flags ...string) (string, error) {
	bin, err := binaries()
	if err != nil {
		return "", err
	}
	var urls []string
	for _, n := range c.nats {
		urls = append(urls, "nats://"+n.client)
	}
	addr := freeAddr(c.t)
	p := newProcess(c.t, name, bin.roomcast, c.serve(addr, name, urls, flags...)...)
	if err := p.start(); err != nil {
		return "", err
	}
	return "http://" + addr + "/ws", until(c.t.Context(), startTime, func(ctx context.Context) error { return well(ctx, "http://"+addr+"/readyz") })
}

func (c *cluster) link(target string) *proxy.Link {
	l, err := proxy.Listen(target)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(l.Close)
	return l
}

// urls are where clients connect.
func (c *cluster) urls() (all []string) {
	for _, s := range c.servers {
		all = append(all, "http://"+s.addr+"/ws")
	}
	return all
}

// ready waits until all processes say that they are well.
func (c *cluster) ready(bound time.Duration) error {
	return until(c.t.Context(), bound, func(ctx context.Context) error {
		for _, n := range c.nats {
			if err := well(ctx, "http://"+n.monitor+"/healthz"); err != nil {
				return fmt.Errorf("%s: %w", n.name, err)
			}
		}
		for _, s := range c.servers {
			if err := well(ctx, "http://"+s.addr+"/readyz"); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
		return nil
	})
}

// heal ends whatever is done to the cluster.
func (c *cluster) heal() error {
	for i := range size {
		for j := range size {
			c.servers[i].links[j].Set(proxy.Open)
			if i != j {
				c.routes[i][j].Set(proxy.Open)
			}
		}
	}
	for _, n := range c.nats {
		if n.disk != nil {
			if err := n.disk.empty(n.process); err != nil {
				return err
			}
		}
		if err := revive(n.process); err != nil {
			return err
		}
	}
	for _, s := range c.servers {
		if err := revive(s.process); err != nil {
			return err
		}
	}
	return nil
}

// revive has a process run that was killed or paused.
func revive(p *process) error {
	if p.paused {
		p.carryOn()
	}
	if !p.running() {
		return p.start()
	}
	return nil
}
