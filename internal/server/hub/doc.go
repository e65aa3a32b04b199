// Package hub is the endpoint /ws: clients that speak roomcast.v1 (docs/protocol.md), and what the backend does to them and their rooms.
//
// It is built on the public API of package roomcast: a [Hub] is a roomcast.Server whose callbacks speak the protocol. The server keeps who
// is in which room; the hub adds who the clients are, so that they can be found by connection, session and user.
//
// Files: hub.go is the endpoint and its settings, client.go is one client and its life, requests.go is what a client asks for, batch.go
// sends what it has sent at once, session.go is how it comes back, roster.go knows all sessions and crowd.go who is in a room, remote.go and nodes.go are
// about other nodes, backend.go is what the HTTP API does.
package hub
