package memengine

import "slices"

// Stats is what an engine keeps now, of all nodes of its cluster.
type Stats struct {
	Kinds   []KindStats // of histories, in the order of Options.History
	Members int         // who is there
}

// KindStats is what is kept of one kind of rooms.
type KindStats struct {
	Name            string
	Messages, Bytes int64
}

// Stats returns what is kept now. It takes a look at every room that keeps anything.
func (e *Engine) Stats() Stats {
	var s Stats
	for _, k := range e.cluster.kinds {
		k.mu.Lock()
		rooms := slices.Clone(k.rooms)
		k.mu.Unlock()
		kept := KindStats{Name: k.Name, Bytes: k.bytes.Load()}
		for _, r := range rooms {
			r.mu.Lock()
			kept.Messages += int64(r.log.Len())
			r.mu.Unlock()
		}
		s.Kinds = append(s.Kinds, kept)
	}
	people := &e.cluster.people
	people.mu.Lock()
	s.Members = len(people.members)
	people.mu.Unlock()
	return s
}
