// Package e2e has only tests: they build the binary, run it, and use it from outside, as foreign WebSocket clients in Go and
// Node and as a person with a browser would.
//
// ws.test.mjs and page.test.mjs can be run by themselves against any running server; `make setup` installs what they need.
//
// The tests of the JavaScript client (client/js) run from here as well, against a server made for them: the Node packages are here.
package e2e
