// Package e2e has only tests: they build the binary, run it, and use it from outside, as foreign WebSocket clients in Go and
// Node, as the JavaScript client (client/js), as attackers, and as a person with a browser would.
//
// ws.test.mjs can be run by itself against any running server, page.test.mjs, pagelook.test.mjs, client.*.test.mjs and examples.test.mjs with
// the path of a built binary; `make setup` installs what they need.
package e2e
