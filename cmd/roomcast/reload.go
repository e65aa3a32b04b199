package main

import (
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/server"
)

// load reads the settings of a command line that parse has returned.
func load(s *config.Serve, command *kong.Context, fault settingsFault) ([]config.Setting, []error) {
	settings, problems := s.Load(command)
	if len(problems) == 0 && fault.error != nil {
		problems = []error{fault.error} // the parser is stricter than config.Load
	}
	return settings, problems
}

// firstOf is one line for all problems.
func firstOf(problems []error) error {
	if more := len(problems) - 1; more > 0 {
		return fmt.Errorf("%w (and %d more; roomcast check lists all)", problems[0], more)
	}
	return problems[0]
}

// reloadOnHangup reads the settings again with each SIGHUP; stop ends that and waits for one that is under way.
func reloadOnHangup(s *server.Server, logger *slog.Logger, settings []config.Setting) (stop func()) {
	signals := make(chan os.Signal, 1) // closed by stop
	done := make(chan struct{})        // closed when the goroutine has ended
	signal.Notify(signals, syscall.SIGHUP)
	go func() {
		defer close(done)
		for range signals {
			settings = reload(s, logger, settings)
		}
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
		<-done
	}
}

// reload reads the settings again, and returns those that are in effect or wait for the next start. If anything is wrong with the
// new ones, the old ones stay.
func reload(s *server.Server, logger *slog.Logger, before []config.Setting) []config.Setting {
	const stays = "the settings are not taken over, the old ones stay"
	command, err := parse(os.Args[1:])
	if err != nil {
		logger.Error(stays, "problem", err)
		return before
	}
	next := command.Selected().Target.Addr().Interface().(*serveCmd) // the command line has not changed
	now, problems := next.Load(command)
	for _, problem := range problems {
		logger.Error(stays, "problem", problem)
	}
	if len(problems) > 0 {
		return before
	}
	if err := s.Reload(&next.Serve); err != nil {
		logger.Error(stays, "problem", err)
		return before
	}
	var live, later []string
	for _, changed := range config.Changed(before, now) {
		if changed.Live {
			live = append(live, changed.Name)
		} else {
			later = append(later, changed.Name)
		}
	}
	logger.Info("settings read again", "changed", names(live))
	if len(later) > 0 {
		logger.Warn("these settings have changed too and take effect with the next start", "settings", names(later))
	}
	return now
}

func names(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}
