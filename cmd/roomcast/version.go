package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

type versionCmd struct{}

// Run prints one line: version, commit, toolchain, system.
func (versionCmd) Run() error {
	_, err := fmt.Println(version(debug.ReadBuildInfo()))
	return err
}

func version(info *debug.BuildInfo, ok bool) string {
	number, commit, changed := "unknown", "unknown", ""
	if ok && info.Main.Version != "" {
		number = info.Main.Version
	}
	if ok {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				commit = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				changed = " with changes"
			}
		}
	}
	return fmt.Sprintf("roomcast %s, commit %s%s, %s, %s/%s", number, commit, changed, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
