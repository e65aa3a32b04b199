// Command cluster measures Roomcast beyond one process: deliveries over nodes, what a history costs, the recovery of sessions after the
// death of a node, presence in a large room, and what an engine costs where none is needed. It starts the servers itself, on loopback
// addresses; they share processor 0, it is meant to run on processor 1 (make bench-cluster does that; Linux).
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// bench is what all parts share.
type bench struct {
	roomcast, nats string // programs
	pin            bool   // servers to processor 0
	work           string // folder for data and logs
	rounds         int
	seconds, warm  time.Duration
	members        int // of the room of the part presence
	sessions       int // of the part recovery
	again          int // how often a case is measured again if something disturbs it
	only           string
	out            *results
}

// parts are what can be measured, in the order in which it is done.
var parts = []struct {
	name string
	run  func(*bench) error
}{
	{"delivery", (*bench).delivery},
	{"publish", (*bench).publish},
	{"recovery", (*bench).recovery},
	{"presence", (*bench).presence},
	{"local", (*bench).local},
}

func main() {
	log.SetFlags(0)
	if len(os.Args) == 3 && os.Args[1] == "relay" { // the part local starts itself as a server
		log.Fatal(relay(os.Args[2]))
	}
	b := &bench{out: &results{}}
	var names, file string
	var all []string
	for _, p := range parts {
		all = append(all, p.name)
	}
	flag.StringVar(&names, "parts", strings.Join(all, ","), "what is measured")
	flag.StringVar(&b.roomcast, "roomcast", "bin/roomcast", "the server")
	flag.StringVar(&b.nats, "nats", "bench/bin/nats-server", "the NATS server")
	flag.StringVar(&file, "json", "", "file for the figures of every run, one line of JSON each")
	flag.StringVar(&b.only, "only", "", "measure the cases alone whose name contains this")
	flag.BoolVar(&b.pin, "pin", true, "run the servers on processor 0 alone")
	flag.IntVar(&b.rounds, "rounds", 3, "how often everything is measured; tables have medians")
	flag.DurationVar(&b.seconds, "seconds", 3*time.Second, "how long each case is measured")
	flag.DurationVar(&b.warm, "warm", time.Second, "how long the same load runs before that")
	flag.IntVar(&b.again, "again", 2, "how often a case of the parts delivery, publish and local is measured again if others disturb it")
	flag.IntVar(&b.members, "members", 10_000, "members of the room of the part presence")
	flag.IntVar(&b.sessions, "sessions", 1_000, "sessions that lose their node in the part recovery")
	flag.Parse()
	if err := b.run(strings.Split(names, ","), file); err != nil {
		log.Fatal("cluster: ", err)
	}
}

func (b *bench) run(names []string, file string) (err error) {
	for _, program := range []*string{&b.roomcast, &b.nats} {
		if _, err := os.Stat(*program); err != nil {
			return fmt.Errorf("%s is missing: make bench-cluster builds it", *program)
		}
		if *program, err = filepath.Abs(*program); err != nil {
			return err
		}
	}
	if file != "" {
		f, err := os.Create(file)
		if err != nil {
			return err
		}
		defer f.Close()
		b.out.lines = f
	}
	if b.work, err = os.MkdirTemp("", "roomcast-cluster"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w; logs are in %s", err, b.work)
			return
		}
		err = os.RemoveAll(b.work)
	}()
	for _, p := range parts {
		if i := slices.Index(names, p.name); i >= 0 {
			names = slices.Delete(names, i, i+1)
			if err := p.run(b); err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			b.out.table(os.Stdout, p.name)
		}
	}
	if len(names) > 0 {
		return errors.New("there is no part " + strings.Join(names, ", ") + "; -help lists them")
	}
	return nil
}

// wants tells whether a case is to be measured.
func (b *bench) wants(name string) bool { return strings.Contains(name, b.only) }

// disturbed is from where on a run counts as disturbed: percent of a processor that others had or the hypervisor took.
const disturbed = 10

// calmly measures until nothing disturbs it or it has been done often enough, and takes the run that was disturbed least.
func (b *bench) calmly(part, name string, round int, measure func() ([]figure, error)) error {
	var best []figure
	least := 0.0
	for try := 0; try <= b.again; try++ {
		figures, err := measure()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		noise := 0.0
		for _, f := range figures {
			if f.name == others || f.name == stolen {
				noise += f.value
			}
		}
		if best == nil || noise < least {
			best, least = figures, noise
		}
		if noise < disturbed {
			break
		}
	}
	return b.out.add(part, name, round, best...)
}
