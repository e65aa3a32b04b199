package config

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/roomcast/roomcast/internal/loadgen"
)

// parseBench reads a command line the way the binary does.
func parseBench(t *testing.T, args string) (*Bench, error) {
	t.Helper()
	var bench Bench
	parser, err := kong.New(&bench, kong.Writers(io.Discard, io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	_, err = parser.Parse(strings.Fields(args))
	return &bench, err
}

func TestBenchDefaults(t *testing.T) {
	b, err := parseBench(t, "")
	if err != nil {
		t.Fatal(err)
	}
	want := loadgen.Config{Conns: 100, Rooms: 1, Senders: 1, Window: 8, Size: 128, Duration: 10 * time.Second, Warmup: time.Second,
		Timeout: 5 * time.Second}
	got := b.Load()
	got.Header = nil
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("defaults %+v, want %+v", got, want)
	}
}

func TestBenchFlags(t *testing.T) {
	b, err := parseBench(t, "wss://example.com/x -c 50 --rooms 5 -R 2.5 --size 1KiB -n 9 --warmup 0 --timeout 1s --pid 7 --pid 8 --insecure --protocol "+
		"-H Authorization:token,1 -H X-A:b --json --no-progress")
	if err != nil {
		t.Fatal(err)
	}
	got := b.Load()
	if got.URL != "wss://example.com/x" || got.Conns != 50 || got.Rooms != 5 || got.Senders != 5 || got.Window != 0 || got.Rate != 2.5 ||
		got.Size != 1024 || got.Messages != 9 || got.Duration != 0 || got.Warmup != 0 || got.Timeout != time.Second || !got.Insecure || !got.Protocol {
		t.Errorf("load %+v", got)
	}
	if fmt.Sprint(got.PIDs) != "[7 8]" || got.Header.Get("Authorization") != "token,1" || got.Header.Get("X-A") != "b" || !b.JSON || !b.NoProgress {
		t.Errorf("pids %v, header %v, json %v, no progress %v", got.PIDs, got.Header, b.JSON, b.NoProgress)
	}
}

// TestBenchInvalid holds that each refusal names the flag and the value, and says what to write instead.
func TestBenchInvalid(t *testing.T) {
	for _, c := range []struct{ args, want, remedy string }{
		{"localhost", "address localhost:", "ws://127.0.0.1:8080"},
		{"http://localhost", "address http://localhost:", "ws://"},
		{"ws://localhost/?a=b", "address ws://localhost/?a=b:", "ws://"},
		{"--conns=1", "--conns 1:", "set 2 or more"},
		{"--conns=9 --rooms=5", "--conns 9:", "set 10 or more"},
		{"--conns=20000000", "--conns 20000000:", "at most"},
		{"--rooms=0", "--rooms 0:", "1 or more"},
		{"--senders=101", "--senders 101:", "1 to 100"},
		{"--window=-1", "--window -1:", "1 to"},
		{"--window=4 --rate=5", "--window 4:", "leave out one"},
		{"--rate=-1", "--rate -1:", "0.001"},
		{"--rate=NaN", "--rate NaN:", "0.001"},
		{"--size=31", "--size 31:", "set 32 or more"},
		{"--size=1GiB", "--size 1073741824:", "at most"},
		{"--duration=-1s", "--duration -1s:", "such as 10s"},
		{"--warmup=99h", "--warmup 99h0m0s:", "such as 2s"},
		{"--timeout=0", "--timeout 0s:", "such as 5s"},
		{"ws://localhost --pid=0", "--pid 0:", "process"},
		{"--pid=7", "--pid 7:", "address of the server"},
		{"--header=token", "--header token:", "NAME:VALUE"},
	} {
		_, err := parseBench(t, c.args)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.remedy) {
			t.Errorf("%s: error %v, want one with %q and %q", c.args, err, c.want, c.remedy)
		}
	}
	if other := errors.New("other"); FlagError(other) != other {
		t.Error("an error that is about no field was changed")
	}
}
