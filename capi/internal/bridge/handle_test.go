package bridge

import (
	"math/rand/v2"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestHandleIsOddAndHasItsParts(t *testing.T) {
	for _, generation := range []uint32{1, 2, maxGeneration} {
		for _, index := range []int{0, 1, maxSlots - 1} {
			for _, k := range []kind{connections, requests} {
				h := newHandle(generation, index, k)
				if h == 0 || h&1 == 0 || h.index() != index || h>>1&1 != Handle(k) || uint32(h>>(indexBits+2)) != generation {
					t.Errorf("newHandle(%d, %d, %d) = %#x", generation, index, k, h)
				}
			}
		}
	}
}

func TestTableFindsTheLiveOnly(t *testing.T) {
	var tab table[string]
	if tab.find(1) != nil || tab.find(0) != nil || tab.remove(1) {
		t.Error("an empty table has an entry")
	}
	a, b := tab.add("a"), tab.add("b")
	if e := tab.find(a.handle); e == nil || e.value != "a" {
		t.Errorf("a = %v", e)
	}
	for bit := range generationBits + indexBits + 2 {
		if forged := a.handle ^ 1<<bit; forged != b.handle && tab.find(forged) != nil {
			t.Errorf("%#x is found, and only %#x is live", forged, a.handle)
		}
	}
	if !tab.remove(a.handle) || tab.remove(a.handle) || tab.find(a.handle) != nil {
		t.Error("a removed handle is not stale")
	}
	c := tab.add("c")
	if c.handle.index() != a.handle.index() || c.handle == a.handle {
		t.Errorf("c has the handle %#x; want the slot of %#x in another generation", c.handle, a.handle)
	}
	if tab.find(a.handle) != nil || tab.remove(a.handle) || tab.find(c.handle) == nil || tab.find(b.handle) == nil {
		t.Error("a stale handle stands for who came into its slot")
	}
}

func TestTableKindsAreApart(t *testing.T) {
	conns, reqs := table[int]{kind: connections}, table[int]{kind: requests}
	c, r := conns.add(1), reqs.add(1)
	if c.handle == r.handle || conns.find(r.handle) != nil || reqs.find(c.handle) != nil {
		t.Errorf("%#x and %#x are taken for each other", c.handle, r.handle)
	}
}

// A slot that has had every generation is not used again, so that no handle comes twice.
func TestTableRetiresSlots(t *testing.T) {
	var tab table[int]
	tab.remove(tab.add(0).handle)
	tab.generations[0] = maxGeneration - 1
	last := tab.add(1)
	if last.handle.index() != 0 || !tab.remove(last.handle) {
		t.Fatalf("the last generation of slot 0 is %#x", last.handle)
	}
	if next := tab.add(2); next.handle.index() != 1 {
		t.Errorf("after its last generation slot 0 is used again: %#x", next.handle)
	}
}

// Slots are used again: after any churn a table is as large as the most entries it had at a time.
func TestTableGrowsToThePeakOnly(t *testing.T) {
	var tab table[int]
	for range 10 {
		var live []Handle
		for i := range 3 * blockSlots {
			live = append(live, tab.add(i).handle)
		}
		seen := 0
		tab.all(func(*entry[int]) { seen++ })
		if seen != 3*blockSlots {
			t.Fatalf("all shows %d entries, want %d", seen, 3*blockSlots)
		}
		for _, h := range live {
			tab.remove(h)
		}
	}
	if len(tab.generations) != 3*blockSlots || len(tab.free) != 3*blockSlots || len(*tab.blocks.Load()) != 3 {
		t.Errorf("%d slots, %d of them free, want %d", len(tab.generations), len(tab.free), 3*blockSlots)
	}
	tab.all(func(e *entry[int]) { t.Errorf("%#x is left", e.handle) })
}

// Lookups run while others add and remove: a handle finds its own value or nothing.
func TestTableConcurrently(t *testing.T) {
	var tab table[uint64]
	var all sync.Map // handle → value, of every handle there ever was
	var wg sync.WaitGroup
	for seed := range uint64(4) {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, 0))
			var mine []Handle
			for range 20_000 {
				if len(mine) == 0 || rnd.IntN(2) == 0 {
					value := rnd.Uint64()
					h := tab.add(value).handle
					if _, twice := all.LoadOrStore(h, value); twice {
						t.Errorf("%#x came twice", h)
					}
					mine = append(mine, h)
					continue
				}
				i := rnd.IntN(len(mine))
				if e := tab.find(mine[i]); e == nil {
					t.Errorf("%#x is live and not found", mine[i])
				}
				tab.remove(mine[i])
				mine[i] = mine[len(mine)-1]
				mine = mine[:len(mine)-1]
			}
		})
		wg.Go(func() {
			for range 20 {
				all.Range(func(h, value any) bool {
					if e := tab.find(h.(Handle)); e != nil && e.value != value.(uint64) {
						t.Errorf("%#x finds the value of another", h)
					}
					return true
				})
			}
		})
	}
	wg.Wait()
}

func BenchmarkTableFind(b *testing.B) {
	var tab table[int]
	h := tab.add(1).handle
	for b.Loop() {
		if tab.find(h) == nil {
			b.Fatal("not found")
		}
	}
}
