// Package roomcast is WebSocket rooms: connections join named rooms, anyone broadcasts to a room or to all but one member, and
// whoever disconnects is out of every room at once.
//
// A [Server] is an http.Handler that upgrades requests to connections and calls a [Handler] about them. A [Conn] is one client. A
// room is a name; it exists while it has a member. Everything else is in [Options].
//
// # Guarantees
//
// Each has a test that carries its number.
//
//   - G1 membership. Once Join has returned, every broadcast to the room that starts later is handed to the connection; once Leave has returned, none that starts later is.
//   - G2 both ways indexed. A room knows its members and a connection knows its rooms, so a disconnect costs the number of its own
//     rooms. The two views never disagree when nobody is inside a call.
//   - G3 empty rooms vanish with their last member, and so does every trace of a gone connection: after any churn, memory,
//     goroutines and descriptors are back where they were.
//   - G4 one order. All members of a room see its broadcasts in one and the same order, and the messages of one sender in the order it sent them.
//   - G5 disconnect is atomic, and in this order: (1) the connection leaves all rooms at one instant: from then on no broadcast
//     reaches it, no list of members shows it, and Join fails with ErrClosed; (2) it is shut down: reading and writing stop; (3) the
//     Close frame is sent; (4) the Close callback runs, exactly once, after the last Message callback; (5) its memory is released.
//     However it ends: client close, network error, timeout, rejection, a crash in a callback, server shutdown.
//   - G6 actor per connection. Callbacks of one connection never overlap and see its messages in order; different connections run
//     in parallel. A panic in a callback ends that connection alone, with close code 1011.
//   - G7 nobody waits for a slow member. No lock of a room or of the registry is held across a socket write or a callback. What
//     waits for a connection is bounded (Options.OutboxBytes), and a frame that waits for many is stored once. Passing the bound
//     closes the connection with 1013, counted and logged as outbox_full, unless the room drops messages instead (Options.Slow): then
//     they are counted, what is left keeps its order, and the member can be told what is missing where (Options.Gap).
//   - G8 a broken client harms only itself. A violation of RFC 6455 ends its connection with the right code: 1002 protocol error,
//     1007 invalid UTF-8, 1009 too big; 1008 is a rejection, 1001 a missing pong or a server going away.
//   - G9 no deadlock: one lock order, below.
//   - G10 encode once. A broadcast is turned into bytes once, whatever the number of members, and compressed once, if there are members that have agreed to it.
//   - G11 connected means joined. The Connect callback has returned, and the rooms it joined count, before the client can see the
//     upgrade's 101. (A rejected client still gets its 101, then 1008.)
//
// # One message's way
//
// Bytes come from a link (internal/netloop), become messages in a session (internal/session), and wait in the connection's
// mailbox for the Message callback. A broadcast is encoded into one frame, which is added to the outbox of every member; the
// link of each member writes all that waits there at once. A broadcast never writes to a socket.
//
// # Beyond one process
//
// With an [Engine] (Options.Engine) rooms reach over nodes, remember messages, and know who is there. A room subscribes to the engine with its
// first member. What is published in a room that keeps a history is stored first and then comes back from the engine, to all nodes in
// one order; in any other room it is delivered here at once, and by the engine to the others. Conn.JoinFrom replays what a
// connection has missed: entries enter the outbox of that connection alone, before it is a member.
//
// # Goroutines
//
//   - On Linux, TCP connections are run by event loops, with TLS too if it is ListenAndServeTLS that accepted them. A loop has two
//     goroutines: one waits for the kernel, one for other goroutines that have something to be sent. There are as many loops as
//     GOMAXPROCS; a loop lives while it has a connection. An idle connection has no goroutine and no buffer.
//   - Any other connection (other systems, pipes, TLS of an http.Server of your own) has one goroutine that reads, until it is
//     closed, and one that writes while the outbox has something. Options.CloseTimeout and PongTimeout bound how long they last.
//   - The mailbox of a connection has one while something waits in it. It runs the callbacks Message or Messages, and Close. Connect runs in the
//     goroutine that called ServeHTTP, before there are others.
//   - The server has none of its own. The heartbeat is a timer that runs while there are connections. Serve and its like run in the
//     goroutine that called them, and start one for each request that they answer. Where there are event loops, Serve has a door
//     (internal/door): it accepts in the goroutine of the caller, its http.Server in one of the door's, and a goroutine that has
//     answered an upgrade request waits a second for another one.
//
// Shutdown waits for all of them.
//
// # Locks
//
// There is one order: shard.mu (the registry of rooms, sharded by name), then room.mu, then Conn.mu. Server.mu guards the set of
// connections; it, and the two of a door (its visitors, and a visitor's answer; internal/door), are never held together with
// another. None is held across a socket write, a callback or a call of the engine, which may hold locks of its own while it delivers. The turn of an event loop is a lock too: it comes before all of these,
// and what is asked of a connection's link is noted without it, so nobody who holds one of the others waits for a turn.
package roomcast
