package hub

import (
	"slices"
	"sync"
)

// Target is one connection, one session or every connection of a user: the one field that is not empty.
type Target struct {
	Connection string
	Session    string
	User       string
}

// directory finds clients. A client is in it from Connect to Close.
type directory struct {
	mu          sync.RWMutex // a leaf: nothing is called with it held
	connections map[string]*client
	sessions    map[string]*client
	users       map[string][]*client // those that are authenticated
}

func (d *directory) add(c *client) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.connections == nil {
		d.connections, d.sessions, d.users = map[string]*client{}, map[string]*client{}, map[string][]*client{}
	}
	d.connections[c.id] = c
	d.sessions[c.session] = c
	if c.user != "" {
		d.users[c.user] = append(d.users[c.user], c)
	}
}

func (d *directory) remove(c *client) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.connections, c.id)
	delete(d.sessions, c.session)
	if c.user == "" {
		return
	}
	left := slices.DeleteFunc(d.users[c.user], func(other *client) bool { return other == c })
	if len(left) == 0 {
		delete(d.users, c.user)
	} else {
		d.users[c.user] = left
	}
}

// find returns the clients that t means, none if there are none.
func (d *directory) find(t Target) []*client {
	d.mu.RLock()
	defer d.mu.RUnlock()
	switch {
	case t.User != "":
		return slices.Clone(d.users[t.User])
	case t.Session != "":
		if c := d.sessions[t.Session]; c != nil {
			return []*client{c}
		}
	default:
		if c := d.connections[t.Connection]; c != nil {
			return []*client{c}
		}
	}
	return nil
}

func (d *directory) all() []*client {
	d.mu.RLock()
	defer d.mu.RUnlock()
	clients := make([]*client, 0, len(d.connections))
	for _, c := range d.connections {
		clients = append(clients, c)
	}
	return clients
}
