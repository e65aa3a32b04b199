package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

type versionCmd struct {
	JSON bool `name:"json" help:"Print it as one line of JSON."`
}

// Run prints one line: version, commit, toolchain, system.
func (c *versionCmd) Run() error {
	v := version(debug.ReadBuildInfo())
	if c.JSON {
		printJSON(v)
		return nil
	}
	_, err := fmt.Println(v)
	return err
}

// build is what the program was built from.
type build struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Changed bool   `json:"changed"` // since the commit
	Go      string `json:"go"`
	System  string `json:"system"`
}

func (b build) String() string {
	changed := ""
	if b.Changed {
		changed = " with changes"
	}
	return fmt.Sprintf("roomcast %s, commit %s%s, %s, %s", b.Version, b.Commit, changed, b.Go, b.System)
}

func version(info *debug.BuildInfo, ok bool) build {
	b := build{Version: "unknown", Commit: "unknown", Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
	if ok && info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	if ok {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				b.Commit = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				b.Changed = true
			}
		}
	}
	return b
}
