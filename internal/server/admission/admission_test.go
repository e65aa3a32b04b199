package admission

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/roomcast/roomcast/internal/server/auth"
	"github.com/roomcast/roomcast/internal/server/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "a secret of more than thirty-two bytes"

func newDesk(t *testing.T, limits Limits) *Desk {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	gate, err := auth.New(t.Context(), auth.Config{Secrets: []string{secret}}, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gate.Close)
	return New(gate, limits, log)
}

func grant(t *testing.T, d *Desk, user string, lasts time.Duration) *auth.Grant {
	t.Helper()
	token, err := auth.Mint(auth.MintConfig{User: user, Expires: time.Now().Add(lasts), Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	g, refusal := d.Check(t.Context(), token, "test")
	if refusal != nil {
		t.Fatal(refusal.Message)
	}
	return g
}

// upgrade is an upgrade request from an address, through proxies if they are given.
func upgrade(from, forwarded string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/ws", http.NoBody)
	r.Header.Set("Upgrade", "websocket")
	if r.RemoteAddr = from; forwarded != "" {
		r.Header.Set("X-Forwarded-For", forwarded)
	}
	return r
}

// ask is what Guard answers; 101 is that it lets the request pass.
func ask(d *Desk, r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	d.Guard(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })).ServeHTTP(w, r)
	return w.Result()
}

// TestAddresses holds by what connections are counted: who cannot be told from another shares its limit, and nobody can choose another's.
func TestAddresses(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.1/32")}
	for _, c := range []struct{ from, forwarded, want string }{
		{"192.0.2.1:5", "", "192.0.2.1"},
		{"[::ffff:192.0.2.1]:5", "", "192.0.2.1"},
		{"192.0.2.1:5", "198.51.100.7", "192.0.2.1"}, // it is no proxy
		{"10.0.0.1:5", "198.51.100.7", "198.51.100.7"},
		{"10.0.0.1:5", "203.0.113.9, 198.51.100.7", "198.51.100.7"}, // what the client invented stands before
		{"10.0.0.1:5", "198.51.100.7, 10.9.9.9", "198.51.100.7"},
		{"10.0.0.1:5", "10.1.1.1", "10.1.1.1"},
		{"10.0.0.1:5", "198.51.100.7:4711", "198.51.100.7"},
		{"10.0.0.1:5", "[2001:db8:1:2::7]:4711, ", "2001:db8:1:2::"},
		{"10.0.0.1:5", "unknown", "invalid IP"},
		{"10.0.0.1:5", "", "invalid IP"},
		{"127.0.0.1:5", "198.51.100.7", "198.51.100.7"},
		{"127.0.0.2:5", "", "invalid IP"}, // the loopback address has no limit
		{"[::1]:5", "", "invalid IP"},
		{"[2001:db8:1:2:3:4:5:6]:5", "", "2001:db8:1:2::"},
		{"pipe", "", "invalid IP"},
	} {
		l := Limits{TrustedProxies: proxies}
		if got := l.addressOf(upgrade(c.from, c.forwarded)); got.String() != c.want {
			t.Errorf("%s, forwarded %q: %v, want %s", c.from, c.forwarded, got, c.want)
		}
	}
}

// TestAddressLimit holds that an address has so many connections at a time and no more, and that another one does not notice.
func TestAddressLimit(t *testing.T) {
	d := newDesk(t, Limits{ConnsPerAddress: 2})
	mine, other := upgrade("192.0.2.1:5", ""), upgrade("192.0.2.2:5", "")
	leave, _ := d.Enter(mine)
	d.Enter(mine)
	if _, refusal := d.Enter(mine); refusal == nil || refusal.Close != protocol.CloseThrottled {
		t.Errorf("a third one that was let through: %+v, want 3100", refusal)
	}
	for _, several := range []string{"websocket, x", "x, websocket"} {
		r := upgrade("192.0.2.1:5", "")
		r.Header.Set("Upgrade", several)
		if res := ask(d, r); res.StatusCode != http.StatusTooManyRequests {
			t.Errorf("Upgrade %q: %d, want 429", several, res.StatusCode)
		}
	}
	res := ask(d, mine)
	if wait, err := strconv.Atoi(res.Header.Get("Retry-After")); res.StatusCode != http.StatusTooManyRequests || err != nil || wait < 1 || wait > retrySpread {
		t.Errorf("status %d, Retry-After %q; want 429 and some seconds", res.StatusCode, res.Header.Get("Retry-After"))
	}
	if res := ask(d, other); res.StatusCode != http.StatusTeapot {
		t.Errorf("another address: %d", res.StatusCode)
	}
	leave()
	if res := ask(d, mine); res.StatusCode != http.StatusTeapot {
		t.Errorf("after one has left: %d", res.StatusCode)
	}
	if n := d.Refused()[TooManyAddress]; n != 4 {
		t.Errorf("%d counted, want 4", n)
	}
}

