package server

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
)

// TestFlagLog holds that whoever reads the log of the command need not know what its flags are called in the package behind them.
func TestFlagLog(t *testing.T) {
	var b strings.Builder
	log := slog.New(flagLog{slog.NewTextHandler(&b, nil)}).With("node", "a").WithGroup("g")
	log.Warn("no connection", "error", errors.New("natsengine: look at Options.URL and Options.TLSCA"), "url", "Options.URL")
	if want := `node=a g.error="look at --nats and --nats-ca" g.url=Options.URL`; !strings.Contains(b.String(), want) {
		t.Errorf("%s, want %s in it", b.String(), want)
	}
}
