package natsengine

import (
	"bytes"
	"time"

	"github.com/roomcast/roomcast"
)

// table is what this node knows of all members, and what it wants to be said of its own. It has no clock, no lock and no connection: presence
// supplies those. What is in the bucket comes in by put and removed, in the order of its revisions; what is to be written there goes out by
// next and comes back by written; what the audience has to be told is in news.
type table struct {
	node string // this node
	self string // this life of it: the owner in its members' keys

	records map[string]*record // by ID of the member
	owners  map[string]*owner  // every life of a node that has members or a lease
	claims  int                // how many records have one
	here    int                // how many members the audience knows

	reading int      // counts the readings of the whole bucket
	settled uint64   // what is not known to be there up to this revision is not
	queue   []string // IDs to be written, those that wait longest first
	later   []string // IDs whose writing has failed: for retry
	news    []newsItem
}

// record is one member.
type record struct {
	id string

	// As the bucket has it.
	version
	rev    uint64 // of the latest message of the key that is known; 0: none
	stored bool   // that message is a version, not a deletion
	ahead  bool   // it is known from the answer to a write: the reading has not come that far
	read   int    // the reading it was last seen in

	// As this node wants it.
	claim   *claim // nil: the member is no concern of this node
	queued  bool
	writing bool

	// As the audience was told.
	told *roomcast.Member // nil: not there
}

// version is what a key of a member says.
type version struct {
	owner, node string
	info        []byte
}

// claim is what this node wants the bucket to say of a member: a version of its own, or nothing (gone).
type claim struct {
	info  []byte
	gone  bool
	rev   uint64 // of the version which it replaces; 0: whatever is there, since a member belongs to the node that presented it last
	over  uint64 // if it is gone before it was written: of another node's version, which is replaced all the same, so that the other gives up
	other uint64 // while rev is 0: of the latest version of another node that has been read
	dirty bool   // to be written
	tries int    // that have failed since the last success
}

// job is one write that is wanted.
type job struct {
	id    string
	claim *claim
	info  []byte
	gone  bool
	rev   uint64
	tries int // before
}

// newsItem is a change the audience has to be told. fresh: it did not know the member.
type newsItem struct {
	member roomcast.Member
	fresh  bool
}

func newTable(node, self string) *table {
	return &table{node: node, self: self, records: map[string]*record{}, owners: map[string]*owner{}}
}

func (t *table) record(id string) *record {
	rec := t.records[id]
	if rec == nil {
		rec = &record{id: id}
		t.records[id] = rec
	}
	return rec
}

// present is Engine.Present.
func (t *table) present(m roomcast.Member) {
	rec := t.records[m.ID]
	if m.Gone {
		if rec == nil || rec.claim == nil || rec.claim.gone {
			return // nobody of ours
		}
		rec.claim.gone, rec.claim.dirty = true, true
		if rec.claim.rev == 0 && rec.stored && rec.owner != t.self {
			rec.claim.over = rec.rev
		} else {
			rec.claim.info = nil
		}
	} else {
		rec = t.record(m.ID)
		switch c := rec.claim; {
		case c == nil || c.gone && rec.stored && rec.owner != t.self: // taken over, or not there yet
			t.setClaim(rec, &claim{info: m.Info, dirty: true})
		case !c.gone && bytes.Equal(c.info, m.Info):
			return
		default:
			c.gone, c.info, c.dirty = false, m.Info, true
		}
	}
	t.enqueue(rec)
	t.refresh(rec)
}

// put takes in a version of a member's key.
func (t *table) put(id string, rev uint64, v version, now time.Time) {
	rec := t.record(id)
	rec.read = t.reading
	if rev > rec.rev {
		t.store(rec, rev, true, v)
		t.alive(v.owner, now) // who writes is there
		t.weigh(rec)
	}
	t.seen(rec, rev)
}

// removed takes in that a member's key has been deleted.
func (t *table) removed(id string, rev uint64) {
	rec := t.records[id]
	if rec == nil {
		return
	}
	rec.read = t.reading
	if rev > rec.rev {
		t.store(rec, rev, false, version{})
		t.weigh(rec)
	}
	t.seen(rec, rev)
}

