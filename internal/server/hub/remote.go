package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/roomcast/roomcast"
	"github.com/roomcast/roomcast/internal/server/protocol"
)

// Nodes tell one another what to do to the clients that are connected there. Each listens in a room of its own and in one of all nodes, which no
// client can join.

// nodeRoom is the room that a node listens in.
func nodeRoom(node string) string { return "\x01node/" + node }

// allNodes is the room that every node listens in.
const allNodes = "\x01nodes"

// askTimeout is how long another node may take.
const askTimeout = 2 * time.Second

// deed is what is done to clients.
type deed string

const (
	doSend       deed = "send"       // Event
	doJoin       deed = "join"       // Room
	doLeave      deed = "leave"      // Room, Reason
	doDisconnect deed = "disconnect" // Reason

	// On all nodes, and whatever Target is.
	doRevokeUser  deed = "revoke_user"  // Name, When
	doRevokeToken deed = "revoke_token" // Name, When
)

// command is something to do to the clients that Target means.
type command struct {
	Do     deed
	Target Target
	Room   string `json:",omitempty"`
	Reason string `json:",omitempty"`
	Event  []byte `json:",omitempty"`

	Name string    `json:",omitempty"`
	When time.Time `json:",omitzero"`
}

// outcome is what came of it, in clients.
type outcome struct {
	Node      string // whose it is
	Done      int    // that were joined, taken out or disconnected
	Delivered int
	Failed    int
	Refused   string `json:",omitempty"` // why one could not join; others may have
	TooMany   bool   `json:",omitempty"` // it is in too many rooms

	Moved map[string]string `json:",omitempty"` // the sessions that have just left the node, by ID, and to which: who asks may not know
}

func (o *outcome) add(p outcome) {
	o.Done += p.Done
	o.Delivered += p.Delivered
	o.Failed += p.Failed
	if o.Refused == "" {
		o.Refused, o.TooMany = p.Refused, p.TooMany
	}
	if o.Moved == nil {
		o.Moved = p.Moved
	} else {
		maps.Copy(o.Moved, p.Moved)
	}
}

func (o *outcome) refuse(err error) {
	if o.Refused == "" {
		o.Refused, o.TooMany = err.Error(), errors.Is(err, roomcast.ErrTooManyRooms)
	}
}

// letter is what goes from node to node: a command that wants an outcome, the outcome, or that it stops.
type letter struct {
	From    string
	ID      uint64
	Command *command `json:",omitempty"`
	Outcome *outcome `json:",omitempty"`
	Bye     bool     `json:",omitempty"`
}

// mostMoves is how often a session is followed that is not where it was taken to be.
const mostMoves = 2

// everywhere does it on this node, and on the others that have sessions which the target means. The error is that some did not answer: what they have done is not known.
func (h *Hub) everywhere(t Target, cmd command) (outcome, error) {
	cmd.Target = t
	var errands []errand
	for _, node := range h.roster.nodes(t) {
		errands = append(errands, errand{node, cmd})
	}
	sum := h.perform(cmd)
	maps.DeleteFunc(sum.Moved, func(_, node string) bool {
		return slices.ContainsFunc(errands, func(e errand) bool { return e.node == node }) // asked in any case
	})
	errs := append(h.run(errands, &sum), h.follow(cmd, &sum)...)
	switch {
	case len(errs) == 0:
	case sum.Delivered > 0:
		errs = nil // whoever asks again would have it done twice
	case cmd.Do == doDisconnect:
		h.sever(t)
		errs = nil
	}
	return sum, errors.Join(errs...)
}

// passOn does it to a session that a node has taken over, whatever this one has heard of it since. Who has asked for it has had an answer.
func (h *Hub) passOn(node, session string, cmd command) {
	var sum outcome
	cmd.Target = Target{Session: session}
	errs := append(h.run([]errand{{node, cmd}}, &sum), h.follow(cmd, &sum)...)
	if len(errs) > 0 && cmd.Do == doDisconnect {
		h.sever(cmd.Target)
	}
}

// follow does it to the sessions that have moved, at the nodes that they have moved to.
func (h *Hub) follow(cmd command, sum *outcome) (errs []error) {
	for range mostMoves {
		if cmd.Do == doSend && sum.Delivered+sum.Failed > 0 {
			break // somebody might have it twice
		}
		var errands []errand
		for id, node := range sum.Moved {
			cmd.Target = Target{Session: id}
			errands = append(errands, errand{node, cmd})
		}
		sum.Moved = nil
		errs = append(errs, h.run(errands, sum)...)
	}
	return errs
}

