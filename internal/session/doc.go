// Package session is the server's side of RFC 6455 without any I/O: bytes go in, events come out, and messages become frames.
//
// It has no clock, lock, socket or goroutine. Whoever owns a connection feeds a [Reader] what it read, in pieces of any size, and
// writes what the Append functions built. A Reader belongs to one goroutine at a time; the Append functions and [CheckClose] are
// safe from anywhere.
//
// What it keeps of the contract:
//
//   - G8: every violation of RFC 6455 ends the connection with the right close code: 1002 for the protocol, 1007 for text that is
//     not UTF-8, 1009 for a message over the limit, which is seen in the header, before anything is allocated for the payload.
//   - The events do not depend on how the bytes were cut into pieces.
//   - Memory follows the bytes that arrived, never the length a peer declared; between messages a Reader holds nothing.
//
// The one extension is permessage-deflate (RFC 7692) without context takeover: [AcceptDeflate] negotiates it, Reader.Deflate allows
// it, [DeflateFrame] uses it. RSV1 on the first frame of a message is then no violation; any other RSV bit is (RFC 6455 section 5.2).
// A compressed message is inflated when it is complete, up to the limit; one that is not DEFLATE data is a violation of the
// protocol, 1002.
//
// Files: session.go is the Reader and its way through a frame, header.go decodes and judges frame headers, partial.go is what a
// Reader keeps of an unfinished frame or message, utf8.go checks text across borders, closecode.go is about close codes, frame.go
// builds frames, offer.go and deflate.go are permessage-deflate, request.go reads upgrade requests, origin.go
// judges the page that one comes from.
package session
