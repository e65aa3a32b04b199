// Package e2e has only tests: they build the binary, run it, and use it from outside, as foreign WebSocket clients in Go and
// Node and as a person with a browser would.
//
// The Node scripts (*.test.mjs) can be run by themselves against any running server; `make setup` installs what they need.
package e2e
