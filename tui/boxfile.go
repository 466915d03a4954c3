package tui

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"parley/xmpp/jid"
)

// Outboxes is the folder of what this computer still has to send, for each account and server: what was written and not
// accepted, and how far the conversation was shown. Its files are for their owner only.
type Outboxes struct {
	Dir string
}

// DefaultOutboxes is the folder beside the file of DefaultKnown.
func DefaultOutboxes(getenv func(string) string) (*Outboxes, error) {
	dir, err := stateDir(getenv)
	if err != nil {
		return nil, err
	}
	return &Outboxes{Dir: filepath.Join(dir, "outbox")}, nil
}

// name is that of the files for an account as it is reached in one way: what was written for one server goes to no other
// that happens to have the same name, as localhost does.
func (o *Outboxes) name(account jid.JID, hostPort string) string {
	sum := sha256.Sum256([]byte(account.Bare().String() + "\n" + hostPort))
	return filepath.Join(o.Dir, hex.EncodeToString(sum[:12]))
}

// maxClients is how many clients of one account can have an outbox on one computer at the same time.
const maxClients = 16

// boxFile is the outbox of one running client: a log of one JSON object for each letter that was written and each that is
// done with. A lock beside it says that the client runs. What a client left behind, the next one takes over.
type boxFile struct {
	path string
	lock *os.File
	f    *os.File
	size int64
}

// record is one line of the file.
type record struct {
	ID   string    `json:"id,omitempty"`
	To   string    `json:"to,omitempty"`
	Text string    `json:"text,omitempty"`
	At   time.Time `json:"at,omitzero"`
	Done string    `json:"done,omitempty"` // id of a letter above
}

// open takes the first outbox that no running client has.
func (o *Outboxes) open(account jid.JID, hostPort string) (*boxFile, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("outbox: make the folder: %w", err)
	}
	if err := syncDir(filepath.Dir(o.Dir)); err != nil {
		return nil, fmt.Errorf("outbox: make the folder: %w", err)
	}
	for n := range maxClients {
		b := &boxFile{path: fmt.Sprintf("%s.%d", o.name(account, hostPort), n)}
		if got, err := b.take(); err != nil || got {
			return b, err
		}
	}
	return nil, fmt.Errorf("outbox: %d clients of this account run already", maxClients)
}

func (b *boxFile) take() (bool, error) {
	f, err := os.OpenFile(b.path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return false, fmt.Errorf("outbox: open: %w", err)
	}
	if !lockFile(f) {
		return false, f.Close()
	}
	b.lock = f
	return true, nil
}

// load reads what is still to be sent, that of clients which ended early too, and makes the file anew with it.
func (b *boxFile) load() ([]letter, error) {
	list, err := readLetters(b.path)
	if err != nil {
		return nil, err
	}
	var left []*boxFile
	defer func() {
		for _, l := range left {
			l.close()
		}
	}()
	stem := strings.TrimSuffix(b.path, filepath.Ext(b.path))
	for n := range maxClients {
		other := &boxFile{path: fmt.Sprintf("%s.%d", stem, n)}
		if _, err := os.Stat(other.path); err != nil || other.path == b.path {
			continue
		}
		if got, err := other.take(); err != nil || !got {
			continue
		}
		left = append(left, other)
		more, err := readLetters(other.path)
		if err != nil {
			return list, err
		}
		list = append(list, more...)
	}
	if err := b.rewrite(list); err != nil {
		return list, err
	}
	for _, l := range left { // twice in a crash right here is no harm: they have their ids
		_ = os.Remove(l.path)
	}
	return list, nil
}

// readLetters reads a file. A line that was not written whole is none.
func readLetters(path string) ([]letter, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("outbox: read: %w", err)
	}
	defer f.Close()
	var b outbox
	in := bufio.NewReader(f)
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return b.list, nil
		}
		if err != nil {
			return nil, fmt.Errorf("outbox: read: %w", err)
		}
		var r record
		if json.Unmarshal(line, &r) != nil {
			continue
		}
		if r.Done != "" {
			b.take(r.Done)
		} else if to, err := jid.Parse(r.To); err == nil && r.ID != "" && b.find(r.ID) == nil {
			_ = b.add(letter{id: r.ID, to: to, text: r.Text, at: r.At}, false) // what has no room was never kept
		}
	}
}

func lineOf(r record) []byte {
	line, _ := json.Marshal(r) // strings and a time cannot fail
	return append(line, '\n')
}

func recordOf(l letter) record {
	return record{ID: l.id, To: l.to.String(), Text: l.text, At: l.at.UTC()}
}

// add appends a letter.
func (b *boxFile) add(l letter, durable bool) error {
	if b.f == nil {
		return errors.New("outbox: its file is gone")
	}
	line := lineOf(recordOf(l))
	if _, err := b.f.Write(line); err != nil {
		_ = b.f.Truncate(b.size) // half a line would spoil the next one
		return err
	}
	b.size += int64(len(line))
	if durable {
		return b.f.Sync()
	}
	return nil
}

// maxFile is when a file is made anew without what is done with.
const maxFile = 4 << 20

// done notes that a letter is done with; list are those that are not. What cannot be noted is sent once more.
func (b *boxFile) done(id string, list []letter) {
	if b.f == nil {
		return
	}
	if len(list) == 0 {
		if b.f.Truncate(0) == nil {
			b.size = 0
		}
		return
	}
	if b.size > maxFile && b.rewrite(list) == nil {
		return
	}
	line := lineOf(record{Done: id})
	if _, err := b.f.Write(line); err == nil {
		b.size += int64(len(line))
	}
}

// rewrite makes the file anew: there is always a whole one.
func (b *boxFile) rewrite(list []letter) error {
	tmp := b.path + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("outbox: write: %w", err)
	}
	var text []byte
	for _, l := range list {
		text = append(text, lineOf(recordOf(l))...)
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("outbox: write: %w", err)
	}
	if b.f != nil { // there are systems that rename nothing which is open
		_ = b.f.Close()
		b.f = nil
	}
	if err = os.Rename(tmp, b.path); err == nil {
		err = syncDir(filepath.Dir(b.path))
	}
	if f, e := os.OpenFile(b.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); e == nil {
		b.f, b.size = f, int64(len(text))
	} else {
		err = errors.Join(err, e)
	}
	if err != nil {
		return fmt.Errorf("outbox: write: %w", err)
	}
	return nil
}

// close lets the next client have it.
func (b *boxFile) close() {
	if b.f != nil {
		_ = b.f.Close()
	}
	_ = b.lock.Close()
}

// place reads how far the conversation of an account was shown, "" when nobody knows.
func (o *Outboxes) place(account jid.JID, hostPort string) string {
	text, err := os.ReadFile(o.name(account, hostPort) + ".place")
	if err != nil || len(text) > 1024 {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// savePlace notes it. When that fails, the next client shows something again.
func (o *Outboxes) savePlace(account jid.JID, hostPort, id string) {
	if id == "" || id == o.place(account, hostPort) {
		return
	}
	f, err := os.CreateTemp(o.Dir, ".place") // for its owner only
	if err != nil {
		return
	}
	_, err = f.WriteString(id + "\n")
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), o.name(account, hostPort)+".place")
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
}
