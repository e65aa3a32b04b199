// Package netloop decides who may read or write a connection now.
//
// It knows bytes and goroutines, not frames and rooms. A Link moves the bytes of one connection; its Peer, which the user of
// this package implements, says what they mean:
//
//	socket → Link → Peer.Receive          Peer.Output → Link → socket
//
// Portable is the Link for every net.Conn: a goroutine reads for as long as the connection lives, and a second one writes
// only while there is output.
package netloop

import "time"

// Peer is the other side of a Link: it consumes what arrives and supplies what is to be sent. A Link calls Receive from one
// goroutine at a time, and Output and Written from one goroutine at a time, which may be another.
type Peer interface {
	// Receive handles bytes that arrived, in order. p is valid, and may be changed, until Receive returns. It reports
	// whether to go on reading; after false the Link reads nothing until Resume.
	Receive(p []byte) (more bool)

	// Output appends to pieces, which is empty and has room for at least one, the bytes to be written next, and returns it:
	// each piece is a part of scratch that Output has filled, or memory that never changes, and not empty; no more than fit without
	// growing. No pieces means that nothing waits: the writing ends until the next Wake, for good if last is true.
	Output(scratch []byte, pieces [][]byte) (out [][]byte, last bool)

	// Written tells that the socket took the first n bytes of the latest Output. It reports whether to ask for more; if not,
	// nothing waits and the writing ends until the next Wake.
	Written(n int) (more bool)

	// Lost tells that reading or writing failed; io.EOF when the other end hung up. It may be called twice, once for each
	// direction, and also after Finish or Abort. Output must say last soon after it.
	Lost(err error)

	// Flushed is called once, when Output has said last: everything has been written, or the connection was lost.
	Flushed()

	// Released is called once, as the last of all calls: the connection is closed and the Link uses the Peer no more.
	Released()
}

// Link moves the bytes of one connection. Its methods never block and may be called from any goroutine.
type Link interface {
	// Start begins to read and to write. greeting is written before any Output; head, which was read from the connection
	// before, is received before anything else. Start is called once, before any other method, and counts as a Wake.
	Start(greeting, head []byte)

	// Wake tells that Output has something. It is called when Output has returned no bytes since the last Wake, and not
	// otherwise: a Link under way asks again by itself.
	Wake()

	// Resume goes on reading after Receive returned false.
	Resume()

	// Finish bounds what is left to do. Output has said last or will do so: what waits is written, the writing side is
	// shut down, and input is received until the other end hangs up too (RFC 6455, section 7.1.1). After the given time
	// the connection is closed whatever has been reached.
	Finish(within time.Duration)

	// Abort closes the connection at once; what waits is not written.
	Abort()
}
