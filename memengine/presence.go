package memengine

import (
	"bytes"
	"maps"
	"slices"
	"sync"

	"github.com/roomcast/roomcast"
)

// presence is the table of who is there, on which node.
type presence struct {
	mu       sync.Mutex
	members  map[string]roomcast.Member
	watchers map[*watcher]struct{}
}

// watcher is one call of Engine.Watch.
type watcher struct {
	node    *Engine
	changes outlet[roomcast.Member]
}

// present is Engine.Present of a node. That a member which another node has taken over is Gone here says nothing.
func (p *presence) present(e *Engine, m roomcast.Member) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.closed.Load() {
		return
	}
	m.Node = e.name
	old, there := p.members[m.ID]
	same := there && old.Node == m.Node
	switch {
	case m.Gone && same:
		p.goneLocked(m)
	case m.Gone, same && bytes.Equal(old.Info, m.Info):
	default:
		if p.members == nil {
			p.members = map[string]roomcast.Member{}
		}
		p.members[m.ID] = m
		p.tellLocked(m)
	}
}

func (p *presence) goneLocked(m roomcast.Member) {
	delete(p.members, m.ID)
	if len(p.members) == 0 {
		p.members = nil // a map keeps the size of the time when it was largest
	}
	p.tellLocked(roomcast.Member{ID: m.ID, Node: m.Node, Gone: true})
}

func (p *presence) tellLocked(m roomcast.Member) {
	for w := range p.watchers {
		w.changes.put(m)
	}
}

// watch is Engine.Watch of a node.
func (p *presence) watch(e *Engine, changed func([]roomcast.Member)) (cancel func()) {
	w := &watcher{node: e}
	w.changes = outlet[roomcast.Member]{hand: changed, tasks: &e.tasks}
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.closed.Load() {
		return func() {}
	}
	if p.watchers == nil {
		p.watchers = map[*watcher]struct{}{}
	}
	p.watchers[w] = struct{}{}
	w.changes.put(slices.Collect(maps.Values(p.members))...)
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.watchers, w)
		w.changes.end()
	}
}

// leave takes out what a node that is closed has there.
func (p *presence) leave(e *Engine) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for w := range p.watchers {
		if w.node == e {
			delete(p.watchers, w)
			w.changes.end()
		}
	}
	for _, m := range p.members {
		if m.Node == e.name {
			p.goneLocked(m)
		}
	}
}
