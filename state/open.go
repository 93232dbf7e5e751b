package state

import (
	"errors"
	"log/slog"

	"progressd/account"
)

// Open locks the state directory, which is made if missing, and reads it. What is
// remembered is charged to accounts. The
// only error is one that matches ErrLocked. A file that can't be used is kept
// aside with a warning, and a directory that can't be used is one warning.
func Open(dir string, accounts *account.Book, log *slog.Logger) (*Store, error) {
	return open(dir, accounts, log, osDisk{})
}

func open(dir string, accounts *account.Book, log *slog.Logger, on disk) (*Store, error) {
	s := newStore(dir, accounts, log, on)
	if err := s.enter(); err != nil {
		return nil, err
	}
	return s, nil
}

// enter takes the directory and reads it.
func (s *Store) enter() error {
	lock, err := awaitLock(s.dir)
	if errors.Is(err, ErrLocked) {
		return err
	}
	if err != nil {
		s.judge(err)
		return nil
	}
	s.lock = lock
	s.load()
	_ = s.sync() // it says itself what fails
	return nil
}

// Close writes what is not written yet and lets another daemon have the
// directory. The error says what a restart won't remember.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.sync()
	s.lock.release()
	s.lock = nil
	s.shut = true
	for _, e := range s.episodes {
		s.accounts.Give(e.payer, account.Records, int64(e.size))
		e.size = 0
	}
	return err
}

// Volatile returns a store that has no directory: it serves one life, and
// nothing of it is left behind.
func Volatile(log *slog.Logger) *Store {
	return newStore("", nil, log, osDisk{})
}
