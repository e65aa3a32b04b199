package natsengine

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast"
)

func TestManyMembersAtOnce(t *testing.T) {
	members := 10_000
	if testing.Short() {
		members = 1_000
	}
	s := runServer(t, ServerOptions{})
	a, b := join(t, s, "a"), join(t, s, "b")
	start := time.Now()
	info := []byte(`{"user":"somebody","connection":"0123456789abcdef","rooms":["kitchen","hall"]}`)
	for i := range members {
		a.present(roomcast.Member{ID: fmt.Sprint("m", i), Info: info})
	}
	presented := time.Since(start)
	eventually(t, "the other node knows all", func() bool { return b.audit.count() == members })
	known := time.Since(start)
	start = time.Now()
	c := join(t, s, "c")
	eventually(t, "a new node knows all", func() bool { return c.audit.count() == members })
	read := time.Since(start)
	start = time.Now()
	a.close()
	closed := time.Since(start)
	eventually(t, "all are gone", func() bool { return b.audit.count() == 0 && c.audit.count() == 0 })
	t.Logf("%d members: presented in %v, known to another node after %v, read by a new one in %v, taken out by close in %v", members, presented, known, read, closed)
}

// TestChurn has two nodes present, change, take over and take out members as fast as they can.
func TestChurn(t *testing.T) {
	s := runServer(t, ServerOptions{})
	nodes := []*testNode{join(t, s, "a"), join(t, s, "b"), join(t, s, "c")}
	const ids, rounds = 40, 1500
	var wg sync.WaitGroup
	for _, n := range nodes {
		wg.Go(func() {
			for i := range rounds {
				id := fmt.Sprint("m", rand.IntN(ids))
				if rand.IntN(3) == 0 {
					n.gone(id)
				} else {
					n.put(id, fmt.Sprint(i))
				}
			}
		})
	}
	wg.Wait()
	// Now each takes some for good.
	var want []string
	for i := range ids {
		id := fmt.Sprint("m", i)
		if i < len(nodes) {
			for _, n := range nodes {
				n.gone(id)
			}
			continue
		}
		nodes[i%3].put(id, "last")
		want = append(want, fmt.Sprintf("%s@%s=last", id, nodes[i%3].cfg.node))
	}
	// A change that was still on its way may have come after the last word of another node, which then has to say it again.
	eventually(t, "what is stored is what is wanted", func() bool {
		for i := range ids {
			if id := fmt.Sprint("m", i); i >= len(nodes) {
				nodes[i%3].put(id, "last")
			} else {
				for _, n := range nodes {
					n.gone(id)
				}
			}
		}
		return fmt.Sprint(nodes[0].audit.list()) == fmt.Sprint(nodes[1].audit.list()) && len(nodes[2].audit.list()) == len(want) && len(members(t, s)) == len(want)
	})
	for _, n := range nodes {
		n.says(want...)
	}
}
