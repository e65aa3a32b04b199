package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a server that was started.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed when it has ended
}

// start runs a program. What it says is in a file of its name.
func (b *bench) start(name, program string, args ...string) (*process, error) {
	out, err := os.OpenFile(filepath.Join(b.work, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close() // the process has its own
	if b.pin {
		program, args = "taskset", append([]string{"-c", "0", program}, args...)
	}
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = out, out, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p := &process{cmd: cmd, exited: make(chan struct{})}
	go func() {
		defer close(p.exited)
		_ = cmd.Wait() // how it ended is in its log
	}()
	return p, nil
}

// kill ends it at once, and waits until it has.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.exited
}

// cpu is the CPU time that it has taken, to 10 ms.
func (p *process) cpu() time.Duration {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/stat")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // the name in front of it may have spaces
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// ready waits until an address answers a GET with 200.
func ready(url string, p *process) error {
	client := http.Client{Timeout: 2 * time.Second}
	end := time.Now().Add(time.Minute)
	for {
		res, err := client.Get(url)
		if err == nil {
			_ = res.Body.Close() // nobody reads it
			if res.StatusCode == http.StatusOK {
				return nil
			}
			err = errors.New(res.Status)
		}
		select {
		case <-p.exited:
			return fmt.Errorf("%s: the server has ended", url)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s: not well after a minute: %w", url, err)
		}
	}
}

// freeAddr is an address at which nobody listens.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// busy is the CPU time that all processors have spent on something, and that the hypervisor took.
func busy() (all, stolen time.Duration) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0
	}
	line, _, _ := strings.Cut(string(stat), "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 {
		return 0, 0
	}
	for _, i := range []int{1, 2, 3, 6, 7} { // user, nice, system, irq, softirq
		n, _ := strconv.Atoi(fields[i])
		all += time.Duration(n) * 10 * time.Millisecond
	}
	n, _ := strconv.Atoi(fields[8])
	return all, time.Duration(n) * 10 * time.Millisecond
}

// own is the CPU time of this process and of those that it started and that have ended.
func own() (all time.Duration) {
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		_ = syscall.Getrusage(who, &u) // cannot fail
		all += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return all
}
