package history

import (
	"fmt"
	"slices"
	"time"
)

// Figures are what happened in a room, for people.
type Figures struct {
	Published, Acked, Retried, Stored int
	Due, Delivered                    int // messages to readers that were in the room to the end: those behind where they began, those that came
	Twice, Disordered                 int // of the delivered: came before, came after a later one
	Restored, Recovered, NotRecovered int // joins with a position to go on from, and their answers
	Told                              uint64
	Silence                           time.Duration // the longest time between two acknowledgements
}

// Measure counts what happened in a room.
func Measure(r Room) Figures {
	f := Figures{Published: len(r.Publishes), Stored: len(r.Log)}
	silent := map[ID]bool{}
	for _, p := range r.Publishes {
		silent[p.ID] = p.Silent
		if p.Acked != 0 {
			f.Acked++
		}
		if p.Tries > 1 {
			f.Retried++
		}
	}
	f.Silence = silence(r.Publishes)
	for _, reader := range r.Readers {
		f.addReader(r, reader, silent)
	}
	return f
}

// silence is the longest time between two acknowledgements.
func silence(publishes []Publish) (longest time.Duration) {
	var acks []time.Duration
	for _, p := range publishes {
		if p.Acked != 0 {
			acks = append(acks, p.Acked)
		}
	}
	slices.Sort(acks)
	for i := 1; i < len(acks); i++ {
		longest = max(longest, acks[i]-acks[i-1])
	}
	return longest
}

func (f *Figures) addReader(r Room, reader Reader, silent map[ID]bool) {
	seen, last, begin := map[ID]bool{}, uint64(0), Position{}
	began := false
	for _, e := range reader.Events {
		switch e.Kind {
		case Joined:
			if !began {
				began, begin = true, e.At
			}
			if e.Since != nil {
				f.Restored++
				if e.Recovered {
					f.Recovered++
				} else {
					f.NotRecovered++
				}
			}
		case Message:
			if seen[e.ID] {
				f.Twice++
			} else if e.At.Offset < last {
				f.Disordered++
			}
			if reader.Stayed && !seen[e.ID] {
				f.Delivered++
			}
			seen[e.ID], last = true, max(last, e.At.Offset)
		case Gap:
			f.Told += e.Missed
		case Lost:
		}
	}
	if !reader.Stayed || !began {
		return
	}
	for _, s := range r.Log {
		if s.At.Offset > begin.Offset && !(s.By == reader.Name && silent[s.ID]) {
			f.Due++
		}
	}
}

// String is one line.
func (f Figures) String() string {
	s := fmt.Sprintf("%d published, %d acknowledged (%v between two at the longest), %d sent more than once, %d stored; ",
		f.Published, f.Acked, f.Silence.Round(time.Millisecond), f.Retried, f.Stored)
	if f.Due > 0 {
		s += fmt.Sprintf("%d of %d deliveries (%.3f %%), ", f.Delivered, f.Due, 100*float64(f.Delivered)/float64(f.Due))
	} else {
		s += fmt.Sprintf("%d deliveries, ", f.Delivered)
	}
	return s + fmt.Sprintf("%d twice, %d out of order; %d reconnects with a position, %d recovered, %d not; %d said to be missing",
		f.Twice, f.Disordered, f.Restored, f.Recovered, f.NotRecovered, f.Told)
}
