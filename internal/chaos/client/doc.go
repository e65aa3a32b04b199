// Package client is a client of roomcast.v1 for the fault suite. It does what docs/protocol.md asks of one, and nothing cleverer: it keeps
// the token of its session and its positions, comes back to another node than before when its connection ends, resumes, joins what was
// not restored from where it was, and writes down what it saw (package history). It shares no code with the server nor with internal/client:
// a mistake that both made would be seen by nobody.
//
// Its network is its own to lose (Client.Drop, Client.Stall): what it does to its connections, the server cannot tell from a network that does it.
//
// Goroutines: Start begins one, which owns the connection and reads from it, and for each connection one that watches whether something is still
// heard. End stops them and waits for them. Publish and Members run in whose goroutine they are called.
package client
