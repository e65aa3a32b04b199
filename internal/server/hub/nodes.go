package hub

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/roomcast/roomcast"
)

// What the roster knows of the other nodes: it is what their sessions say, and who has stopped.

// movedLately is after what time all nodes know that a session has moved.
const movedLately = 10 * time.Second

// moved returns those of the sessions, by ID, that have just moved from this node to another one, and to which.
func (r *roster) moved(sessions []*session) (to map[string]string) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, s := range sessions {
		if s.node != r.node && !s.moved.IsZero() && time.Since(s.moved) < movedLately {
			if to == nil {
				to = map[string]string{}
			}
			to[s.id] = s.node
		}
	}
	return to
}

// deedAt is something that the backend has done to a session, and when.
type deedAt struct {
	do           deed // doJoin or doLeave
	room, reason string
	at           time.Time
	act          uint64 // session.acts with it
}

// kick is a session that has been expelled.
type kick struct {
	turn   uint64 // session.turn
	reason string
}

// note remembers that the backend has put a session into a room, or taken it out: another node may just be taking it over without knowing.
func (r *roster) note(s *session, cmd command) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.node == "" {
		return
	}
	s.deeds = slices.DeleteFunc(s.deeds, func(d deedAt) bool { return d.room == cmd.Room || time.Since(d.at) > movedLately })
	s.acts++
	s.deeds = append(s.deeds, deedAt{cmd.Do, cmd.Room, cmd.Reason, time.Now(), s.acts})
}

// noteKickLocked remembers that a session has been expelled.
func (r *roster) noteKickLocked(s *session, reason string) {
	if r.node != "" {
		r.kicked[s.id] = kick{s.turn, reason}
		time.AfterFunc(movedLately, func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			delete(r.kicked, s.id)
		})
	}
}

// missedLocked returns what another node that has taken over a session did not know of it.
func (r *roster) missedLocked(id string, s *session, rec record) (missed []command) {
	ours := s != nil && s.node == r.node
	if k, ok := r.kicked[id]; ok && !ours && 0 < rec.From && rec.From <= k.turn+1 && rec.Turn > k.turn { // else it is a word from before
		delete(r.kicked, id)
		return []command{{Do: doDisconnect, Reason: k.reason}}
	}
	if !ours {
		return nil
	}
	for _, d := range s.deeds {
		if _, here := s.rooms[d.room]; here != (d.do == doJoin) {
			continue // the client has undone it
		}
		if _, in := rec.Rooms[d.room]; d.act > rec.Knew && in != (d.do == doJoin) && time.Since(d.at) < movedLately {
			missed = append(missed, command{Do: d.do, Room: d.room, Reason: d.reason})
		}
	}
	s.deeds = nil
	return missed
}

// nodes returns the other nodes that the sessions meant by t are connected to.
func (r *roster) nodes(t Target) []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var nodes []string
	for _, s := range r.findLocked(t) {
		if s.node != r.node && !slices.Contains(nodes, s.node) {
			nodes = append(nodes, s.node)
		}
	}
	return nodes
}

// adopt makes a session of another node this one's, with nobody connected to it; it reports whether it was another's.
func (r *roster) adopt(s *session) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.node == r.node || r.sessions[s.id] != s {
		return false
	}
	s.node, s.turn = r.node, s.turn+1
	return true
}

// stray reports whether a member is presented by this node although the session is not its own, or not any more.
func (r *roster) stray(m roomcast.Member) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	s := r.sessions[m.ID]
	return !m.Gone && m.Node == r.node && (s == nil || s.node != r.node)
}

// bye notes that another node has stopped. Its sessions wait for their clients to come to another one.
func (r *roster) bye(node string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped[node] = true
}

// others returns the other nodes that have a session and have not stopped.
func (r *roster) others() (nodes []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	there := map[string]bool{r.node: true}
	for _, s := range r.sessions {
		if !there[s.node] {
			there[s.node] = true
			if !r.stopped[s.node] {
				nodes = append(nodes, s.node)
			}
		}
	}
	maps.DeleteFunc(r.stopped, func(node string, _ bool) bool { return !there[node] })
	return nodes
}

// knows reports whether all members of other nodes have been heard of.
func (r *roster) knows(members []roomcast.Member) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return !slices.ContainsFunc(members, func(m roomcast.Member) bool {
		return m.Node != r.node && r.sessions[m.ID] == nil && json.Unmarshal(m.Info, &record{}) == nil
	})
}
