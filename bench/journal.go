package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// journalRuns reports whether there is a journal to be measured. In a
// container without one, test/harness/journald-alone.sh gives one to what it
// runs.
func journalRuns() bool {
	_, err := os.Stat("/run/systemd/journal/socket")
	return err == nil
}

// followJournal begins to read what progressd says in the journal, by the
// names that the log files would have. Its times are those at which journald
// stored the entry: whoever follows is told up to a quarter of a second later,
// which journald saves up on purpose.
func followJournal() (*tail, error) {
	cmd := exec.Command("journalctl", "--follow", "--since=now", "--lines=1000", "--output=json", "--output-fields=MESSAGE", "SYSLOG_IDENTIFIER=progressd")
	if dir := os.Getenv("JOURNAL_DIR"); dir != "" {
		cmd.Args = append(cmd.Args, "--directory="+dir)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot follow the journal: %w", err)
	}
	t := newTail(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	go t.hear(out)
	return t, nil
}

func (t *tail) hear(messages io.Reader) {
	defer close(t.done)
	for lines := bufio.NewScanner(messages); lines.Scan(); {
		var entry struct {
			Message string `json:"MESSAGE"`
			Stored  int64  `json:"__REALTIME_TIMESTAMP,string"`
		}
		if json.Unmarshal(lines.Bytes(), &entry) != nil {
			continue
		}
		repo, text, ok := strings.Cut(entry.Message, ": ")
		if !ok {
			continue
		}
		name := strings.ReplaceAll(repo, "/", "--") + ".log"
		t.mu.Lock()
		if t.logs[name] == nil {
			t.logs[name] = &tailed{}
		}
		t.logs[name].lines = append(t.logs[name].lines, stamped{text, time.UnixMicro(entry.Stored)})
		close(t.grown)
		t.grown = make(chan struct{})
		t.mu.Unlock()
	}
}
