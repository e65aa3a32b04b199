package main

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// traffic is bytes of TCP payload, as the kernel counts them: without headers of TCP and IP, with what was sent again.
type traffic struct{ out, in int64 }

func (t traffic) minus(o traffic) traffic { return traffic{t.out - o.out, t.in - o.in} }

// add adds what ss says of some connections.
func (t *traffic) add(text string) {
	for field := range strings.FieldsSeq(text) {
		name, value, _ := strings.Cut(field, ":")
		n, err := strconv.ParseInt(value, 10, 64)
		switch {
		case err != nil:
		case name == "bytes_sent":
			t.out += n
		case name == "bytes_received":
			t.in += n
		}
	}
}

// wire is what went over all connections to some addresses of this machine, seen from who made them.
func wire(addrs ...string) (t traffic, err error) {
	for _, addr := range addrs {
		_, port, _ := strings.Cut(addr, ":")
		out, err := exec.Command("ss", "-tinH", "state", "established", "dport", "=", ":"+port).Output()
		if err != nil {
			return t, fmt.Errorf("ss (package iproute2): %w", err)
		}
		t.add(string(out))
	}
	return t, nil
}

// wire is what goes over the connections between the servers of a cluster: to NATS, or between those that are NATS themselves.
func (c *cluster) wire() (traffic, error) {
	if c.nats != nil {
		return wire(c.natsAddr)
	}
	var routes []string
	for _, n := range c.nodes {
		routes = append(routes, n.route)
	}
	return wire(routes...)
}
