package tui

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"parley/xmpp/jid"
	"parley/xmpp/xml"
)

// letter is a message that somebody has written.
type letter struct {
	id   string // of its stanza; the server knows it again by that
	to   jid.JID
	text string
	at   time.Time

	line int  // of the input, in pipe mode
	out  bool // a session has it, and the one after that will
	told told // in line mode
}

// size counts a letter against the room that there is.
func (l letter) size() int { return len(l.text) + 100 }

// outbox is what the server has not accepted yet, in the order of writing: on disk, where there is one, so that it goes
// out at the next start at the latest. Its owner guards it.
type outbox struct {
	file  *boxFile // nil: in memory only
	list  []letter
	bytes int
}

// Bounds of what may wait.
const (
	maxLetters     = 1000
	maxLetterBytes = 1 << 20
)

// Bounds of one text, in bytes, and of what it becomes on the wire: a server that is sent a larger stanza than it takes ends
// the session, and would at every start again.
const (
	maxText    = 64 << 10
	maxEscaped = 200 << 10
)

var (
	errFull = errors.New("too much is waiting already")
	errText = errors.New("the text is too long for one message")
)

// newOutbox begins with what file has of the time before.
func newOutbox(file *boxFile) (*outbox, error) {
	b := &outbox{file: file}
	if file == nil {
		return b, nil
	}
	list, err := file.load()
	for _, l := range list {
		b.list, b.bytes = append(b.list, l), b.bytes+l.size()
	}
	return b, err
}

// tooLong tells of a text that no server takes.
func tooLong(text string) bool {
	return len(text) > maxText || len(xml.AppendEscaped(nil, text)) > maxEscaped
}

// full tells whether there is no room for l.
func (b *outbox) full(l letter) bool {
	return len(b.list) >= maxLetters || b.bytes+l.size() > maxLetterBytes
}

// add keeps a letter. With durable it is on the disk when add returns; otherwise it outlives this process and not a power
// cut.
func (b *outbox) add(l letter, durable bool) error {
	switch {
	case tooLong(l.text):
		return errText
	case b.full(l):
		return errFull
	}
	if b.file != nil {
		if err := b.file.add(l, durable); err != nil {
			return fmt.Errorf("the message could not be kept: %w", err)
		}
	}
	b.list, b.bytes = append(b.list, l), b.bytes+l.size()
	return nil
}

// find is the letter with that id; it can be changed as long as nothing is added or taken.
func (b *outbox) find(id string) *letter {
	if i := slices.IndexFunc(b.list, func(l letter) bool { return l.id == id }); i >= 0 {
		return &b.list[i]
	}
	return nil
}

// take removes a letter that was accepted, or refused. That it was may be forgotten in a power cut: then it goes out again,
// and the server knows it by its id.
func (b *outbox) take(id string) (letter, bool) {
	i := slices.IndexFunc(b.list, func(l letter) bool { return l.id == id })
	if i < 0 {
		return letter{}, false
	}
	l := b.list[i]
	b.list = slices.Delete(b.list, i, i+1)
	b.bytes -= l.size()
	if b.file != nil {
		b.file.done(id, b.list)
	}
	return l, true
}

// waiting are the letters that no session has yet.
func (b *outbox) waiting() []letter {
	var list []letter
	for _, l := range b.list {
		if !l.out {
			list = append(list, l)
		}
	}
	return list
}

// close lets go of the file.
func (b *outbox) close() {
	if b != nil && b.file != nil {
		b.file.close()
	}
}
