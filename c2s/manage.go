package c2s

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"parley/im"
	"parley/xmpp/stanza"
	"parley/xmpp/stream"
	"parley/xmpp/xml"
)

// handoverTime is how long a connection whose session goes on elsewhere may make no progress with what it is writing.
const handoverTime = 200 * time.Millisecond

// manage handles an element of stream management (XEP-0198).
func (c *conn) manage(ctx context.Context, el *xml.Element) error {
	s := c.session
	switch {
	case el.Name.Local == "enable" && !s.Managed():
		return s.Manage(ctx, isTrue(el.Attr("resume")))
	case el.Name.Local == "r" && s.Managed():
		return s.Asked(ctx)
	case el.Name.Local == "a" && s.Managed():
		h, err := strconv.ParseUint(el.Attr("h"), 10, 32)
		if err != nil {
			return &stream.Error{Condition: stream.UndefinedCondition, Text: "The 'h' of an acknowledgement is a number of 32 bits."}
		}
		return s.Acknowledged(uint32(h))
	case el.Name.Local == "enable", el.Name.Local == "resume":
		s.Unexpected()
		return nil
	}
	return &stream.Error{Condition: stream.UnsupportedStanzaType, Text: "Stream management is not on, or there is no such element of it."}
}

func isTrue(s string) bool { return s == "true" || s == "1" }

// resume gives the connection the session that its client had before (XEP-0198 §5), or says why it cannot; the client may
// bind a resource then.
func (c *conn) resume(ctx context.Context, el *xml.Element) (done bool, err error) {
	h, err := strconv.ParseUint(el.Attr("h"), 10, 32)
	if err != nil {
		return false, c.stream.Send(failed(stanza.BadRequest))
	}
	s, handled, err := c.srv.Hall.Resume(ctx, c.name, el.Attr("previd"), uint32(h))
	var none *im.NotResumedError
	var wrong *stream.Error
	switch {
	case errors.As(err, &none):
		no := failed(stanza.ItemNotFound)
		if none.Known {
			no = no.WithAttr("h", strconv.FormatUint(uint64(none.H), 10))
		}
		return false, c.stream.Send(no)
	case errors.As(err, &wrong):
		return false, wrong
	case errors.Is(err, im.ErrLocked): // since the sign-in
		return false, &stream.Error{Condition: stream.NotAuthorized, Text: accountLocked}
	case errors.Is(err, im.ErrNoAccount):
		return false, &stream.Error{Condition: stream.NotAuthorized, Text: "This account was removed."}
	case err != nil:
		c.say(slog.LevelError, "session not resumed", slog.Any("err", err))
		return false, &stream.Error{Condition: stream.InternalServerError, Text: "The session cannot be resumed at the moment."}
	}
	c.session = s
	c.say(slog.LevelDebug, "session resumed", slog.String("jid", s.JID().String()))
	if err := c.stream.Send(xml.New(stream.NSManagement, "resumed", xml.A("previd", el.Attr("previd")),
		xml.A("h", strconv.FormatUint(uint64(handled), 10)))); err != nil {
		return false, err
	}
	c.begin()
	return true, nil
}

func failed(why stanza.Condition) *xml.Element {
	return xml.New(stream.NSManagement, "failed").With(xml.New(stanza.NSStanzas, string(why)))
}

// rest leaves the session for the client's next connection. On one that is still good it says how much was handled first,
// and what it still has to say.
func (c *conn) rest(ctx context.Context, alive bool) {
	if alive && !c.session.Wanted() {
		if err := c.session.Asked(context.WithoutCancel(ctx)); err == nil {
			c.flush()
		}
	}
	var end time.Time
	if c.set.Timeout > 0 {
		end = c.session.Seen().Add(c.set.Timeout)
	}
	c.session.Rest(end)
	c.say(slog.LevelDebug, "session waits for its client", slog.String("jid", c.session.JID().String()))
}
