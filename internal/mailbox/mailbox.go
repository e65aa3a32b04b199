// Package mailbox is what an actor has before it: messages in their order, and its end behind them. It has no goroutine and no lock.
package mailbox

// Sized is a message that tells its size in bytes.
type Sized interface{ Size() int }

// Mailbox is what waits for the callbacks of one connection: its messages, oldest first, and at last its end. It holds no lock
// and calls nobody but Size. The zero value is empty.
type Mailbox[M Sized] struct {
	queue []M    // waiting; nil while there are none
	bytes int    // what waits, in the measure of Full's limit
	head  uint32 // the oldest in queue

	running bool // a goroutine is handling what waits
	paused  bool // full: the link has been told to stop reading
	muted   bool // no further message is handled
	ended   bool // the end waits behind the messages
}

// overhead is what a waiting message counts besides its payload, so that very small ones are bounded too.
const overhead = 64

// Post appends a message and reports whether a goroutine has to be started for it.
func (m *Mailbox[M]) Post(msg M) (start bool) {
	if m.muted {
		return false
	}
	if len(m.queue) == cap(m.queue) && int(m.head) > len(m.queue)/2 {
		n := copy(m.queue, m.queue[m.head:]) // half of it is handled: move the rest rather than grow
		clear(m.queue[n:])
		m.queue, m.head = m.queue[:n], 0
	}
	m.queue = append(m.queue, msg)
	m.bytes += msg.Size() + overhead
	return m.start()
}

// Full reports whether reading has to stop, and notes it.
func (m *Mailbox[M]) Full(limit int) bool {
	m.paused = m.paused || m.bytes >= limit
	return m.paused
}

// Mute drops the messages that wait and those still to come.
func (m *Mailbox[M]) Mute() {
	m.muted = true
	m.queue, m.head, m.bytes = nil, 0, 0
}

// End posts the end of the connection and reports whether a goroutine has to be started for it.
func (m *Mailbox[M]) End() (start bool) {
	m.ended = true
	return m.start()
}

// start reports whether nobody handles what waits, and notes that somebody will.
func (m *Mailbox[M]) start() bool {
	first := !m.running
	m.running = true
	return first
}

// Job is what a mailbox hands out next.
type Job uint8

// What Next returns.
const (
	None   Job = iota // nothing waits: the goroutine ends
	Handle            // handle the message, or all that are handed out with it
	End               // handle the end of the connection; nothing follows
)

// Next takes what has waited longest. resume reports whether reading may go on, half of the limit being free again.
func (m *Mailbox[M]) Next(limit int) (what Job, msg M, resume bool) {
	if int(m.head) == len(m.queue) {
		what = m.idle()
		return what, msg, what == None && m.resume(limit)
	}
	msg = m.queue[m.head]
	clear(m.queue[m.head : m.head+1])
	m.head++
	m.bytes -= msg.Size() + overhead
	return Handle, msg, m.resume(limit)
}

// NextAll is Next for all messages that wait.
func (m *Mailbox[M]) NextAll(limit int) (what Job, all []M, resume bool) {
	if len(m.queue) == 0 {
		what = m.idle()
		return what, nil, what == None && m.resume(limit)
	}
	all = m.queue
	m.queue, m.bytes = nil, 0
	return Handle, all, m.resume(limit)
}

// idle is what is next when no message waits.
func (m *Mailbox[M]) idle() Job {
	m.queue, m.head = nil, 0
	if m.ended {
		m.ended = false // once
		return End
	}
	m.running = false
	return None
}

// resume reports whether reading was stopped and may go on, and notes it.
func (m *Mailbox[M]) resume(limit int) bool {
	if !m.paused || m.bytes > limit/2 {
		return false
	}
	m.paused = false
	return true
}

// Paused reports whether reading has been stopped and has not gone on.
func (m *Mailbox[M]) Paused() bool { return m.paused }
