package natsengine

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// token is the name of a room as one token of a subject, whatever characters it has.
func token(room string) string { return base64.RawURLEncoding.EncodeToString([]byte(room)) }

// liveSubject is where the entries of a room without history pass.
func liveSubject(prefix, room string) string { return prefix + ".m." + token(room) }

// logSubjects and noticeSubjects are all rooms of a kind: what is stored, and its copy for those who are listening.
func logSubjects(prefix, kind string) string    { return prefix + ".h." + kind + ".>" }
func noticeSubjects(prefix, kind string) string { return prefix + ".d." + kind + ".>" }

func logSubject(prefix, kind, room string) string { return prefix + ".h." + kind + "." + token(room) }
func noticeSubject(prefix, kind, room string) string {
	return prefix + ".d." + kind + "." + token(room)
}

// streamName is the stream of a kind of rooms.
func streamName(prefix, kind string) string { return strings.ToUpper(prefix) + "_H_" + kind }

// messageID is what NATS knows a message by that has an idempotency key.
func messageID(room, once string) string {
	sum := sha256.Sum256([]byte(room + "\x00" + once))
	return base64.RawURLEncoding.EncodeToString(sum[:18])
}

// isName reports whether s is letters, digits, "-" and "_".
func isName(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}

// randomName is n letters and digits that nobody else comes up with; n is at most 26.
func randomName(n int) string { return strings.ToLower(rand.Text()[:n]) }
