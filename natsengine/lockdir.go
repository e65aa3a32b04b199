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
		return nil, fmt.Errorf("natsengine: ServerOptions.Dir %s: %w; name a folder that this process can make and write", dir, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "roomcast.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("natsengine: ServerOptions.Dir %s cannot be written: %w; name a folder that this process can write", dir, err)
	}
	if err := tryLock(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("natsengine: ServerOptions.Dir %s is in use by another server (%w): give each a folder of its own", dir, err)
	}
	return f, nil
}