// errand is a command for a node.
type errand struct {
	node string
	cmd  command
}

// run has nodes do something, all at the same time, and adds what came of it to sum.
func (h *Hub) run(errands []errand, sum *outcome) (errs []error) {
	var mu sync.Mutex // guards sum and errs
	var asking sync.WaitGroup
	for _, e := range errands {
		asking.Go(func() {
			var o outcome
			var err error
			if e.node == h.roster.node {
				o = h.perform(e.cmd)
			} else {
				o, err = h.ask(e.node, e.cmd)
			}
			mu.Lock()
			defer mu.Unlock()
			sum.add(o)
			if err != nil {
				errs = append(errs, err)
			}
		})
	}
	asking.Wait()
	return errs
}

// sever ends the sessions that t means and that are still there, of nodes that do not answer: if such a node lives, it learns that they are not its own any more.
func (h *Hub) sever(t Target) {
	for _, s := range h.roster.find(t) {
		if h.roster.adopt(s) {
			h.announceNow(s)
			h.over(s)
		}
	}
}

// perform does it on this node.
func (h *Hub) perform(cmd command) (o outcome) {
	o.Node = h.roster.node
	sessions := h.roster.find(cmd.Target)
	switch cmd.Do {
	case doRevokeUser, doRevokeToken:
		n, err := h.revokeHere(cmd)
		if o.Done = n; err != nil {
			o.Refused = err.Error()
		}
		return o
	case doDisconnect:
		o.Done = h.expel(sessions, cmd.Reason)
	case doSend:
		for _, c := range h.roster.clients(sessions) {
			switch err := c.conn.Send(roomcast.Message{Data: cmd.Event}); {
			case err == nil:
				o.Delivered++
			case errors.Is(err, roomcast.ErrOutboxFull):
				o.Failed++
			}
		}
	default:
		for _, s := range sessions {
			h.move(s, cmd, &o)
		}
	}
	o.Moved = h.roster.moved(sessions)
	return o
}

// move puts a session into a room, or takes it out, whatever connection it is on: that may change meanwhile.
func (h *Hub) move(s *session, cmd command, o *outcome) {
	for range 1 + mostMoves {
		c := h.roster.client(s)
		var done bool
		var err error
		switch {
		case c == nil:
			done, err = h.moveAway(s, cmd)
		case cmd.Do == doJoin:
			done, err = c.enter(cmd.Room, grip{by: byBackend}, roomcast.Position{}, func(at roomcast.Position, _ bool) []byte {
				return protocol.AppendJoined(nil, cmd.Room, protocol.Placed{Position: protocol.Position(at)})
			})
		default:
			done = c.exit(cmd.Room, byBackend, protocol.AppendLeft(nil, cmd.Room, cmd.Reason))
		}
		if done {
			h.roster.note(s, cmd)
			h.announceNow(s) // it may go to another node now
			o.Done++
			return
		}
		if err != nil && !errors.Is(err, roomcast.ErrClosed) {
			o.refuse(err)
			return
		}
		if h.roster.client(s) == c {
			return
		}
	}
}

// moveAway does that to a session whose client is not connected at the moment: it comes back to the rooms that the session is in then.
func (h *Hub) moveAway(s *session, cmd command) (done bool, err error) {
	if cmd.Do == doJoin {
		done, err = h.roster.admit(s, cmd.Room, h.config.Rooms.MaxRoomsPerConn)
	} else {
		done = h.roster.evict(s, cmd.Room, cmd.Reason)
	}
	if done {
		h.announce(s)
	}
	return done, err
}

// expel ends sessions, and closes the connections of those that have one. It returns how many it has closed.
func (h *Hub) expel(sessions []*session, reason string) (closed int) {
	h.telling.Lock()
	ended, clients := h.roster.expel(sessions, reason)
	for _, s := range ended {
		h.gone(s)
	}
	h.telling.Unlock()
	for _, c := range clients {
		if !c.conn.Closing() {
			closed++
		}
		c.end(protocol.CloseKicked, reason)
	}
	return closed
}

// ask has another node do it.
func (h *Hub) ask(node string, cmd command) (outcome, error) {
	outcomes, err := h.askIn(nodeRoom(node), []string{node}, cmd)
	if err != nil {
		return outcome{}, err
	}
	return outcomes[0], nil
}

