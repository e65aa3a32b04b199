// Package loadgen loads a WebSocket room server and checks what comes back: members connect to rooms, some of them send, and every
// member checks the sequence of every sender in its room. `roomcast bench` is this package with flags.
//
// A server under test lets a client join a room by connecting to its address, and passes each message on, unchanged, to all other
// members. Each message carries a header (header.go) with its run, room, sender, sequence number and the time at which it was due.
// With Config.Protocol the server speaks roomcast.v1 instead, and a message is the data of a send (protocol.go).
//
// What can be wrong without a network is in files without one: the schedule (schedule.go), the messages on the way (ring.go), the
// sequence check (check.go), the frames (frames.go), the figures and how they are shown (result.go, table.go, progress.go).
//
// Goroutines: Run owns all of them and waits for them before it returns. Each member has one that reads; each sender has one that
// writes; with a rate there is one that wakes the senders when something is due (pacer.go). A reading goroutine has a buffer and a
// histogram only while it has something to read: it takes a worker (worker.go) from a pool that grows to the number of goroutines
// that ever ran at the same time. Nothing is allocated for a delivery, and no lock is taken for one, only for what one read brings.
package loadgen
