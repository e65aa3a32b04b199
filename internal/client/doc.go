// Package client is a client of the protocol roomcast.v1 (docs/protocol.md) that comes back by itself: it joins its rooms again after
// every interruption and does with each close code what the protocol asks for. It is what the terminal commands join and watch are
// made of, and knows the server from the protocol alone.
package client
