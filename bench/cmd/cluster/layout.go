package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// layout is how servers are put together.
type layout struct {
	name     string
	nodes    int  // Roomcast servers
	external bool // with a NATS server beside them
	embedded bool // with NATS in them
}

// layouts.
var (
	inMemory  = layout{name: "memory", nodes: 1}
	embedded1 = layout{name: "1 embedded (R1)", nodes: 1, embedded: true}
	embedded3 = layout{name: "3 embedded (R3)", nodes: 3, embedded: true}
	external1 = layout{name: "1 + nats-server (R1)", nodes: 1, external: true}
	external2 = layout{name: "2 + nats-server (R1)", nodes: 2, external: true}
	external3 = layout{name: "3 + nats-server (R1)", nodes: 3, external: true}
)

// flags are those of every Roomcast server: no limits on rates, since the generator is a few clients that do the work of many.
var flags = []string{"--log-level", "warn", "--max-message-rate", "0", "--max-byte-rate", "0", "--max-join-rate", "0", "--history", "log/**=1000,1h"}

// node is one Roomcast server.
type node struct {
	*process
	addr  string
	route string // at which its peers reach it; "" without any
	args  []string
	name  string
}

// cluster is what runs for a case.
type cluster struct {
	b        *bench
	nodes    []*node
	nats     *process // nil if there is none
	natsAddr string
	dir      string
}

// startCluster starts all servers of a layout and waits until they are ready.
func (b *bench) startCluster(l layout) (c *cluster, err error) {
	c = &cluster{b: b}
	defer func() {
		if err != nil {
			c.stop()
		}
	}()
	if c.dir, err = os.MkdirTemp(b.work, "data"); err != nil {
		return c, err
	}
	if l.external {
		if c.natsAddr, err = freeAddr(); err != nil {
			return c, err
		}
		host, port, _ := strings.Cut(c.natsAddr, ":")
		if c.nats, err = b.start("nats", b.nats, "-a", host, "-p", port, "-js", "-sd", filepath.Join(c.dir, "nats")); err != nil {
			return c, err
		}
	}
	for i := range l.nodes {
		n := &node{name: fmt.Sprintf("node%d", i)}
		c.nodes = append(c.nodes, n)
		if n.addr, err = freeAddr(); err != nil {
			return c, err
		}
		if l.embedded && l.nodes > 1 {
			if n.route, err = freeAddr(); err != nil {
				return c, err
			}
		}
	}
	for i, n := range c.nodes {
		n.args = append(slices.Clone(flags), "--addr", n.addr)
		switch {
		case l.external:
			n.args = append(n.args, "--nats", "nats://"+c.natsAddr, "--node", n.name)
		case l.embedded:
			n.args = append(n.args, "--nats", "embedded", "--node", n.name, "--data", filepath.Join(c.dir, n.name))
			n.args = append(n.args, c.routesOf(i)...)
		}
		if err = c.startNode(i); err != nil {
			return c, err
		}
	}
	return c, c.ready()
}

// routesOf are the flags by which a node finds its peers.
func (c *cluster) routesOf(i int) (args []string) {
	if len(c.nodes) == 1 {
		return nil
	}
	var peers []string
	for j, other := range c.nodes {
		if j != i {
			peers = append(peers, other.route)
		}
	}
	return []string{"--cluster-listen", c.nodes[i].route, "--cluster-peers", strings.Join(peers, ",")}
}

func (c *cluster) startNode(i int) (err error) {
	n := c.nodes[i]
	n.process, err = c.b.start(n.name, c.b.roomcast, append([]string{"serve"}, n.args...)...)
	return err
}

func (c *cluster) ready() error {
	for _, n := range c.nodes {
		if err := ready("http://"+n.addr+"/readyz", n.process); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) stop() {
	for _, n := range c.nodes {
		if n.process != nil {
			n.kill()
		}
	}
	if c.nats != nil {
		c.nats.kill()
	}
	_ = os.RemoveAll(c.dir) // the folder above it goes at the end
}

// cpu is the CPU time of all servers.
func (c *cluster) cpu() (all time.Duration) {
	for _, n := range c.nodes {
		all += n.cpu()
	}
	if c.nats != nil {
		all += c.nats.cpu()
	}
	return all
}

// gauge is what the machine has done so far.
type gauge struct {
	at                        time.Time
	servers, own, all, stolen time.Duration
}

func (c *cluster) gauge() gauge {
	g := gauge{at: time.Now(), servers: c.cpu(), own: own()}
	g.all, g.stolen = busy()
	return g
}

// What disturbs: percent of a processor.
const (
	others = "others_cpu_%"
	stolen = "stolen_%"
)

// since is what it has done since g: the servers' CPU time, and how much of a processor others had besides.
func (c *cluster) since(g gauge) (took, servers time.Duration, noise []figure) {
	now := c.gauge()
	took, servers = now.at.Sub(g.at), now.servers-g.servers
	mine := now.own - g.own
	share := func(d time.Duration) float64 { return 100 * max(0, d.Seconds()) / took.Seconds() }
	return took, servers, []figure{{"servers_cpu_%", share(servers)}, {"generator_cpu_%", share(mine)},
		{others, share(now.all - g.all - servers - mine)}, {stolen, share(now.stolen - g.stolen)}}
}

// each measures every layout once in each round.
func (b *bench) each(layouts []layout, measure func(c *cluster, l layout, round int) error) error {
	for round := range b.rounds {
		for _, l := range layouts {
			if !b.wants(l.name) {
				continue
			}
			c, err := b.startCluster(l)
			if err == nil {
				err = measure(c, l, round)
				c.stop()
			}
			if err != nil {
				return fmt.Errorf("%s: %w", l.name, err)
			}
		}
	}
	return nil
}
