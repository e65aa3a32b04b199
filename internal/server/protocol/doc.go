// Package protocol is roomcast.v1 without any I/O: what a client sends becomes a [Request], and what the server has to say becomes
// bytes. docs/protocol.md is the same for people who write a client.
//
// A message is one JSON object in one WebSocket text frame; its member "type" says which. [Decode] turns a frame into a Request or
// a [Fault], which says whether the connection goes on with an error or ends with a close code. The Append functions add a message
// for the client to a slice and return it, like append. The tables [ErrorCodes] and [CloseCodes] say what each code means.
//
// The package has no clock, lock, socket or goroutine, and knows neither rooms nor tokens: whoever calls it checks names and rights.
// Everything in it is safe from anywhere.
//
//   - Payloads are carried as they came, byte for byte: numbers keep their digits and objects their order.
//   - Nothing is allocated that is longer than the frame itself, and no input makes Decode panic. It recurses at most MaxDepth deep.
//   - Names are exactly those of the protocol, and none may come twice. encoding/json takes "Type" for "type" and the last of two
//     equal names without a word, and takes several times as long; a fuzz test holds the scanner to it in everything else.
//
// Files: request.go is what a client says and how it is read, scan.go reads JSON, event.go is what the server says, append.go writes
// JSON, payload.go is what both carry, position.go is where that stands in the history of a room, codes.go has the tables.
package protocol
