package load

import (
	"errors"
	"fmt"
	"strconv"
)

// conn is one signed-in client. The loop has it to itself.
type conn struct {
	// fixed
	n       int // its account's place in Config.Accounts
	wire    *wire
	jid     string // full
	domain  string
	managed bool

	slot   int    // its place in the loop
	part   []byte // the beginning of an element that is not all there
	out    []byte // what leaves at the end of the turn
	marked bool   // the loop looks at out then
	wants  bool   // watched for room to write

	stanzas uint32 // received, for stream management

	// of the scenario
	peer   *conn  // whom it writes to
	source *conn  // whose messages it gets
	seq    uint32 // messages sent
	order  order  // messages received
	pages  order  // messages read from the archive, since its beginning
}

func (c *conn) bare() string {
	for i := range len(c.jid) {
		if c.jid[i] == '/' {
			return c.jid[:i]
		}
	}
	return c.jid
}

// errEnded is what the server does to a connection that it should have kept.
var errEnded = errors.New("the server has closed the connection")

// take hands every complete element to handle and keeps the beginning of one that is not all there. p is borrowed.
func (c *conn) take(p []byte, handle func(*conn, []byte)) error {
	if len(c.part) > 0 {
		c.part = append(c.part, p...)
		p = c.part
	}
	for {
		p = p[blank(p):]
		n := frame(p)
		if n < 0 {
			return errEnded
		}
		if n == 0 {
			c.part = append(c.part[:0], p...)
			if len(p) == 0 {
				c.part = nil
			}
			return nil
		}
		if err := c.element(p[:n], handle); err != nil {
			return err
		}
		p = p[n:]
	}
}

// element does what the stream itself asks for; the rest is the scenario's.
func (c *conn) element(el []byte, handle func(*conn, []byte)) error {
	switch {
	case is(el, "message"), is(el, "iq"), is(el, "presence"):
		c.stanzas++
		handle(c, el)
	case is(el, "r"):
		c.out = append(c.out, "<a xmlns='urn:xmpp:sm:3' h='"...)
		c.out = append(strconv.AppendUint(c.out, uint64(c.stanzas), 10), "'/>"...)
	case is(el, "stream:error"):
		return fmt.Errorf("the server ends the stream: %s", el)
	}
	return nil
}

// flush writes what has gathered.
func (c *conn) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	_, err := c.wire.upper().Write(c.out)
	if cap(c.out) > 16<<10 {
		c.out = nil
	}
	c.out = c.out[:0]
	return err
}
