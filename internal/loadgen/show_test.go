package loadgen

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// results are shown in golden files; `go test ./internal/loadgen -update` rewrites them.
var results = map[string]*Result{
	"closed": {
		URL:            "ws://127.0.0.1:8080",
		Load:           Load{Connections: 1000, Rooms: 1, Senders: 4, Window: 8, Size: 128, Warmup: 1},
		ConnectSeconds: 0.123456, Seconds: 10.000123,
		Messages: Count{23461, 2346.071}, Deliveries: Count{23437539, 2343725.072}, Bytes: Count{3000004992, 299996809.216},
		Latency: &Times{213, 12344, 15900, 21037, 25133, 1250000},
		Faults:  Faults{Checked: 25781000}, Complaints: []string{},
		Server:    &Server{Usage: Usage{3.02, 6.29, 0}, PerDelivery: 397.2, Before: 12 << 20, Connected: 27 << 20, End: 32 << 20, PerConnection: 15728.6},
		Generator: &Usage{4.1, 5.7, 1},
	},
	"open": {
		URL:            "wss://rooms.example.com/chat",
		Load:           Load{Connections: 2, Rooms: 1, Senders: 1, Rate: 0.5, Size: 4096},
		ConnectSeconds: 0.001, Seconds: 59.5, Stopped: true,
		Messages: Count{30, 0.504}, Unsent: 3, Deliveries: Count{29, 0.487}, Bytes: Count{118784, 1996.37},
		Latency: &Times{40.125, 55, 60, 99.9, 999.9, 1234.5}, Lateness: &Times{0.4, 1.25, 2, 3, 4, 5},
		Faults: Faults{Checked: 29, Missing: 1, Duplicate: 2, OutOfOrder: 3, Damaged: 4, Misdirected: 5, Closed: 1234},
		Complaints: []string{
			"connection 1 of 2: closed by the server with 1013 too slow", "connection 2 of 2: reset by the server",
		},
		Server:    &Server{Note: "pid 7: there is no such process"},
		Generator: &Usage{0.01, 0.02, 8},
	},
	"protocol": {
		URL:            "ws://127.0.0.1:8080",
		Load:           Load{Protocol: true, Connections: 10, Rooms: 1, Senders: 1, Window: 8, Size: 128},
		ConnectSeconds: 0.1, Seconds: 1, Messages: Count{100, 100}, Deliveries: Count{890, 890}, Bytes: Count{113920, 113920},
		Latency: &Times{213, 12344, 15900, 21037, 25133, 1250000},
		Faults:  Faults{Checked: 890, Missing: 10, Unexpected: 10}, Complaints: []string{
			"connection 1 of 10 was sent `" + `{"type":"gap","missed":10}` + "`",
		},
	},
	"own": {
		URL:            "ws://127.0.0.1:43283",
		Load:           Load{Connections: 100, Rooms: 10, Senders: 10, Window: 1, Size: 32, Warmup: 1},
		ConnectSeconds: 0.01, Seconds: 10, Stopped: true,
		Complaints: []string{},
		Server:     &Server{Usage: Usage{0.5, 0.25, 0}, Before: 10 << 20, Connected: 9 << 20, End: 10 << 20, PerConnection: -10485.8, WithGenerator: true},
		Generator:  &Usage{0.5, 0.25, 2},
	},
}

func TestGolden(t *testing.T) {
	for name, r := range results {
		var table, js bytes.Buffer
		if err := r.WriteTable(&table); err != nil {
			t.Fatal(err)
		}
		if err := r.WriteJSON(&js); err != nil {
			t.Fatal(err)
		}
		golden(t, "testdata/"+name+".table.golden", table.String())
		golden(t, "testdata/"+name+".json.golden", js.String())
		for line := range strings.Lines(table.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
				t.Errorf("%s: a line of %d characters: %s", name, n, line)
			}
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (-update rewrites it); got\n%s", name, got)
	}
}

func TestNumbers(t *testing.T) {
	for got, want := range map[string]string{
		thousands(0): "0", thousands(999): "999", thousands(1000): "1,000", thousands(1234567): "1,234,567",
		decimal(0.504): "0.50", decimal(12.34): "12.3", decimal(40): "40", decimal(999.6): "1,000", decimal(1234.4): "1,234",
		micros(0.4): "0.40 µs", micros(99.96): "100 µs", micros(999.6): "1.00 ms", micros(1234567): "1.23 s", micros(3.6e9): "3600 s",
		nanos(397.2): "397 ns", nanos(1070): "1.07 µs", size(0): "0 B", size(1023.9): "1.00 KiB", size(3 << 20): "3.00 MiB",
		short(999): "999", short(999999): "1.00M", short(12345): "12.3k",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestProgressLine(t *testing.T) {
	for want, p := range map[string]Progress{
		"connecting: 340 of 1,000": {Phase: Connecting, Connected: 340, Conns: 1000},
		"measuring: 3.2 of 10.0 s, 2.35k messages/s, 2.34M deliveries/s": {
			Phase: Measuring, Elapsed: 3210 * time.Millisecond, Of: 10 * time.Second, Messages: 2346, Delivered: 2343254},
		"measuring: 3.2 s, 0 messages/s, 0 deliveries/s, 12 faults": {Phase: Measuring, Elapsed: 3210 * time.Millisecond, Faults: 12},
		"waiting for the last deliveries: 0.5 s, 12.5k deliveries/s, 99.9M faults": {
			Phase: Settling, Elapsed: time.Second / 2, Delivered: 12480, Faults: 99_900_000},
	} {
		if got := p.String(); got != want || len(got) > 79 {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