// weigh says what becomes of the claim now that the bucket has a newer message.
func (t *table) weigh(rec *record) {
	c := rec.claim
	switch {
	case c == nil && (!rec.stored || rec.owner != t.self):
		return
	case c == nil: // a write of ours that was given up has come through after all
		t.setClaim(rec, &claim{gone: true, rev: rec.rev, dirty: true})
	case !rec.stored && c.gone:
		t.setClaim(rec, nil)
		return
	case !rec.stored: // others deleted what is ours: it is put again
		c.dirty = c.dirty || c.rev != 0 || !rec.writing
		c.rev = 0
	case rec.owner == t.self:
		c.rev = rec.rev
		if !rec.writing && (c.gone || !bytes.Equal(c.info, rec.info)) {
			c.dirty = true
		}
	case c.rev != 0: // another node has presented it since
		t.setClaim(rec, nil)
		return
	default: // our own first version is on its way, and counts if it comes later
		c.other = rec.rev
	}
	t.enqueue(rec)
}

// seen notes that the reading has come to a message of the record.
func (t *table) seen(rec *record, rev uint64) {
	if rev >= rec.rev {
		rec.ahead = false
	}
	t.refresh(rec)
}

// store changes what the bucket is known to have.
func (t *table) store(rec *record, rev uint64, stored bool, v version) {
	if rec.stored {
		t.owners[rec.owner].members--
	}
	rec.rev, rec.stored, rec.version = rev, stored, v
	if stored {
		t.owner(v.owner, v.node).members++
	}
}

func (t *table) setClaim(rec *record, c *claim) {
	if rec.claim != nil {
		t.claims--
	}
	if c != nil {
		t.claims++
	}
	rec.claim = c
}

func (t *table) enqueue(rec *record) {
	if rec.claim != nil && rec.claim.dirty && !rec.writing && !rec.queued {
		rec.queued = true
		t.queue = append(t.queue, rec.id)
	}
}

// next is the write that has waited longest. Who gets it calls written.
func (t *table) next() (job, bool) {
	for len(t.queue) > 0 {
		rec := t.records[t.queue[0]]
		t.queue = t.queue[1:]
		rec.queued = false
		c := rec.claim
		outdoes := c != nil && c.outdoes(rec)
		if c != nil && c.gone && !outdoes && (c.rev == 0 || t.revived(rec)) {
			t.setClaim(rec, nil) // there is nothing to be taken out
			c = nil
		}
		if c == nil || !c.dirty {
			t.refresh(rec)
			continue
		}
		c.dirty, rec.writing = outdoes, true // if it does, there are two to be written
		return job{rec.id, c, c.info, c.gone && !outdoes, c.rev, c.tries}, true
	}
	t.queue = nil
	return job{}, false
}

// outdoes reports whether the member is to be gone although what the bucket says is another node's: this one has presented it since.
func (c *claim) outdoes(rec *record) bool {
	return c.gone && c.rev == 0 && c.over != 0 && c.over == rec.rev
}

// revived reports whether a record that was to be swept belongs to a node that is there again.
func (t *table) revived(rec *record) bool {
	return rec.stored && rec.owner != t.self && !t.owners[rec.owner].expired
}

// written is how a write ended: with the revision it got; or with 0, if it failed or met another revision than it expected.
func (t *table) written(j job, rev uint64) {
	rec := t.records[j.id]
	rec.writing = false
	c := rec.claim
	switch {
	case c == nil || c != j.claim: // taken over meanwhile; what was stored nevertheless comes by the reading
	case rev == 0:
		c.dirty = true
		c.tries++
		t.later = append(t.later, j.id)
		t.refresh(rec)
		return
	case rec.rev > rev: // the reading was faster, and has seen what came after
		switch {
		case rec.stored && rec.owner != t.self || !rec.stored && c.gone || c.other > rev:
			t.setClaim(rec, nil)
		case !rec.stored:
			c.rev, c.dirty = 0, true
		default: // one of ours that was given up
			c.rev, c.dirty = rec.rev, c.gone || !bytes.Equal(c.info, rec.info)
		}
	case rec.rev < rev && rev <= t.settled: // it is not there any more, and its deletion was not seen
		if c.gone {
			t.setClaim(rec, nil)
		} else {
			c.rev, c.dirty = 0, true
		}
	default:
		c.tries = 0
		rec.ahead = rec.rev < rev
		if j.gone {
			t.store(rec, rev, false, version{})
			c.rev = 0
		} else {
			t.store(rec, rev, true, version{t.self, t.node, j.info})
			c.rev = rev
		}
		if c.gone && j.gone {
			t.setClaim(rec, nil)
		}
	}
	t.enqueue(rec)
	t.refresh(rec)
}

