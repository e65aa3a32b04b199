// Package admission decides who may connect, as whom, and for how long. It guards every endpoint for WebSocket clients in the same way.
//
// A [Desk] is asked twice. [Desk.Guard] looks at a request before it is upgraded: it refuses in HTTP what comes too fast, from an address
// with too many connections, or while the server drains. A token is looked at when the connection is up, since browsers see close codes but no
// statuses: [Desk.Check] says what it allows, and [Desk.Admit] makes it a [Pass], which counts for the user and ends the connection when the
// token expires or is revoked.
//
// Files: desk.go is the Desk, guard.go what comes before the upgrade, pass.go admitted connections and their users, address.go where a
// request comes from, rate.go how fast somebody may do something.
package admission
