// Package e2e has only tests: they build the binary, run it, and use it from outside, as foreign WebSocket clients in Go and
// Node, as the JavaScript client (client/js), as attackers, and as a person with a browser would.
//
// ws.test.mjs and page.test.mjs can be run by themselves against any running server, client.*.test.mjs with the path of a binary;
// `make setup` installs what they need.
package e2e
