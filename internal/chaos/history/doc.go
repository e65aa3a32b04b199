// Package history is what the clients of a cluster saw, and the judgement of it. It knows neither a network nor a process.
//
// Check holds a Room to what docs/protocol.md and the Engine promise:
//
//   - What was acknowledged is in the history, exactly once, where the ack says; the history has one epoch and offsets without a hole.
//   - All readers, senders and the history agree on what is at a position. What was acknowledged before something else was sent stands before it.
//   - A reader gets everything behind the position at which it began, each once, in the order of the offsets, save what it sent itself with
//     echo off, which it never gets. A reader that is there at the end has got everything up to the last.
//   - What a reader knows that it missed is a gap: the server said recovered false, or how many are missing. There is no other way to miss
//     something, and none to be told so though everything could still be had: of the last Keeps messages of a room none may be declared lost,
//     or of the last Replays, since a replay is no larger than what may wait for a client.
//
// In a room without history nothing has to arrive; what does, arrives once over one connection of the reader, not with its own sender if echo is off, and in
// the order in which it was sent over one connection of the sender.
package history
