package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestSend holds that what a message is read as is what was sent, and that nothing else is taken for one.
func TestSend(t *testing.T) {
	for _, n := range []int{0, 7, 123_456_789} {
		request := appendSend(nil, "log/a", 98_765*time.Millisecond, n, n+1)
		_, data, ok := bytes.Cut(request, []byte(`"data":"`))
		if !ok || len(data) != payload+2 {
			t.Fatalf("%s has %d bytes of data, want %d", request, len(data)-2, payload)
		}
		message := append([]byte(`{"type":"message","room":"log/a","epoch":"k3v9","offset":5,"from":{"connection":"c"},"data":"`), data...)
		if at, sender, seq, ok := readSend(message); !ok || at != 98_765*time.Millisecond || sender != n || seq != n+1 {
			t.Errorf("%s is read as %v, %d, %d, %v", message, at, sender, seq, ok)
		}
	}
	for _, other := range []string{"", `{"type":"ack","id":"1"}`, `{"type":"error","message":"` + strings.Repeat("1 2 3 ", 40) + `"}`, `{"type":"message","data":"` + strings.Repeat("x", payload) + `"}`} {
		if _, _, _, ok := readSend([]byte(other)); ok {
			t.Errorf("%s is taken for a message", other)
		}
	}
}

// TestTraffic holds that what ss says of several connections is added up, and that fields that look alike are not.
func TestTraffic(t *testing.T) {
	var wire traffic
	wire.add("ESTAB 0 0 127.0.0.1:1 127.0.0.1:2\n\t bbr bytes_sent:12 bytes_retrans:5 bytes_acked:12 bytes_received:3 segs_out:2\nESTAB 0 0 a b\n\t bytes_received:4\n")
	if want := (traffic{12, 7}); wire != want {
		t.Errorf("%+v, want %+v", wire, want)
	}
}

// TestTable holds that a table has the medians of all rounds, and another head where the figures are others.
func TestTable(t *testing.T) {
	var r results
	for round, v := range []float64{3, 1, 2} {
		for _, name := range []string{"a", "b"} {
			if err := r.add("part", name, round, figure{"x_us", v}, figure{"y_ms", 10_000 * v}); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.add("part", "c", round, figure{"z", 0.5}); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	r.table(&out, "part")
	got := strings.Join(strings.Fields(out.String()), " ")
	if want := "part, medians x_us y_ms a 2 (1–3) 20000 (10000–30000) b 2 (1–3) 20000 (10000–30000) part, medians z c 0.5 (0.5–0.5)"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestQuantile(t *testing.T) {
	times := []time.Duration{4 * time.Millisecond, time.Millisecond, 3 * time.Millisecond, 2 * time.Millisecond}
	for q, want := range map[float64]float64{0: 1, 0.5: 3, 0.99: 4, 1: 4} {
		if got := quantile(times, q, time.Millisecond); got != want {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	if quantile(nil, 0.5, time.Second) != 0 || median(nil) != 0 || median([]float64{1, 4}) != 2.5 {
		t.Error("nothing has a quantile or a median, or two figures have none between them")
	}
}
