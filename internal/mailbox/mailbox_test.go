package mailbox

import (
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type message []byte

func (m message) Size() int { return len(m) }

// A mailbox hands out its messages in order and its end once, after them; it is full at the limit and free again at half of it.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const limit = 1000
		var m Mailbox[message]
		var waiting []byte
		running, paused, most := false, false, 0
		for i := range rapid.IntRange(1, 300).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "post") {
				if start := m.Post(message{byte(i)}); start == running {
					t.Fatalf("post starts a goroutine: %v, while one is running: %v", start, running)
				}
				running = true
				waiting = append(waiting, byte(i))
				paused = paused || len(waiting)*(1+overhead) >= limit
				if full := m.Full(limit); full != paused {
					t.Fatalf("full: %v with %d bytes", full, m.bytes)
				}
			} else if running {
				what, msg, resume := m.Next(limit)
				if what == None {
					running = false
				} else {
					if msg[0] != waiting[0] {
						t.Fatalf("message %d, want %d", msg[0], waiting[0])
					}
					waiting = waiting[1:]
				}
				if want := paused && len(waiting)*(1+overhead) <= limit/2; resume != want {
					t.Fatalf("resume: %v with %d bytes", resume, m.bytes)
				}
				paused = paused && !resume
			}
			// It doubles when more than half of it waits, and the allocator rounds up by a quarter at most.
			if most = max(most, len(waiting)); cap(m.queue) > 5*most+8 {
				t.Fatalf("a queue of %d for at most %d messages", cap(m.queue), most)
			}
		}
		m.End()
		for range waiting {
			if what, _, _ := m.Next(limit); what != Handle {
				t.Fatal("the end came before a message")
			}
		}
		if what, _, _ := m.Next(limit); what != End {
			t.Fatal("the end did not come")
		}
		if what, _, _ := m.Next(limit); what != None {
			t.Fatal("something came after the end")
		}
	})
}
