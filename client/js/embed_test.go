package js

import (
	"bytes"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSourceIsTheModule(t *testing.T) {
	for _, want := range []string{"export function connect(", "export class Client ", "export class Room ", "export class RoomcastError "} {
		if !bytes.Contains(Source, []byte(want)) {
			t.Errorf("Source lacks %q", want)
		}
	}
	if bytes.Contains(Source, []byte("\nimport ")) {
		t.Error("Source imports something: it has to be the only file")
	}
}

// TestLicense holds that the package carries the license of the project, as the license asks.
func TestLicense(t *testing.T) {
	ours, err := os.ReadFile("LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	project, err := os.ReadFile("../../LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(ours, project) {
		t.Error("client/js/LICENSE differs from LICENSE: copy it")
	}
}
