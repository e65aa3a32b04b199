package natsengine

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/roomcast/roomcast"
)

// fakeBucket is what a bucket is to tables: a log of which each key's last message is kept, and writes that may be lost or late.
type fakeBucket struct {
	rev       uint64
	last      map[string]message
	presented map[string]bool // members that somebody presented
	gone      map[string]bool // that somebody said are gone
	swept     map[string]bool // that somebody took out who was not to
}

type message struct {
	id      string
	rev     uint64
	deleted bool
	version
}

// fakeNode is a table with what is on its way to and from the bucket.
type fakeNode struct {
	*table
	read   uint64 // up to which revision
	sent   []job
	acked  []fakeAck
	late   []job // given up by the node, but not by the network
	settle uint64
	known  map[string]string // what its audience was told
}

type fakeAck struct {
	job
	rev uint64
}

var epoch = time.Unix(0, 0)

func (b *fakeBucket) write(j job, n *fakeNode) uint64 {
	if j.rev != 0 && b.last[j.id].rev != j.rev {
		return 0
	}
	b.rev++
	b.last[j.id] = message{j.id, b.rev, j.gone, version{n.self, n.node, j.info}}
	return b.rev
}

// after are the messages that a reading which has come to rev still has to come to.
func (b *fakeBucket) after(rev uint64) []message {
	var list []message
	for _, m := range b.last {
		if m.rev > rev {
			list = append(list, m)
		}
	}
	slices.SortFunc(list, func(x, y message) int { return int(x.rev) - int(y.rev) })
	return list
}

func (n *fakeNode) take(m message) {
	if m.deleted {
		n.removed(m.id, m.rev)
	} else {
		n.put(m.id, m.rev, m.version, epoch)
	}
	n.read = m.rev
}

// readSome reads up to k messages; if there is nothing left, the reading that has begun last is settled.
func (n *fakeNode) readSome(b *fakeBucket, k int) bool {
	list := b.after(n.read)
	for _, m := range list[:min(k, len(list))] {
		n.take(m)
	}
	if len(list) <= k && n.settle != 0 {
		n.table.settle(n.settle)
		n.settle = 0
	}
	return len(list) > 0
}

func (n *fakeNode) hear(t *rapid.T, b *fakeBucket) {
	for _, item := range n.news {
		m := item.member
		if m.Gone && !b.gone[m.ID] && !b.swept[m.ID] {
			t.Fatalf("%s is told that %s is gone, which nobody said", n.node, m.ID)
		}
		_, known := n.known[m.ID]
		if known == item.fresh && !m.Gone || m.Gone && !known {
			t.Fatalf("%s is told of %+v, fresh %v, known %v", n.node, m, item.fresh, known)
		}
		if m.Gone {
			delete(n.known, m.ID)
		} else {
			n.known[m.ID] = m.Node + "=" + string(m.Info)
		}
	}
	n.news = nil
}

// step does something that can happen at any time.
func (n *fakeNode) step(t *rapid.T, b *fakeBucket, nodes []*fakeNode, count int) {
	id := rapid.SampledFrom([]string{"x", "y"}).Draw(t, "id")
	switch rapid.SampledFrom([]string{"present", "present", "gone", "next", "next", "arrive", "arrive", "ack", "ack", "lose", "late", "drop", "read", "read", "again", "retry", "sweep", "forget"}).Draw(t, "what") {
	case "present":
		b.presented[id] = true
		n.present(roomcast.Member{ID: id, Info: fmt.Append(nil, count)})
	case "gone":
		b.gone[id] = true
		n.present(roomcast.Member{ID: id, Gone: true})
	case "next":
		if j, ok := n.next(); ok {
			n.sent = append(n.sent, j)
		}
	case "arrive":
		n.arrive(b)
	case "ack":
		n.ack()
	case "lose": // the node gives up; the write may still arrive
		if len(n.sent) > 0 {
			n.written(n.sent[0], 0)
			n.late, n.sent = append(n.late, n.sent[0]), n.sent[1:]
		} else if len(n.acked) > 0 {
			n.written(n.acked[0].job, 0)
			n.acked = n.acked[1:]
		}
	case "late":
		n.arriveLate(b)
	case "drop": // lost for good
		n.late = nil
	case "read":
		n.readSome(b, rapid.IntRange(1, 3).Draw(t, "messages"))
	case "again":
		n.again(b)
	case "forget": // the mark of a deleted key: who has not read it reads everything anew
		if m := b.last[id]; m.deleted {
			delete(b.last, id)
			for _, n := range nodes {
				if n.read < m.rev {
					n.again(b)
				}
			}
		}
	case "retry":
		n.retry()
	case "sweep": // who takes a living node for dead
		if m := b.last[id]; m.rev != 0 && !m.deleted {
			b.swept[id] = true
			b.rev++
			b.last[id] = message{id: id, rev: b.rev, deleted: true}
		}
	}
	n.hear(t, b)
}

