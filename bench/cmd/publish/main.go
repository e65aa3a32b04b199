// Command publish measures HTTP publishes: requests and publications per second over connections that are kept, and the CPU time that the
// server takes for each. bench/http.sh runs it on a processor of its own against a server on another one (Linux).
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"
	"time"
)

// target is the server that is measured.
type target struct {
	addr, key string
	pid       int
}

// load is what is put on it.
type load struct {
	conns         int
	size          int // of data, in bytes
	warm, seconds time.Duration
}

// scenario is one row of the table. There is none with members and batches: answers do not wait for members, so that one processor would have to
// read millions of messages a second, and whoever cannot is closed.
type scenario struct {
	name    string
	members int // of the room
	batch   int // publications in a request; 0 is a request for one
}

var scenarios = []scenario{
	{"one to an empty room", 0, 0},
	{"one to a room of 100", 100, 0},
	{"100 to an empty room", 0, 100},
}

func main() {
	log.SetFlags(0)
	var t target
	var l load
	flag.StringVar(&t.addr, "addr", "127.0.0.1:8080", "address of the server")
	flag.IntVar(&t.pid, "pid", 0, "process of the server, for its CPU time")
	flag.IntVar(&l.conns, "conns", 16, "HTTP connections; each has one request on the way")
	flag.IntVar(&l.size, "size", 128, "bytes of data in a publication")
	flag.DurationVar(&l.seconds, "duration", 5*time.Second, "how long each scenario is measured")
	flag.DurationVar(&l.warm, "warmup", time.Second, "how long the same load runs before that")
	flag.Parse()
	t.key = os.Getenv("ROOMCAST_API_KEY")
	if err := run(t, l); err != nil {
		log.Fatal("publish: ", err)
	}
}

func run(t target, l load) error {
	if t.pid == 0 {
		return errors.New("-pid is not given: say which process the server is")
	}
	if err := t.wait(10 * time.Second); err != nil {
		return err
	}
	fmt.Printf("%-22s %11s %15s %22s %11s\n", "publications a request", "requests/s", "publications/s", "CPU µs a publication", "server CPU")
	for _, s := range scenarios {
		f, err := measure(t, l, s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		publications := float64(f.requests * max(1, s.batch))
		fmt.Printf("%-22s %11.0f %15.0f %22.2f %10.0f%%\n", s.name, float64(f.requests)/f.took.Seconds(), publications/f.took.Seconds(),
			float64(f.cpu.Nanoseconds())/1e3/publications, 100*f.cpu.Seconds()/f.took.Seconds())
	}
	return nil
}

// request is the request of a scenario, and what its answer has to contain how many times.
func (t target) request(s scenario, size int) (raw []byte, receipt string, times int) {
	data := `"data":"` + strings.Repeat("x", size-2) + `"`
	path, body := "/v1/rooms/bench/messages", "{"+data+"}"
	if s.batch > 0 {
		one := `{"to":{"room":"bench"},` + data + "}"
		path, body = "/v1/batch", `{"publications":[`+strings.TrimSuffix(strings.Repeat(one+",", s.batch), ",")+"]}"
	}
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
		path, t.addr, t.key, len(body))
	return []byte(head + body), fmt.Sprintf(`{"delivered":%d,"failed":0,"dropped":0}`, s.members), max(1, s.batch)
}
