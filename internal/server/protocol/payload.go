package protocol

import "encoding/base64"

// Payload is what a message carries for the application: any JSON value, or bytes.
type Payload struct {
	// Bytes is the JSON value as it stood in the frame (valid JSON in UTF-8, in no other form than the sender's) or, with Binary,
	// the bytes themselves. Bytes that do not come from Decode are not checked again.
	Bytes []byte

	// Binary is whether it travels as base64.
	Binary bool
}

// strict is the one encoding of bytes: standard alphabet, padding, no stray bits.
var strict = base64.StdEncoding.Strict()

// append adds the payload as the member "data" or "base64".
func (p Payload) append(dst []byte) []byte {
	if !p.Binary {
		dst = append(dst, `,"data":`...)
		return append(dst, p.Bytes...)
	}
	dst = append(dst, `,"base64":"`...)
	dst = strict.AppendEncode(dst, p.Bytes)
	return append(dst, '"')
}