func (n *fakeNode) again(b *fakeBucket) {
	n.begin(false)
	n.settle, n.read = max(b.rev, 1), 0
}

func (n *fakeNode) arrive(b *fakeBucket) bool {
	if len(n.sent) == 0 {
		return false
	}
	for n.arriveLate(b) { // a connection keeps the order
	}
	n.acked = append(n.acked, fakeAck{n.sent[0], b.write(n.sent[0], n)})
	n.sent = n.sent[1:]
	return true
}

// arriveLate lets a write arrive that was given up.
func (n *fakeNode) arriveLate(b *fakeBucket) bool {
	if len(n.late) == 0 {
		return false
	}
	b.write(n.late[0], n)
	n.late = n.late[1:]
	return true
}

func (n *fakeNode) ack() bool {
	if len(n.acked) == 0 {
		return false
	}
	n.written(n.acked[0].job, n.acked[0].rev)
	n.acked = n.acked[1:]
	return true
}

// rest lets everything that is on its way arrive.
func rest(t *rapid.T, b *fakeBucket, nodes []*fakeNode) {
	for round := range 100 {
		busy := false
		if round == 50 { // writes that conflict with what is not there any more
			for _, n := range nodes {
				n.again(b)
			}
		}
		for _, n := range nodes {
			for n.arriveLate(b) || n.arrive(b) || n.ack() || n.readSome(b, 1) {
				busy = true
			}
			n.readSome(b, 0)
			n.retry()
			if j, ok := n.next(); ok {
				n.sent, busy = append(n.sent, j), true
			}
			n.hear(t, b)
		}
		if !busy {
			return
		}
	}
	t.Fatal("the nodes never come to rest")
}

func checkAgree(t *rapid.T, b *fakeBucket, nodes []*fakeNode) {
	want := map[string]string{}
	for id, m := range b.last {
		if !m.deleted {
			want[id] = m.node + "=" + string(m.info)
		}
	}
	for _, n := range nodes {
		if fmt.Sprint(n.known) != fmt.Sprint(want) {
			t.Fatalf("%s tells %v, the bucket has %v", n.node, n.known, want)
		}
		claims := 0
		for id, rec := range n.records {
			if rec.claim == nil {
				continue
			}
			claims++
			if b.last[id].node != n.node || rec.claim.gone || rec.claim.dirty {
				t.Fatalf("%s claims %s (%+v), the bucket has %+v", n.node, id, rec.claim, b.last[id])
			}
		}
		if claims != n.claims || len(n.records) != len(want) || n.here != len(want) || len(n.later) > 0 {
			t.Fatalf("%s counts %d claims of %d, keeps %d records of %d, %v for later", n.node, n.claims, claims, len(n.records), len(want), n.later)
		}
		for token, o := range n.owners {
			members := 0
			for _, m := range b.last {
				if !m.deleted && m.owner == token {
					members++
				}
			}
			if o.members != members {
				t.Fatalf("%s counts %d members of %s, there are %d", n.node, o.members, token, members)
			}
		}
		for id, m := range b.last {
			if rec := n.records[id]; !m.deleted && m.owner == n.self && (rec == nil || rec.claim == nil) {
				t.Fatalf("the bucket has %s of %s, which does not claim it", id, n.node)
			}
		}
	}
}

