// Package natsengine is a roomcast.Engine over NATS: rooms that span processes, with history, presence and recovery. Core NATS carries what
// is said in rooms without history, JetStream keeps that of the others, a key-value bucket knows who is there.
//
// # The log of a room
//
// All rooms of a kind (roomcast.Retention) share a stream; a room is a subject in it. A message there is a batch of entries and says their
// epoch and the offset of the first. It is stored only if it follows the message that its offsets follow from (the server compares sequences),
// so that offsets have no gaps whatever nodes publish, and an attempt of which nothing is known can be looked for and repeated.
//
// The stream repeats every message for those who are listening: the nodes that have members in the room. Those copies may be lost, which the
// next one shows, and for the last one the tail is looked at now and then. What is missing is read from the stream.
//
// # Goroutines and locks
//
// An Engine owns its goroutines, and Close waits for them: a few for as long as it lives, one for a room while something is being stored
// in it, one while something is being read. Subscribers are called by whichever of them has brought an entry, one at a time for each
// subscription and with no lock held.
//
// Lock order: Engine.mu, then room.mu, then Engine.tasks. None is held while a subscriber is called; live.mu is held with no other.
package natsengine
