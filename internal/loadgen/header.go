package loadgen

import "encoding/binary"

// HeaderBytes is what the header of a message takes of its payload, and so the smallest payload.
const HeaderBytes = 32

// The header is text, so that a message can be text: four words of eight characters, six bits in each character from '0' to 'o', with 'p' in
// place of the backslash, so that it is a part of a JSON string as it stands.
//
//	0   "rc" and the run
//	8   room (four characters), sender (four characters)
//	16  sequence number, from 1
//	24  nanoseconds from the start of the run to the time the message was due
const (
	wordBytes = 8
	wordMax   = 1<<48 - 1
	halfBits  = 24
	maxMember = 1<<halfBits - 1
)

// stamp is what the header of a message says, its run left aside.
type stamp struct {
	room, sender int
	seq          uint64
	due          int64
}

// appendHeader appends the header of a message; run is its first word.
func appendHeader(b []byte, run string, s stamp) []byte {
	b = append(b, run...)
	b = appendWord(b, uint64(s.room)<<halfBits|uint64(s.sender))
	b = appendWord(b, s.seq)
	return appendWord(b, uint64(s.due))
}

// readHeader is the inverse of appendHeader; ok is false unless p begins with a header of the run.
func readHeader(p []byte, run string) (s stamp, ok bool) {
	if len(p) < HeaderBytes || string(p[:wordBytes]) != run {
		return stamp{}, false
	}
	who, ok1 := readWord(p[wordBytes:])
	seq, ok2 := readWord(p[2*wordBytes:])
	due, ok3 := readWord(p[3*wordBytes:])
	return stamp{room: int(who >> halfBits), sender: int(who & maxMember), seq: seq, due: int64(due)}, ok1 && ok2 && ok3
}

// runWord is the first word of every header of a run with that random number.
func runWord(random uint64) string { return "rc" + string(appendWord(nil, random)[2:]) }

func appendWord(b []byte, v uint64) []byte {
	for shift := 42; shift >= 0; shift -= 6 {
		c := '0' + byte(v>>shift)&63
		if c == '\\' {
			c = 'p'
		}
		b = append(b, c)
	}
	return b
}

// readWord reads eight characters at once.
func readWord(p []byte) (v uint64, ok bool) {
	const (
		zeros = 0x3030303030303030
		sign  = 0x8080808080808080
		sixth = 0x4040404040404040
		slash = ('\\' - '0') * 0x0101010101010101
	)
	x := binary.BigEndian.Uint64(p)
	if x&sign != 0 {
		return 0, false
	}
	d := (x | sign) - zeros // the sign bits keep one character from borrowing of the next
	if d&sign != sign {
		return 0, false
	}
	d &^= sign
	if ((d^slash)+^uint64(sign))&sign != sign {
		return 0, false // a backslash
	}
	escaped := d & sixth >> 6 // a one in each character that is 'p' or comes after it
	if d&(escaped*63) != 0 {
		return 0, false // after it
	}
	d = d&^sixth | escaped*('\\'-'0')
	d = d&0x00ff00ff00ff00ff | d&0xff00ff00ff00ff00>>2
	d = d&0x0000ffff0000ffff | d&0xffff0000ffff0000>>4
	return d&0xffffffff | d>>32<<halfBits, true
}
