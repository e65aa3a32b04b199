// Command boundary measures what a call of the C library costs beyond the same call in Go: nanoseconds of CPU time per broadcast into an empty room
// and into one of a thousand members, with a caller in C and one in Go in turn. It is run in the folder bench; see its README.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gobwas/ws"
)

func main() {
	log.SetFlags(0)
	calling := flag.Int("call", 0, "be the caller in Go, on this port")
	members := flag.Int("members", 1000, "how many members the full room has")
	rounds := flag.Int("rounds", 100, "how many rounds one caller takes; its median counts")
	calls := flag.Int("calls", 50, "how many calls a round has")
	turns := flag.Int("turns", 5, "how many turns each caller takes; the median counts")
	flag.Parse()
	var err error
	if *calling > 0 {
		err = call(*calling, *members, *rounds, *calls)
	} else {
		err = compare(*members, *rounds, *calls, *turns)
	}
	if err != nil {
		log.Fatal("boundary: ", err)
	}
}

// compare lets the callers take turns and prints the medians.
func compare(members, rounds, calls, turns int) error {
	dir, err := os.MkdirTemp("", "boundary")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	caller, err := build(dir)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	numbers := []string{strconv.Itoa(members), strconv.Itoa(rounds), strconv.Itoa(calls)}
	figures := map[string][]float64{}
	for range turns {
		for _, name := range []string{"C", "Go"} {
			port, err := freePort()
			if err != nil {
				return err
			}
			cmd := exec.Command(caller, append([]string{port}, numbers...)...)
			if name == "Go" {
				cmd = exec.Command(self, "-call", port, "-members", numbers[0], "-rounds", numbers[1], "-calls", numbers[2])
			}
			got, err := turn(cmd, port, members)
			if err != nil {
				return fmt.Errorf("the caller in %s: %w", name, err)
			}
			for room, ns := range got {
				figures[name+room] = append(figures[name+room], ns)
			}
		}
	}
	fmt.Printf("ns per broadcast of 128 bytes     C        Go     C - Go\n")
	for _, room := range []string{"empty", "full"} {
		c, g := median(figures["C"+room]), median(figures["Go"+room])
		fmt.Printf("%-26s %8.0f %9.0f %10.0f\n", room, c, g, c-g)
	}
	return nil
}

// build makes the library and the caller in C.
func build(dir string) (caller string, err error) {
	caller = filepath.Join(dir, "caller")
	lib := filepath.Join(dir, "lib")
	for _, args := range [][]string{
		{"../capi/build.sh", dir},
		{"cc", "-O2", "-pthread", "-I" + filepath.Join(dir, "include"), "cmd/boundary/c/caller.c", "-o", caller,
			"-L" + lib, "-lroomcast", "-Wl,-rpath," + lib},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("%s: %w\n%s", args[0], err, out)
		}
	}
	return caller, nil
}

// turn runs one caller against members that read, and returns its figures by room.
func turn(cmd *exec.Cmd, port string, members int) (map[string]float64, error) {
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(out)
	lines.Scan() // ready
	var readers sync.WaitGroup
	defer readers.Wait()
	defer func() { _ = cmd.Process.Kill() }() // its members go with it
	for range members {
		conn, br, err := connect("ws://127.0.0.1:" + port + "/")
		if err != nil {
			return nil, err
		}
		readers.Go(func() { read(conn, br) })
	}
	figures := map[string]float64{}
	for lines.Scan() {
		room, ns, _ := strings.Cut(lines.Text(), " ")
		if figures[room], err = strconv.ParseFloat(ns, 64); err != nil {
			return nil, fmt.Errorf("it says %q: %w", lines.Text(), err)
		}
	}
	if err := cmd.Wait(); err != nil {
		return nil, err
	}
	if len(figures) != 2 {
		return nil, fmt.Errorf("it has %d figures, want 2", len(figures))
	}
	return figures, nil
}

// connect waits for a caller that has said that it is ready a moment too early, as the one in Go does.
func connect(url string) (net.Conn, *bufio.Reader, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for {
		conn, br, _, err := ws.Dial(ctx, url)
		if br == nil && err == nil {
			br = bufio.NewReader(conn)
		}
		if op, refused := errors.AsType[*net.OpError](err); !refused || op.Op != "dial" || ctx.Err() != nil {
			return conn, br, err
		}
	}
}

// read discards what a member is sent until the connection ends, and answers the marks.
func read(conn net.Conn, br *bufio.Reader) {
	defer conn.Close()
	answer := ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte("m"))))
	for {
		h, err := ws.ReadHeader(br)
		if err != nil {
			return
		}
		if h.Length == 1 {
			if _, err := conn.Write(answer); err != nil {
				return
			}
		}
		if _, err := br.Discard(int(h.Length)); err != nil {
			return
		}
	}
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}
