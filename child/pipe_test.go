package child

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
)

// held makes a pipe whose other side stays open.
func held(t *testing.T) (*pipe, *os.File) {
	t.Helper()
	ours, theirs, err := newPipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ours.Close(); _ = theirs.Close() })
	return ours, theirs
}

func TestAPipeHoldsWhatAChildPrintsUntilItsEnd(t *testing.T) {
	ours, theirs := held(t)
	words := strings.Repeat("words of it\n", 5000)
	if _, err := theirs.WriteString(words); err != nil {
		t.Fatal(err)
	}
	_ = theirs.Close()
	if got, err := io.ReadAll(ours); string(got) != words || err != nil {
		t.Errorf("%d bytes of %d, %v", len(got), len(words), err)
	}
}

func TestAPipeThatIsClosedKeepsNobodyWaiting(t *testing.T) {
	ours, _ := held(t)
	read := make(chan error)
	go func() {
		for {
			if _, err := ours.Read(make([]byte, 8)); err != nil {
				read <- err
				return
			}
		}
	}()
	if err := ours.Close(); err != nil {
		t.Error(err)
	}
	if err := <-read; !errors.Is(err, os.ErrClosed) {
		t.Errorf("the one who waited got %v", err)
	}
	if err := ours.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
	if _, err := ours.Read(make([]byte, 8)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("one who comes after gets %v", err)
	}
}
