//go:build unix

package chaos

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/roomcast/roomcast/internal/chaos/client"
	"github.com/roomcast/roomcast/internal/chaos/history"
)

// settles is for how long after the last fault the cluster may show somebody who is not there, or not show somebody who is.
func (c *cluster) settles() time.Duration { return lease + c.ttl + 8*time.Second }

// presence waits until all nodes show exactly those who are there, and until those who watch have been told.
func (j *judge) presence() {
	bound := j.c.settles()
	deadline := time.Until(j.healed.Add(bound))
	var wrong []history.Violation
	err := until(j.t.Context(), max(deadline, 5*time.Second), func(ctx context.Context) error {
		wrong = j.members(ctx)
		if len(wrong) > 0 {
			return fmt.Errorf("%d are wrong", len(wrong))
		}
		return nil
	})
	if err != nil {
		j.found = append(j.found, wrong...)
		return
	}
	j.t.Logf("all nodes show exactly those who are there, %v after the end of the last fault (bound: %v)", time.Since(j.healed).Round(time.Millisecond), bound)
	j.watched()
}

// there are the connections of those who are in a room.
func (j *judge) there(room string) (names []string) {
	for _, c := range j.f.present() {
		if slices.Contains(c.Rooms, room) {
			names = append(names, c.Record().Connection)
		}
	}
	return names
}

// members asks every node who is in every room.
func (j *judge) members(ctx context.Context) (wrong []history.Violation) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for _, c := range j.f.present() {
		if len(c.URLs) > 1 {
			continue // only the bells are on a node that is known
		}
		for _, room := range allRooms {
			shown, err := c.Members(ctx, room)
			if err != nil {
				wrong = append(wrong, history.Violation{Rule: history.RulePresence, Room: room, Who: c.Name, Text: err.Error()})
				continue
			}
			wrong = append(wrong, history.CheckMembers(room, "as shown to "+c.Name, shown, j.there(room))...)
		}
	}
	return wrong
}

// watched lets one more come in, and waits until everybody who watches has been told how many there are now.
func (j *judge) watched() {
	j.f.add(client.Options{Name: "newcomer", Rooms: allRooms})
	if err := j.f.allReady(patience); err != nil {
		j.t.Error(err)
		return
	}
	var wrong []history.Violation
	err := until(j.t.Context(), j.c.settles(), func(context.Context) error {
		wrong = nil
		for _, c := range j.f.present() {
			if !c.Watch {
				continue
			}
			notices := c.Record().Notices
			for _, room := range allRooms {
				want, last := len(j.there(room)), 0
				for _, n := range notices {
					if n.Room == room {
						last = n.Count
					}
				}
				if last != want {
					wrong = append(wrong, history.Violation{Rule: history.RulePresence, Room: room, Who: c.Name,
						Text: fmt.Sprintf("it was told that %d are there, and it is %d", last, want)})
				}
			}
		}
		if len(wrong) > 0 {
			return fmt.Errorf("%d are wrong", len(wrong))
		}
		return nil
	})
	if err != nil {
		j.found = append(j.found, wrong...)
	}
}

// sessions collects the complaints, and tells what became of the sessions.
func (j *judge) sessions() {
	var sum client.Sessions
	conns := 0
	for _, c := range j.f.all() {
		r := c.Record()
		j.found = append(j.found, r.Complaints...)
		conns += r.Conns
		sum.Resumed += r.Sessions.Resumed
		sum.Over += r.Sessions.Over
		sum.Refused += r.Sessions.Refused
		sum.Slowest = max(sum.Slowest, r.Sessions.Slowest)
	}
	flaps := j.flaps()
	j.t.Logf("%d connections; %d sessions resumed, %d over, %d attempts answered with unavailable; the slowest way back took %v; %d times somebody was said to have left who had not",
		conns, sum.Resumed, sum.Over, sum.Refused, sum.Slowest.Round(time.Millisecond), len(flaps))
	longest := j.health.longest()
	j.t.Logf("a node was not ready for %v at the longest", longest.Round(time.Millisecond))
	if longest < j.c.ttl/2 { // nodes that know nothing of one another for longer may take each other's sessions for over
		j.found = append(j.found, flaps...)
	}
}

// flaps are the times that somebody who watches was told that a client had left which never lost its session and was never away for as long as one lasts.
func (j *judge) flaps() (found []history.Violation) {
	alive := map[string]string{} // by connection
	for _, c := range j.f.present() {
		if r := c.Record(); r.Sessions.Over == 0 && r.Sessions.LongestOut < j.c.ttl*9/10 {
			alive[r.Connection] = c.Name
		}
	}
	for _, c := range j.f.present() {
		for _, n := range c.Record().Notices {
			for _, left := range n.Left {
				if name, ok := alive[left]; ok {
					found = append(found, history.Violation{Rule: history.RulePresence, Room: n.Room, Who: c.Name,
						Text: fmt.Sprintf("it was told at %v that %s had left, whose session was never over", n.Time, name)})
				}
			}
		}
	}
	return found
}