// TestAcceptRate holds that a storm is let in at its rate, that the rest is sent away to come back at different times, and that requests
// that are no upgrades are no part of it.
func TestAcceptRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, Limits{AcceptRate: 10})
		in, waits := 0, map[string]bool{}
		storm := func() {
			for range 100 {
				res := ask(d, upgrade("192.0.2.1:5", ""))
				if res.StatusCode == http.StatusTeapot {
					in++
				} else {
					waits[res.Header.Get("Retry-After")] = true
				}
			}
		}
		storm()
		<-time.After(time.Second)
		storm()
		if in != 20 || len(waits) < 5 {
			t.Errorf("%d let in, sent away for %v seconds; want 20, and many different times", in, waits)
		}
		if res := ask(d, httptest.NewRequest(http.MethodGet, "/ws", http.NoBody)); res.StatusCode != http.StatusTeapot {
			t.Errorf("no upgrade: %d", res.StatusCode)
		}
		d.SetLimits(Limits{})
		if storm(); in != 120 {
			t.Errorf("%d let in, want everybody without a limit", in-20)
		}
		d.Drain()
		if res := ask(d, upgrade("192.0.2.1:5", "")); res.StatusCode != http.StatusServiceUnavailable || !d.Draining() {
			t.Errorf("draining: %d", res.StatusCode)
		}
	})
}

// TestPass holds that a pass ends with its token, with a fresh one later, and leaves nothing behind when it is released.
func TestPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, Limits{})
		var mu sync.Mutex
		ended := map[string]string{}
		admit := func(name string, lasts time.Duration) *Pass {
			begin := time.Now()
			p, refusal := d.Admit(grant(t, d, "ann", lasts), func(code protocol.CloseCode, _ string) {
				mu.Lock()
				defer mu.Unlock()
				ended[name] += fmt.Sprint(int(code), " after ", time.Since(begin))
			})
			if refusal != nil {
				t.Fatal(refusal.Message)
			}
			return p
		}
		expires, renewed, released := admit("expires", time.Minute), admit("renewed", time.Minute), admit("released", time.Minute)
		if refusal := renewed.Renew(grant(t, d, "ann", 2*time.Minute)); refusal != nil {
			t.Error(refusal.Message)
		}
		if refusal := renewed.Renew(grant(t, d, "bob", 2*time.Minute)); refusal == nil {
			t.Error("ann has become bob")
		}
		released.Release()
		<-time.After(time.Hour)
		mu.Lock()
		defer mu.Unlock()
		if got, want := fmt.Sprint(ended), "map[expires:3200 after 1m5s renewed:3200 after 2m5s]"; got != want {
			t.Errorf("ended %s, want %s", got, want)
		}
		for _, p := range []*Pass{expires, renewed, renewed, nil} {
			p.Release()
		}
		if len(d.users) > 0 {
			t.Errorf("%d users stay", len(d.users))
		}
	})
}

// TestBucket holds that a bucket lets pass what it says: never more than its rate and what it holds, and something larger than itself when it is full.
func TestBucket(t *testing.T) {
	now := time.Now()
	if wait := (Bucket{}).Take(1<<40, now); wait != 0 {
		t.Errorf("no limit: %v", wait)
	}
	b := NewBucket(10, 20)
	for i, c := range []struct {
		n     int
		after time.Duration
		want  time.Duration
	}{
		{20, 0, 0}, {1, 0, 100 * time.Millisecond}, {1, 0, 100 * time.Millisecond}, // a refusal takes nothing
		{1, 100 * time.Millisecond, 0}, {5, 0, 500 * time.Millisecond}, {1000, 10 * time.Second, 0}, {1, 0, 100 * time.Millisecond},
	} {
		now = now.Add(c.after)
		if got := b.Take(c.n, now); got.Round(time.Millisecond) != c.want {
			t.Errorf("step %d: take %d: wait %v, want %v", i, c.n, got, c.want)
		}
	}
}
