package bridge

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// Handle is what C holds instead of a pointer: the number of a slot and of its use, in the size of a pointer. It is never 0 and
// always odd, so that neither NULL nor the address of an object is one by mistake.
//
//	generation | index | kind | 1
//
// A handle is looked up, never dereferenced. One whose time is over stays invalid for ever: its slot has another generation from then
// on, and a slot that has had all of them is not used again.
type Handle uintptr

// kind tells what a handle stands for, so that one of a connection is none of a request.
type kind Handle

const (
	connections kind = iota
	requests
)

// The parts of a handle. On a machine of 32 bits, where fewer fit, a process has room for 262,144 connections at a time.
const (
	generationBits = 12 + 20*(bits.UintSize/64)
	indexBits      = bits.UintSize - generationBits - 2
	maxSlots       = 1 << indexBits
	maxGeneration  = 1<<generationBits - 1
)

func newHandle(generation uint32, index int, k kind) Handle {
	return Handle(generation)<<(indexBits+2) | Handle(index)<<2 | Handle(k)<<1 | 1
}

func (h Handle) index() int { return int(h >> 2 & (maxSlots - 1)) }

// entry is what a slot holds. It knows its own handle: that is how a lookup tells a live handle from a stale one.
type entry[T any] struct {
	handle Handle
	value  T
}

// table is the live handles of one kind. A lookup takes no lock. The table keeps 12 bytes for each slot that was ever in use at the
// same time.
type table[T any] struct {
	kind   kind
	blocks atomic.Pointer[[]*block[T]] // grows only, by copying

	mu          sync.Mutex // never held together with another lock
	generations []uint32   // of each slot, the one it had last
	free        []uint32   // slots without an entry, the exhausted ones left out
}

const blockSlots = 512

// block is the unit by which a table grows, so that slots never move.
type block[T any] [blockSlots]atomic.Pointer[entry[T]]

// add gives value a handle; nil means that the table is full.
func (t *table[T]) add(value T) *entry[T] {
	t.mu.Lock()
	defer t.mu.Unlock()
	index := len(t.generations)
	if last := len(t.free) - 1; last >= 0 {
		index = int(t.free[last])
		t.free = t.free[:last]
	} else if index == maxSlots {
		return nil
	} else {
		t.growLocked()
	}
	t.generations[index]++
	e := &entry[T]{newHandle(t.generations[index], index, t.kind), value}
	t.slot(index).Store(e)
	return e
}

func (t *table[T]) growLocked() {
	if len(t.generations)%blockSlots == 0 {
		var old []*block[T]
		if p := t.blocks.Load(); p != nil {
			old = *p
		}
		grown := append(old[:len(old):len(old)], new(block[T]))
		t.blocks.Store(&grown)
	}
	t.generations = append(t.generations, 0)
}

// slot returns the slot of that index, or nil if there is none yet.
func (t *table[T]) slot(index int) *atomic.Pointer[entry[T]] {
	blocks := t.blocks.Load()
	if blocks == nil || index/blockSlots >= len(*blocks) {
		return nil
	}
	return &(*blocks)[index/blockSlots][index%blockSlots]
}

// find returns what h stands for, or nil if it is stale, forged, of another kind, or 0.
func (t *table[T]) find(h Handle) *entry[T] {
	slot := t.slot(h.index())
	if slot == nil {
		return nil
	}
	if e := slot.Load(); e != nil && e.handle == h {
		return e
	}
	return nil
}

// remove makes h stale. It reports whether it was live: of several calls, one wins.
func (t *table[T]) remove(h Handle) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.find(h)
	if e == nil {
		return false
	}
	index := h.index()
	t.slot(index).Store(nil)
	if t.generations[index] < maxGeneration {
		t.free = append(t.free, uint32(index))
	}
	return true
}

// all calls visit with every live entry; with one that comes or goes meanwhile, or not.
func (t *table[T]) all(visit func(*entry[T])) {
	blocks := t.blocks.Load()
	if blocks == nil {
		return
	}
	for _, b := range *blocks {
		for i := range b {
			if e := b[i].Load(); e != nil {
				visit(e)
			}
		}
	}
}
