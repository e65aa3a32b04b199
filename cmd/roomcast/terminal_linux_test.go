package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal is a pseudoterminal: what is typed at the one end is the input of the program at the other.
func terminal(t *testing.T) (keyboard, tty *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("this system gives no pseudoterminals: %v", err)
	}
	t.Cleanup(func() { keyboard.Close() })
	fd := int(keyboard.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Skipf("this system does not unlock pseudoterminals: %v", err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("this system does not open pseudoterminals: %v", err)
	}
	t.Cleanup(func() { tty.Close() })
	return keyboard, tty
}

// TestChat holds that on a terminal what others say has a time and a sender, what is typed does not come back, and Ctrl-D leaves.
func TestChat(t *testing.T) {
	url := own(t)
	keyboard, tty := terminal(t)
	cmd := program(t, "join", "kitchen", "--url", url)
	cmd.Env = append(cmd.Env, "TERM=xterm")
	cmd.Stdin, cmd.Stdout = tty, tty
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tty.Close() // the program has its own
	if line, err := bufio.NewReader(log).ReadString('\n'); err != nil || !strings.HasPrefix(line, "* joined kitchen as ") {
		t.Fatalf("stderr %q, %v", line, err)
	}
	other := start(t, "watch", "kitchen", "--url", url)
	other.expect(other.stderr, "* joined kitchen as ")
	if _, err := keyboard.WriteString("anyone?\n\n"); err != nil { // the empty line is no message
		t.Fatal(err)
	}
	if line := other.expect(other.stdout, "kitchen\t"); !strings.HasSuffix(line, "\tanyone?\n") {
		t.Errorf("the others got %q", line)
	}
	answer := start(t, "join", "kitchen", "--url", url)
	answer.say("lunch\n")
	answer.end()
	screen := bufio.NewReader(keyboard)
	var shown []string
	for len(shown) < 3 {
		line, err := screen.ReadString('\n')
		if err != nil {
			t.Fatalf("screen %q, then %v", shown, err)
		}
		shown = append(shown, strings.TrimSpace(line))
	}
	if shown[0] != "anyone?" || shown[1] != "" || !strings.HasSuffix(shown[2], ": lunch") || len(shown[2]) < len("15:04:05 x: lunch") {
		t.Errorf("screen %q, want what was typed, once, and the answer", shown)
	}
	if _, err := keyboard.WriteString("\x04"); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("ended with %v, want 0", err)
	}
}

// TestRoomsTable holds that a list on a terminal is a table with a head.
func TestRoomsTable(t *testing.T) {
	f := newFakeAPI(t)
	keyboard, tty := terminal(t)
	cmd := program(t, "rooms", "--api", f.URL)
	cmd.Env = append(cmd.Env, "TERM=xterm")
	cmd.Stdout = tty
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(keyboard).ReadString('\n')
	if err != nil || line != "ROOM  MEMBERS\r\n" {
		t.Errorf("first line %q, %v; want the head", line, err)
	}
}

// TestWaiting holds that what takes longer than a second is said on a terminal and taken away, and never elsewhere.
func TestWaiting(t *testing.T) {
	keyboard, tty := terminal(t)
	t.Setenv("TERM", "xterm")
	done := waiting(tty, "waiting for it")
	var shown [4096]byte
	n, err := keyboard.Read(shown[:]) // there is nothing to read before the second is over
	done()
	done()
	if want := restart + dontWrap + "waiting for it (1 s)" + wrap; err != nil || !strings.HasPrefix(string(shown[:n]), want) {
		t.Errorf("shown %q, %v; want %q", shown[:n], err, want)
	}
	if n, err = keyboard.Read(shown[:]); err != nil || !strings.HasSuffix(string(shown[:n]), restart) {
		t.Errorf("afterwards %q, %v; want the line taken away", shown[:n], err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	waiting(w, "waiting for it")()
	w.Close()
	if n, _ := r.Read(shown[:]); n > 0 {
		t.Errorf("in a pipe %q, want nothing", shown[:n])
	}
}
