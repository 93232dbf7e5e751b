package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"progressd/recording"
	"progressd/sink"
	"progressd/tracker"
)

// replay prints the lines that come of a recording, with their dates, for it may
// be of several days.
func replay(path string, to io.Writer, log *slog.Logger) error {
	form := sink.Form{Text: sink.Message, Stamp: sink.RFC3339, Zone: sink.LocalZone()}
	return fromFile(path, to, func(from io.Reader, to *bufio.Writer) error {
		return recording.Replay(context.Background(), from, func(e tracker.Event) { fmt.Fprintln(to, form.Line(e)) }, log)
	})
}

// hashNames prints a recording without the names in it.
func hashNames(path string, to io.Writer) error {
	return fromFile(path, to, func(from io.Reader, to *bufio.Writer) error { return recording.HashNames(from, to) })
}

func fromFile(path string, to io.Writer, do func(io.Reader, *bufio.Writer) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	out := bufio.NewWriter(to)
	err = do(file, out)
	if flushed := out.Flush(); err == nil {
		err = flushed
	}
	if err != nil {
		return fmt.Errorf("%q: %w", path, err)
	}
	return nil
}
