// Package e2e has only tests: they build the binary, run it, and use it from outside, as foreign WebSocket clients in Go and
// Node and as a person with a browser would.
//
// ws.test.mjs can be run by itself against any running server, page.test.mjs and pagelook.test.mjs with the path of a built
// binary; `make setup` installs what they need.
//
// The tests of the JavaScript client (client/js) run from here as well, against a server made for them: the Node packages are here.
package e2e