// retry puts what has failed back into the queue.
func (t *table) retry() {
	later := t.later
	t.later = nil
	for _, id := range later {
		if rec := t.records[id]; rec != nil {
			t.enqueue(rec)
			t.refresh(rec)
		}
	}
}

// begin is the beginning of a new reading of the whole bucket. forget: it is not the one whose revisions are known.
func (t *table) begin(forget bool) {
	t.reading++
	if !forget {
		return
	}
	t.settled = 0
	for _, o := range t.owners {
		o.rev = 0
	}
	for _, rec := range t.records {
		rec.rev, rec.ahead = 0, false
	}
}

// settle is the end of a reading: a key it has not shown is not there, unless it was written after limit, the last revision before it.
func (t *table) settle(limit uint64) {
	t.settled = limit
	for _, rec := range t.records {
		if rec.read == t.reading || rec.rev > limit {
			continue
		}
		rec.read, rec.ahead = t.reading, false
		if rec.stored {
			t.store(rec, rec.rev, false, version{})
		}
		t.weigh(rec)
		t.refresh(rec)
	}
	for _, o := range t.owners {
		if o.read != t.reading && o.rev <= limit {
			o.rev = 0
		}
	}
}

// refresh tells the audience if the member is another than it knows, and forgets a record of which there is nothing left to know.
func (t *table) refresh(rec *record) {
	m := t.visible(rec)
	switch {
	case m == nil && rec.told != nil:
		t.news = append(t.news, newsItem{member: roomcast.Member{ID: rec.id, Node: rec.told.Node, Gone: true}})
		rec.told = nil
		t.here--
	case m != nil && (rec.told == nil || rec.told.Node != m.Node || !bytes.Equal(rec.told.Info, m.Info)):
		if rec.told == nil {
			t.here++
		}
		t.news = append(t.news, newsItem{*m, rec.told == nil})
		rec.told = m
	}
	if rec.told == nil && !rec.stored && rec.claim == nil && !rec.ahead && !rec.writing && !rec.queued {
		delete(t.records, rec.id)
	}
}

// visible is the member as the audience is to see it, nil if it is not there.
func (t *table) visible(rec *record) *roomcast.Member {
	switch {
	case rec.claim != nil && !rec.claim.gone:
		return &roomcast.Member{ID: rec.id, Node: t.node, Info: rec.claim.info}
	case !rec.stored || rec.owner == t.self || t.owners[rec.owner].expired || rec.claim != nil && rec.claim.outdoes(rec):
		return nil
	}
	return &roomcast.Member{ID: rec.id, Node: rec.node, Info: rec.info}
}

// leave leaves sweeping to others. What this node presents stays in the bucket: once its lease is given back it is a dead node's, to be taken over or gone.
func (t *table) leave() {
	for _, rec := range t.records {
		if c := rec.claim; c != nil && c.gone && rec.stored && rec.owner != t.self && !c.outdoes(rec) {
			t.setClaim(rec, nil)
			t.refresh(rec)
		}
	}
}

// pending reports whether something is still to be written.
func (t *table) pending() bool { return len(t.queue)+len(t.later) > 0 }

// told is everybody the audience knows.
func (t *table) told() []roomcast.Member {
	members := make([]roomcast.Member, 0, t.here)
	for _, rec := range t.records {
		if rec.told != nil {
			members = append(members, *rec.told)
		}
	}
	return members
}