// askIn has those who listen in a room do it, of whom the nodes have to answer, or later starts of the same servers.
func (h *Hub) askIn(room string, nodes []string, cmd command) (outcomes []outcome, _ error) {
	answers := make(chan outcome, 64) // never closed
	id := h.lastAsked.Add(1)
	h.asked.Store(id, answers)
	defer h.asked.Delete(id)
	ctx, cancel := context.WithTimeout(h.ctx, askTimeout)
	defer cancel()
	if err := h.post(ctx, room, letter{From: h.roster.node, ID: id, Command: &cmd}); err != nil {
		return nil, err
	}
	for len(nodes) > 0 {
		select {
		case o := <-answers:
			outcomes = append(outcomes, o)
			nodes = slices.DeleteFunc(nodes, func(node string) bool { return h.config.Server(node) == h.config.Server(o.Node) })
		case <-ctx.Done():
			return outcomes, fmt.Errorf("%w: node %q has not answered within %v", roomcast.ErrUnavailable, nodes[0], askTimeout)
		}
	}
	return outcomes, nil
}

func (h *Hub) post(ctx context.Context, room string, l letter) error {
	body, _ := json.Marshal(l) // strings, numbers and bytes
	return h.config.Engine.Publish(ctx, room, []roomcast.Entry{{Message: roomcast.Binary(body)}})
}

// hear takes letters. It is called by the engine: what takes time is done elsewhere.
func (h *Hub) hear(entries []roomcast.Entry) {
	for _, e := range entries {
		var l letter
		if json.Unmarshal(e.Data, &l) != nil {
			continue // of a version that we do not know
		}
		if l.Outcome != nil {
			if answers, ok := h.asked.Load(l.ID); ok {
				select {
				case answers.(chan outcome) <- *l.Outcome:
				default: // of more nodes than were asked for
				}
			}
		}
		if l.Bye {
			h.roster.bye(l.From)
		}
		if l.Command != nil {
			h.later(func() {
				o := h.perform(*l.Command)
				_ = h.post(h.ctx, nodeRoom(l.From), letter{From: h.roster.node, ID: l.ID, Outcome: &o}) // who asks does not wait for ever
			})
		}
	}
}

// watch takes what is said of sessions. It is called by the engine: what calls the engine is done elsewhere.
func (h *Hub) watch(members []roomcast.Member) {
	for _, m := range members {
		if h.roster.stray(m) {
			h.later(func() { h.retract(m) })
		}
		ours, lost, missed := h.roster.apply(m)
		if ours != nil {
			h.later(func() { h.announceNow(ours) })
		}
		if lost != nil {
			h.later(func() { lost.end(protocol.CloseSuperseded, "the session goes on in another connection") })
		}
		for _, cmd := range missed {
			h.later(func() { h.passOn(m.Node, m.ID, cmd) })
		}
	}
}

// informed reports whether this node knows of all sessions that there were when it began. Before, a client that comes back would find none; and its
// claim, as the latest word on the session, would take the rooms from it for good.
func (h *Hub) informed() bool {
	if h.config.Ready == nil || h.roster.node == "" || h.knows.Load() {
		return true
	}
	if h.config.Ready() != nil || !h.learning.TryLock() {
		return false
	}
	defer h.learning.Unlock()
	told := make(chan []roomcast.Member, 1) // what the engine has said may still be on its way to the roster; never closed
	var first sync.Once
	cancel := h.config.Engine.Watch(func(all []roomcast.Member) { first.Do(func() { told <- all }) })
	defer cancel()
	ctx, stop := context.WithTimeout(h.ctx, time.Second)
	defer stop()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	var members []roomcast.Member
	select {
	case members = <-told:
	case <-ctx.Done():
		return false
	}
	for !h.roster.knows(members) {
		select {
		case <-look.C:
		case <-ctx.Done():
			return false
		}
	}
	h.knows.Store(true)
	return true
}

// listen joins the other nodes, as soon as the engine is there.
func (h *Hub) listen(room string) {
	retry := time.NewTicker(250 * time.Millisecond)
	defer retry.Stop()
	for {
		_, cancel, err := h.config.Engine.Subscribe(h.ctx, room, h.hear)
		if err == nil {
			context.AfterFunc(h.ctx, cancel)
			return
		}
		select {
		case <-retry.C:
		case <-h.ctx.Done():
			return
		}
	}
}

// later does something in a goroutine of its own, unless the hub is stopping.
func (h *Hub) later(do func()) {
	h.stopping.RLock()
	defer h.stopping.RUnlock()
	if h.ctx.Err() == nil {
		h.tasks.Go(do)
	}
}
