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
	mu          sync.RWMutex // taken before the locks of roomcast
	connections map[string]*client
	sessions    map[string]*client
	users       map[string][]*client // those that are authenticated
}

// add greets a client and lets others find it, in this order.
func (d *directory) add(c *client, hello []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.connections == nil {
		d.connections, d.sessions, d.users = map[string]*client{}, map[string]*client{}, map[string][]*client{}
	}
	c.say(hello)
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

// find returns the clients that t means and that are not closing, none if there are none.
func (d *directory) find(t Target) []*client {
	return slices.DeleteFunc(d.lookUp(t), func(c *client) bool { return c.conn.Closing() })
}

func (d *directory) lookUp(t Target) []*client {
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

// all returns the clients that are not closing.
func (d *directory) all() []*client {
	d.mu.RLock()
	clients := make([]*client, 0, len(d.connections))
	for _, c := range d.connections {
		clients = append(clients, c)
	}
	d.mu.RUnlock()
	return slices.DeleteFunc(clients, func(c *client) bool { return c.conn.Closing() })
}
