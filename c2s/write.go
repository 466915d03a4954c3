package c2s

import "log/slog"

// Wake starts a writer; see im.Carrier.
func (c *conn) Wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.leaving {
		c.writers.Go(func() { c.write(nil) })
	}
}

// Write writes what the connection takes at once, and starts a writer for the rest; see im.Carrier.
func (c *conn) Write() {
	if !c.stream.Direct() {
		c.Wake()
		return
	}
	c.mu.Lock()
	if c.leaving {
		c.mu.Unlock()
		return
	}
	c.writers.Add(1)
	c.mu.Unlock()
	defer c.writers.Done()
	c.writeNow()
}

// favours is how often somebody writes for a connection that always has more, before it gets a writer of its own.
const favours = 8

// writeNow is write by somebody who must not wait, and has his own to do.
func (c *conn) writeNow() {
	var err error
	defer c.written(&err)
	defer c.caught(&err)
	var p []byte
	for done := 0; ; done++ {
		if done == favours {
			c.writers.Go(func() { c.write(nil) })
			return
		}
		next, id, more := c.session.NextNow(p)
		if more {
			c.writers.Go(func() { c.write(nil) })
			return
		}
		if next == nil {
			return
		}
		n := 0
		if n, err = c.stream.WriteNow(next); err != nil {
			return
		}
		if n < len(next) {
			c.writers.Go(func() {
				c.write(func() error {
					err := c.stream.Write(next[n:])
					if err == nil {
						c.session.Wrote(id)
					}
					return err
				})
			})
			return
		}
		c.session.Wrote(id)
		p = next
	}
}

// write writes what the session has for its client until there is nothing more for now; first the rest of what was begun,
// if anything was.
func (c *conn) write(rest func() error) {
	var err error
	defer c.written(&err)
	defer c.caught(&err)
	if rest != nil {
		if err = rest(); err != nil {
			return
		}
	}
	var p []byte
	for {
		next, id := c.session.Next(c.reading, p)
		if next == nil {
			return
		}
		var n int
		n, err = c.stream.WriteNow(next) // most often that is all, without a deadline
		if err == nil && n < len(next) {
			err = c.stream.Write(next[n:])
		}
		if err != nil {
			return
		}
		c.session.Wrote(id)
		p = next
	}
}

// written ends a writer's work: after an error it ends the connection. It is deferred.
func (c *conn) written(err *error) {
	if *err == nil {
		return
	}
	c.say(slog.LevelDebug, "not written", slog.String("jid", c.session.JID().String()), slog.Any("err", *err))
	_ = c.stream.Close() // the reader sees it and leaves
	c.halt()
}
