package natsengine

import (
	"fmt"
	"os"
	"path/filepath"
)

// lockDir creates a folder for the data of a server and makes sure that it can be written, and that no other server does. Closing the file
// unlocks it, as does the end of the process.
func lockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("natsengine: ServerOptions.Dir: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "roomcast.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("natsengine: ServerOptions.Dir cannot be written: %w", err)
	}
	if err := tryLock(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("natsengine: ServerOptions.Dir: %s is in use by another server: %w", dir, err)
	}
	return f, nil
}
