package tui

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Last is the file that remembers who signed in last and where, so that the next time needs no words. Nothing secret is
// in it.
type Last struct {
	Path string
}

// Account is what is remembered: the words that led to it, and the address that came of them.
type Account struct {
	Address  string `json:"address"` // alice@example.org, to be shown
	User     string `json:"user"`
	Domain   string `json:"domain,omitempty"` // as it was given
	HostPort string `json:"server,omitempty"` // as it was given; "" = found by Domain
}

// DefaultLast is the file in the folder for state, beside that of DefaultKnown.
func DefaultLast(getenv func(string) string) (*Last, error) {
	dir, err := stateDir(getenv)
	if err != nil {
		return nil, err
	}
	return &Last{Path: filepath.Join(dir, "last_account")}, nil
}

// Load reads the file. What is not there, or cannot be understood, is nothing remembered.
func (l *Last) Load() (Account, bool, error) {
	text, err := os.ReadFile(l.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return Account{}, false, nil
	}
	if err != nil {
		return Account{}, false, fmt.Errorf("last account: read: %w", err)
	}
	var acc Account
	if err := json.Unmarshal(text, &acc); err != nil || acc.User == "" || acc.Domain == "" && acc.HostPort == "" {
		return Account{}, false, nil
	}
	return acc, true, nil
}

// Save remembers an account in place of the one before. The file and its folder are for their owner only.
func (l *Last) Save(acc Account) error {
	if before, ok, err := l.Load(); err == nil && ok && before == acc {
		return nil
	}
	text, err := json.Marshal(acc)
	if err != nil {
		return fmt.Errorf("last account: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(l.Path), 0o700); err != nil {
		return fmt.Errorf("last account: make the folder: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(l.Path), ".last_account") // for its owner only
	if err != nil {
		return fmt.Errorf("last account: write: %w", err)
	}
	_, err = f.Write(append(text, '\n'))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), l.Path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("last account: write: %w", err)
	}
	return nil
}

// signedIn remembers the account. When that fails the session goes on.
func (a *app) signedIn(s Session, user string) {
	if a.Last == nil {
		return
	}
	acc := Account{Address: s.JID().Bare().String(), User: user, Domain: a.Domain, HostPort: a.HostPort}
	if err := a.Last.Save(acc); err != nil {
		fmt.Fprintf(a.Err, "the account could not be remembered: %s\n", OneLine(err.Error()))
	}
}