// TestTablesAgree has three nodes quarrel over two members while writes, answers and readings are late or lost.
func TestTablesAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := &fakeBucket{last: map[string]message{}, presented: map[string]bool{}, gone: map[string]bool{}, swept: map[string]bool{}}
		var nodes []*fakeNode
		for _, name := range []string{"a", "b", "c"} {
			nodes = append(nodes, &fakeNode{table: newTable(name, "life of "+name), known: map[string]string{}})
		}
		for i := range rapid.IntRange(1, 60).Draw(t, "steps") {
			nodes[rapid.IntRange(0, 2).Draw(t, "node")].step(t, b, nodes, i)
		}
		rest(t, b, nodes)
		checkAgree(t, b, nodes)
		for id := range b.presented {
			if m, ok := b.last[id]; !b.gone[id] && (!ok || m.deleted) {
				t.Fatalf("%s is not there, though nobody took it out", id)
			}
		}
		b.gone["x"] = true        // from here on
		for i, n := range nodes { // who presents it last has it
			n.present(roomcast.Member{ID: "x", Info: []byte("last")})
			rest(t, b, nodes)
			checkAgree(t, b, nodes)
			if nodes[0].known["x"] != n.node+"=last" {
				t.Fatalf("%s presented it last: %s (%d)", n.node, nodes[0].known["x"], i)
			}
		}
		nodes[2].present(roomcast.Member{ID: "x", Gone: true})
		rest(t, b, nodes)
		checkAgree(t, b, nodes)
		if _, there := nodes[0].known["x"]; there {
			t.Fatal("who is gone is still there")
		}
	})
}

// Whom another node presented, and then this one, is gone once this one says so, also if neither has been written yet.
func TestTakenAndGoneAtOnce(t *testing.T) {
	for name, test := range map[string]struct {
		between func(n *table) // presenting it and saying that it is gone
		newer   bool           // the other node has presented it again meanwhile
	}{
		"nothing written": {between: func(*table) {}},
		"a write failed": {between: func(n *table) {
			if j, ok := n.next(); ok {
				n.written(j, 0)
			}
		}},
		"presented again": {between: func(*table) {}, newer: true},
	} {
		t.Run(name, func(t *testing.T) {
			n := newTable("a", "life of a")
			n.put("m", 1, version{"life of b", "b", []byte("b's")}, epoch)
			n.present(roomcast.Member{ID: "m", Info: []byte("a's")})
			test.between(n)
			n.present(roomcast.Member{ID: "m", Gone: true})
			n.retry()
			if told := n.told(); len(told) > 0 {
				t.Errorf("still there: %+v", told)
			}
			if test.newer {
				n.put("m", 2, version{"life of b", "b", []byte("b's again")}, epoch)
			} else {
				j, ok := n.next()
				if !ok || j.gone || string(j.info) != "a's" {
					t.Fatalf("written is %+v, %v, want that it is this node's first", j, ok)
				}
				n.written(j, 2)
				j, ok = n.next()
				if !ok || !j.gone || j.rev != 2 {
					t.Fatalf("written is %+v, %v, want that revision 2 is deleted", j, ok)
				}
				n.written(j, 3)
				n.removed("m", 3)
				if len(n.records) > 0 || n.claims > 0 {
					t.Errorf("what stays: %v, %d claims", n.records, n.claims)
				}
			}
			if _, ok := n.next(); ok {
				t.Error("something is still to be written")
			}
			if told := n.told(); test.newer != (len(told) == 1 && told[0].Node == "b") {
				t.Errorf("there are %+v", told)
			}
		})
	}
}

// Whom another node has presented and said to be gone, both before this one is told that its own word was written, is gone.
func TestTakenAndGoneBeforeTheAnswer(t *testing.T) {
	n := newTable("b", "life of b")
	n.present(roomcast.Member{ID: "m", Info: []byte("b's")})
	j, _ := n.next()
	n.put("m", 2, version{"life of a", "a", []byte("a's")}, epoch)
	n.removed("m", 3)
	n.written(j, 1)
	if _, ok := n.next(); ok || len(n.told()) > 0 {
		t.Errorf("there is %v, to be written: %v", n.told(), ok)
	}
}
