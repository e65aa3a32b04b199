// Package wheel knows when each of many things is due, at no cost of a timer for each. It has no clock and no lock: its user turns it.
package wheel

// Slots is how many slots a wheel has: what is due once per turn is so to one part in so many.
const Slots = 30

// Place is where in a wheel a thing is. Its user keeps it, and does not look inside.
type Place struct{ slot, index int32 }

// Wheel is things in slots, and turns slot by slot. Two hands stand over it, the second of which follows the first at a distance. A thing stays in
// its slot for life. The zero value, but for Place, is empty.
type Wheel[T any] struct {
	Place func(T) *Place // of a thing

	slots [Slots][]T
	hand  int // the slot of the first hand
	count int
}

// Len returns how many things are in the wheel.
func (w *Wheel[T]) Len() int { return w.count }

// Add puts v where the first hand is a whole turn away.
func (w *Wheel[T]) Add(v T) {
	*w.Place(v) = Place{int32(w.hand), int32(len(w.slots[w.hand]))}
	w.slots[w.hand] = append(w.slots[w.hand], v)
	w.count++
}

// Remove takes v out; the last of its slot moves into the gap.
func (w *Wheel[T]) Remove(v T) {
	place := w.Place(v)
	slot := w.slots[place.slot]
	last := len(slot) - 1
	slot[place.index] = slot[last]
	w.Place(slot[place.index]).index = place.index
	clear(slot[last:])
	w.slots[place.slot] = slot[:last]
	if last == 0 {
		w.slots[place.slot] = nil
	}
	w.count--
}

// Turn moves both hands on by a slot and returns copies of what is under them; lag is the distance between the two, in slots: at most a whole
// turn, when a slot is under the second just before it is under the first again.
func (w *Wheel[T]) Turn(lag int) (first, second []T) {
	w.hand = (w.hand + 1) % Slots
	behind := (w.hand + Slots - lag%Slots) % Slots
	return append(first, w.slots[w.hand]...), append(second, w.slots[behind]...)
}

// All returns everything in the wheel.
func (w *Wheel[T]) All() []T {
	all := make([]T, 0, w.count)
	for _, slot := range w.slots {
		all = append(all, slot...)
	}
	return all
}
