package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/memengine"
	"github.com/roomcast/roomcast/natsengine"
)

// engines are what a relay may have behind its rooms.
var engines = []string{"none", "memory", "nats"}

// relay is a server of rooms without a history, with an engine that keeps one of others. It ends with its process.
func relay(engine string) error {
	addr, dir, _ := strings.Cut(os.Getenv("RELAY"), " ")
	options := roomcast.Options{}
	kept := []roomcast.Retention{{Name: "log", Match: func(room string) bool { return strings.HasPrefix(room, "log/") }}}
	switch engine {
	case "none":
	case "memory":
		options.Engine = memengine.New(memengine.Options{History: kept})
	case "nats":
		server, err := natsengine.RunServer(natsengine.ServerOptions{Dir: dir})
		if err != nil {
			return err
		}
		e, err := natsengine.New(natsengine.Options{Server: server, History: kept, Logger: slog.Default()})
		if err != nil {
			return err
		}
		for e.Ready() != nil {
			time.Sleep(10 * time.Millisecond)
		}
		options.Engine = e
	default:
		return fmt.Errorf("there is no engine %q", engine)
	}
	rooms := roomcast.New(roomcast.Handler{Relay: true, Connect: func(c *roomcast.Conn, r *http.Request) error { return c.Join(r.PathValue("room")) }}, options)
	mux := http.NewServeMux()
	mux.Handle("/rooms/{room}", rooms)
	mux.HandleFunc("/readyz", func(http.ResponseWriter, *http.Request) {})
	return http.ListenAndServe(addr, mux)
}

// local measures what local deliveries cost in rooms without a history, with each engine against none. They take turns.
func (b *bench) local() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for _, load := range []struct {
		name string
		args []string
	}{
		{"1,000 members, 32 messages on the way", []string{"--conns", "1000", "--senders", "4", "--window", "8"}},
		{"1,000 members, 40 messages a second", []string{"--conns", "1000", "--senders", "4", "--rate", "40"}},
		{"100 rooms of 10, 1 message on the way in each", []string{"--conns", "1000", "--rooms", "100", "--senders", "100", "--window", "1"}},
	} {
		if !b.wants(load.name) {
			continue
		}
		for round := range b.rounds {
			if err := b.calmly("local", load.name, round, func() ([]figure, error) { return b.compared(self, load.args, round) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// compared measures all engines once, in an order that gives each the first, the second and the third turn.
func (b *bench) compared(self string, load []string, round int) (noise []figure, err error) {
	order := slices.Clone(engines)
	for range round % len(order) {
		order = append(order[1:], order[0])
	}
	cost := map[string]float64{}
	for _, engine := range order {
		var more []figure
		if cost[engine], more, err = b.relayed(self, engine, load); err != nil {
			return nil, fmt.Errorf("%s: %w", engine, err)
		}
		noise = worst(noise, more)
	}
	return append([]figure{{"none_ns", cost["none"]}, {"memory_ns", cost["memory"]}, {"nats_ns", cost["nats"]},
		{"memory/none", cost["memory"] / cost["none"]}, {"nats/none", cost["nats"] / cost["none"]}}, noise...), nil
}

// worst takes the larger of each figure.
func worst(a, b []figure) []figure {
	for i := range a {
		b[i].value = max(a[i].value, b[i].value)
	}
	return b
}

// relayed measures one engine once, with `roomcast bench` as the generator: nanoseconds of the server's CPU time for each delivery.
func (b *bench) relayed(self, engine string, load []string) (float64, []figure, error) {
	addr, err := freeAddr()
	if err != nil {
		return 0, nil, err
	}
	dir, err := os.MkdirTemp(b.work, "relay")
	if err != nil {
		return 0, nil, err
	}
	if err := os.Setenv("RELAY", addr+" "+filepath.Join(dir, "nats")); err != nil {
		return 0, nil, err
	}
	p, err := b.start("relay-"+engine, self, "relay", engine)
	if err != nil {
		return 0, nil, err
	}
	defer p.kill()
	if err := ready("http://"+addr+"/readyz", p); err != nil {
		return 0, nil, err
	}
	c := &cluster{b: b, nodes: []*node{{process: p}}}
	g := c.gauge()
	args := append([]string{"bench", "ws://" + addr, "--pid", fmt.Sprint(p.cmd.Process.Pid), "--json", "--no-progress", "--size", fmt.Sprint(payload),
		"--duration", b.seconds.String(), "--warmup", b.warm.String()}, load...)
	out, err := exec.Command(b.roomcast, args...).Output()
	if err != nil {
		return 0, nil, fmt.Errorf("roomcast bench: %w: %s", err, out)
	}
	_, _, noise := c.since(g)
	var result struct {
		Server struct {
			PerDelivery float64 `json:"cpu_ns_per_delivery"`
		}
	}
	if err := json.Unmarshal(out, &result); err != nil {
		return 0, nil, err
	}
	if result.Server.PerDelivery == 0 {
		return 0, nil, errors.New("roomcast bench does not say what a delivery cost: " + string(out))
	}
	return result.Server.PerDelivery, noise, nil
}
