//go:build unix

package chaos

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/chaos/proxy"
)

// routesOf is how many routes a NATS node has, to whatever node.
func routesOf(ctx context.Context, n *natsNode) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.monitor+"/routez", nil)
	if err != nil {
		return 0, err
	}
	res, err := browser.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	var answer struct {
		Routes int `json:"num_routes"`
	}
	err = json.NewDecoder(res.Body).Decode(&answer)
	return answer.Routes, err
}

// TestRoutes holds that NATS nodes have no way to each other but the links: one that is cut off has no route, however long it and the others look for one.
func TestRoutes(t *testing.T) {
	form := formOf(t, 0)
	form.begin(t)
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t}
	c.makeNATS(bin.nats)
	for _, n := range c.nats {
		if err := n.start(); err != nil {
			t.Fatal(err)
		}
	}
	routed := func(want func(int) bool) {
		t.Helper()
		err := until(t.Context(), startTime, func(ctx context.Context) error {
			got, err := routesOf(ctx, c.nats[1])
			if err == nil && !want(got) {
				err = fmt.Errorf("it has %d routes", got)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	routed(func(n int) bool { return n >= 2 })
	modes := []proxy.Mode{proxy.Cut}
	if form.long {
		modes = append(modes, proxy.Frozen, proxy.Forward, proxy.Back)
	}
	for _, mode := range modes {
		for other := range size {
			c.setRoute(1, other, mode)
		}
		routed(func(n int) bool { return n == 0 })
		found := 0
		err := until(t.Context(), 3*time.Second, func(ctx context.Context) error { // they try again every second
			got, err := routesOf(ctx, c.nats[1])
			found += got
			return cmp.Or(err, errors.New("none"))
		})
		if found > 0 {
			t.Fatalf("%v: a node that is cut off has routes: %v", mode, err)
		}
		for other := range size {
			c.setRoute(1, other, proxy.Open)
		}
		routed(func(n int) bool { return n >= 2 })
	}
}
