package netloop

// Gathering puts the output of a Peer together: of many things that wait, few pieces of a write.
type Gathering struct {
	scratch []byte // what is copied goes here
	used    int    // of scratch, by all pieces
	piece   int    // where in scratch the piece begins that grows
	pieces  [][]byte
	direct  int // from this size on nothing is copied
	most    int // no more is added when there are so many bytes
	bytes   int // in all pieces
}

// What is as large is written from its own memory, since copying it costs more: DirectSize than a write of its own, pieceSize than a
// piece of a write.
const (
	DirectSize = 16 << 10
	pieceSize  = 1 << 10
)

// Gather begins the output of a Peer: scratch and pieces are those that Output was given.
func Gather(scratch []byte, pieces [][]byte) Gathering {
	g := Gathering{scratch: scratch, pieces: pieces, direct: DirectSize, most: len(scratch)}
	if cap(pieces) > 1 {
		g.direct, g.most = pieceSize, 4*len(scratch)
	}
	return g
}

// Add adds p, which never changes, or as much of it as there is room for, and reports whether more may follow.
func (g *Gathering) Add(p []byte) (more bool) {
	if len(p) < g.direct {
		n := copy(g.scratch[g.used:], p)
		g.used += n
		g.bytes += n
		return n == len(p) && g.bytes < g.most
	}
	g.flush()
	if len(g.pieces) == cap(g.pieces) {
		return false
	}
	g.pieces = append(g.pieces, p)
	g.bytes += len(p)
	return len(g.pieces) < cap(g.pieces) && g.bytes < g.most
}

// Pieces ends it and returns what Output is to return.
func (g *Gathering) Pieces() [][]byte {
	g.flush()
	return g.pieces
}

// flush ends the piece that grows.
func (g *Gathering) flush() {
	if g.used > g.piece {
		g.pieces = append(g.pieces, g.scratch[g.piece:g.used])
		g.piece = g.used
	}
}
