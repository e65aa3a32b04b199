package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
)

// machine is what the figures were measured on, and what was measured.
type machine struct {
	CPU      string            `json:"cpu"`
	Cores    int               `json:"cores"`
	Memory   float64           `json:"memory"` // bytes
	Kernel   string            `json:"kernel"`
	Virtual  bool              `json:"virtual"`
	Versions map[string]string `json:"versions"` // by server
}

func describe(p place, all []server) *machine {
	m := &machine{CPU: "unknown", Cores: runtime.NumCPU(), Kernel: "unknown", Versions: map[string]string{}}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		m.CPU, m.Virtual = parseCPU(string(b))
	}
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		m.Memory = parseMemory(string(b))
	}
	if out, err := exec.Command("uname", "-sr").Output(); err == nil {
		m.Kernel = strings.TrimSpace(string(out))
	}
	for _, s := range all {
		m.Versions[s.name] = p.version(s)
	}
	return m
}

// parseCPU reads /proc/cpuinfo: the model, and whether a hypervisor lies below.
func parseCPU(info string) (model string, virtual bool) {
	model = "unknown"
	fields := map[string]string{}
	for line := range strings.Lines(info) {
		if k, v, ok := strings.Cut(line, ":"); ok && fields[strings.TrimSpace(k)] == "" {
			fields[strings.TrimSpace(k)] = strings.TrimSpace(v)
		}
	}
	if v := fields["model name"]; v != "" {
		model = v
		if f, m := fields["cpu family"], fields["model"]; f != "" && m != "" {
			model += fmt.Sprintf(" (family %s, model %s)", f, m)
		}
	}
	return model, strings.Contains(" "+fields["flags"]+" ", " hypervisor ")
}

// parseMemory reads /proc/meminfo: all there is, in bytes.
func parseMemory(info string) float64 {
	for line := range strings.Lines(info) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "MemTotal:" {
			if kb, err := strconv.ParseFloat(f[1], 64); err == nil {
				return kb * 1024
			}
		}
	}
	return 0
}

// text is the machine in one line.
func (m *machine) text() string {
	s := fmt.Sprintf("%s, %d processors, %.0f GiB, %s", m.CPU, m.Cores, m.Memory/(1<<30), m.Kernel)
	if m.Virtual {
		s += ", a virtual machine"
	}
	return s
}
