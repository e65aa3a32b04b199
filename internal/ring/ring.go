// Package ring keeps the last items of a sequence.
package ring

import "time"

// Ring is the last items of a sequence whose items are numbered from 1, with the size and the time of each. What it keeps is the
// caller's decision: nothing is dropped by itself, and times are those it is told. Its memory follows what it keeps. The zero value is
// empty. It has no lock.
type Ring[T any] struct {
	slots []slot[T] // offset o is at o & (len-1); the length is a power of two, or 0
	gone  uint64    // this many items have been dropped: the oldest kept is the next
	last  uint64    // this many have been pushed
	size  int64     // of those kept
}

type slot[T any] struct {
	item T
	size int64
	at   time.Duration
}

const fewest = 4 // slots, while there are any

// Push adds an item and returns its offset. at is not before that of the one before.
func (r *Ring[T]) Push(item T, size int64, at time.Duration) (offset uint64) {
	if r.Len() == len(r.slots) {
		r.resize(max(fewest, 2*len(r.slots)))
	}
	r.last++
	r.size += size
	*r.slot(r.last) = slot[T]{item, size, at}
	return r.last
}

// Last returns the offset of the item that was pushed last, kept or not; 0 if there was none.
func (r *Ring[T]) Last() uint64 { return r.last }

// First returns the offset of the oldest item kept; if none is, that of the next to come.
func (r *Ring[T]) First() uint64 { return r.gone + 1 }

// Len returns how many items are kept.
func (r *Ring[T]) Len() int { return int(r.last - r.gone) }

// Size returns the size of all items kept.
func (r *Ring[T]) Size() int64 { return r.size }

// Oldest returns the oldest item kept and its time, or false if none is.
func (r *Ring[T]) Oldest() (item T, at time.Duration, ok bool) {
	if r.Len() == 0 {
		return item, 0, false
	}
	s := r.slot(r.First())
	return s.item, s.at, true
}

// Drop drops the oldest items, n or as many as there are, and returns the size of those.
func (r *Ring[T]) Drop(n int) (size int64) {
	for range min(n, r.Len()) {
		r.gone++
		s := r.slot(r.gone)
		size += s.size
		*s = slot[T]{}
	}
	r.size -= size
	r.shrink()
	return size
}

// DropUntil drops the items that are not younger than at, and returns their size.
func (r *Ring[T]) DropUntil(at time.Duration) (size int64) {
	n := 0
	for n < r.Len() && r.slot(r.First()+uint64(n)).at <= at {
		n++
	}
	return r.Drop(n)
}

// Append appends up to limit items to dst, from the first that is kept and comes after the offset.
func (r *Ring[T]) Append(dst []T, after uint64, limit int) []T {
	for o := max(after, r.gone) + 1; o <= r.last && limit > 0; o++ {
		dst = append(dst, r.slot(o).item)
		limit--
	}
	return dst
}

func (r *Ring[T]) slot(offset uint64) *slot[T] { return &r.slots[offset&uint64(len(r.slots)-1)] }

// shrink gives back slots when three quarters of them are free, so that a Push does not ask for them again at once.
func (r *Ring[T]) shrink() {
	if r.Len() == 0 {
		r.slots = nil
		return
	}
	n := len(r.slots)
	for n/2 >= fewest && r.Len() <= n/4 {
		n /= 2
	}
	if n < len(r.slots) {
		r.resize(n)
	}
}

// resize moves what is kept to n slots.
func (r *Ring[T]) resize(n int) {
	old := *r
	r.slots = make([]slot[T], n)
	for o := r.First(); o <= r.last; o++ {
		*r.slot(o) = *old.slot(o)
	}
}
