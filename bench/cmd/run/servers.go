package main

import (
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// ours is the name of the server that the others are compared with.
const ours = "roomcast"

// server is one relay of the comparison.
type server struct {
	name  string // on the command line, in results.json, and of its folder in peers/
	label string // in tables
	kind  kind
	proto string // what the generator speaks with it; "" for plain messages
	pkg   string // the module or npm package whose version counts
	queue bool   // has a channel per member, so takes -buffer
}

// kind says how a server is started.
type kind int

const (
	kindOurs kind = iota
	kindGo
	kindNode
	kindBun
)

// servers are all there are, in the order in which they take their turns.
var servers = []server{
	{name: ours, label: "Roomcast", kind: kindOurs},
	{name: "gorilla", label: "gorilla/websocket", kind: kindGo, pkg: "github.com/gorilla/websocket", queue: true},
	{name: "melody", label: "melody", kind: kindGo, pkg: "github.com/olahol/melody", queue: true},
	{name: "coder", label: "coder/websocket", kind: kindGo, pkg: "github.com/coder/websocket", queue: true},
	{name: "gws", label: "gws", kind: kindGo, pkg: "github.com/lxzan/gws"},
	{name: "gobwas", label: "gobwas/ws (writev)", kind: kindGo, pkg: "github.com/gobwas/ws"},
	{name: "centrifuge", label: "centrifuge", kind: kindGo, proto: "centrifuge", pkg: "github.com/centrifugal/centrifuge"},
	{name: "bun", label: "Bun", kind: kindBun, pkg: "bun"},
	{name: "ws", label: "ws (Node)", kind: kindNode, pkg: "ws"},
	{name: "socketio", label: "Socket.IO (Node)", kind: kindNode, proto: "socketio", pkg: "socket.io"},
}

func serverNamed(name string) (server, bool) {
	for _, s := range servers {
		if s.name == name {
			return s, true
		}
	}
	return server{}, false
}

// place is where things are: the bench folder, the generator's folder, and our binary.
type place struct {
	bench, fanload, roomcast string
	port                     int
}

// command is what starts s; buffer 0 leaves the relay's own default.
func (p place) command(s server, buffer int) ([]string, error) {
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port))
	switch s.kind {
	case kindOurs:
		if _, err := os.Stat(p.roomcast); err != nil {
			return nil, fmt.Errorf("%s is missing: make build", p.roomcast)
		}
		return []string{p.roomcast, "serve", "--addr", addr, "--log-level", "error"}, nil
	case kindGo:
		exe := p.binary(s)
		if _, err := os.Stat(exe); err != nil {
			return nil, fmt.Errorf("%s is missing: make bench-setup", exe)
		}
		if s.queue && buffer > 0 {
			return []string{exe, "-buffer", strconv.Itoa(buffer), addr}, nil
		}
		return []string{exe, addr}, nil
	}
	if _, err := os.Stat(filepath.Join(p.modules(), s.pkg)); err != nil {
		return nil, fmt.Errorf("the npm package %s is missing: make bench-setup", s.pkg)
	}
	runtime := "node"
	if s.kind == kindBun {
		exe, err := bunBinary(p.modules())
		if err != nil {
			return nil, err
		}
		runtime = exe
	}
	return []string{runtime, filepath.Join(p.bench, "peers", s.name, "server.js"), addr}, nil
}

func (p place) binary(s server) string { return filepath.Join(p.bench, "bin", s.name) }
func (p place) modules() string        { return filepath.Join(p.bench, "peers", "node_modules") }

// bunBinary is the Bun of the npm package that runs on this processor: there is one with and one without AVX2.
func bunBinary(modules string) (string, error) {
	found, err := filepath.Glob(filepath.Join(modules, "@oven", "bun-*", "bin", "bun"))
	if err != nil {
		return "", err
	}
	for _, exe := range found { // sorted: the plain one comes before -baseline
		if exec.Command(exe, "--version").Run() == nil {
			return exe, nil
		}
	}
	return "", fmt.Errorf("no Bun that runs here in %s: make bench-setup", modules)
}

// version says what of s was measured.
func (p place) version(s server) string {
	switch s.kind {
	case kindOurs:
		out, err := exec.Command(p.roomcast, "version").Output()
		if err != nil {
			return "unknown"
		}
		return strings.TrimPrefix(strings.Join(strings.Fields(string(out)), " "), "roomcast ")
	case kindGo:
		info, err := buildinfo.ReadFile(p.binary(s))
		if err != nil {
			return "unknown"
		}
		for _, dep := range info.Deps {
			if dep.Path == s.pkg {
				return dep.Version + ", " + info.GoVersion
			}
		}
		return "unknown"
	}
	b, err := os.ReadFile(filepath.Join(p.modules(), s.pkg, "package.json"))
	var pkg struct{ Version string }
	if err != nil || json.Unmarshal(b, &pkg) != nil {
		return "unknown"
	}
	if s.kind == kindNode {
		if out, err := exec.Command("node", "--version").Output(); err == nil {
			return pkg.Version + ", Node " + strings.TrimSpace(string(out))
		}
	}
	return pkg.Version
}
