package tui

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Known is the file of servers whose keys this computer trusts, one "HOST:PORT SHA256:… time" on each line, as ssh
// keeps its known_hosts. Nothing is held in memory: several clients may run at once.
type Known struct {
	Path string
}

// Pin is one line of the file.
type Pin struct {
	HostPort string    `json:"server"`
	Key      string    `json:"key"`            // SHA256:… of the public key
	Since    time.Time `json:"since,omitzero"` // when it was first trusted
}

// DefaultKnown is the file in the folder for state: $XDG_STATE_HOME/parley/known_servers, without that variable below
// ~/.local/state, on Windows and macOS in the user's folder for configuration.
func DefaultKnown(getenv func(string) string) (*Known, error) {
	dir, err := stateDir(getenv)
	if err != nil {
		return nil, err
	}
	return &Known{Path: filepath.Join(dir, "known_servers")}, nil
}

// stateDir is the folder for what the client remembers.
func stateDir(getenv func(string) string) (string, error) {
	dir := getenv("XDG_STATE_HOME")
	switch {
	case filepath.IsAbs(dir):
	case runtime.GOOS == "windows" || runtime.GOOS == "darwin":
		d, err := os.UserConfigDir()
		if err != nil {
			return "", fmt.Errorf("find the folder for configuration: %w", err)
		}
		dir = d
	default:
		home := getenv("HOME")
		if home == "" {
			return "", errors.New("neither HOME nor XDG_STATE_HOME is set")
		}
		dir = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(dir, "parley"), nil
}

// List reads the file; a file that does not exist is an empty list, a line that is none of ours is passed over.
func (k *Known) List() ([]Pin, error) {
	f, err := os.Open(k.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("known servers: read: %w", err)
	}
	defer f.Close()
	var pins []Pin
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) < 2 || strings.HasPrefix(words[0], "#") || !strings.HasPrefix(words[1], "SHA256:") {
			continue
		}
		p := Pin{HostPort: words[0], Key: words[1]}
		if len(words) > 2 {
			if t, err := time.Parse(time.RFC3339, words[2]); err == nil {
				p.Since = t
			}
		}
		pins = append(pins, p)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("known servers: read: %w", err)
	}
	return pins, nil
}

// Find is what is known of a server. When nothing is known of this port, but the same host has shown this very key on
// another one, that is as good: servers listen on two ports with one key.
func (k *Known) Find(hostPort, key string) (Pin, bool, error) {
	pins, err := k.List()
	if err != nil {
		return Pin{}, false, err
	}
	host, _, _ := net.SplitHostPort(hostPort)
	var twin Pin
	found := false
	for _, p := range pins {
		if p.HostPort == hostPort {
			return p, true, nil
		}
		if h, _, err := net.SplitHostPort(p.HostPort); err == nil && h == host && p.Key == key {
			twin, found = p, true
		}
	}
	return twin, found, nil
}

// Add trusts a key from now on. The file and its folder are for their owner only.
func (k *Known) Add(p Pin) error {
	if err := os.MkdirAll(filepath.Dir(k.Path), 0o700); err != nil {
		return fmt.Errorf("known servers: make the folder: %w", err)
	}
	f, err := os.OpenFile(k.Path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("known servers: write: %w", err)
	}
	_, err = fmt.Fprintf(f, "%s %s %s\n", p.HostPort, p.Key, p.Since.UTC().Format(time.RFC3339))
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("known servers: write: %w", err)
	}
	return nil
}

// Forget removes a server: all its ports when only a host is given. It tells how many lines went.
func (k *Known) Forget(server string) (int, error) {
	text, err := os.ReadFile(k.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("known servers: read: %w", err)
	}
	var kept strings.Builder
	gone := 0
	for line := range strings.Lines(string(text)) {
		name, _, _ := strings.Cut(line, " ")
		if host, _, err := net.SplitHostPort(name); name == server || err == nil && host == server {
			gone++
			continue
		}
		kept.WriteString(line)
	}
	if gone == 0 {
		return 0, nil
	}
	tmp := k.Path + ".new"
	if err := os.WriteFile(tmp, []byte(kept.String()), 0o600); err != nil {
		return 0, fmt.Errorf("known servers: write: %w", err)
	}
	if err := os.Rename(tmp, k.Path); err != nil {
		return 0, fmt.Errorf("known servers: write: %w", err)
	}
	return gone, nil
}
