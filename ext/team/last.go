package team

import (
	"context"
	"strconv"
	"time"

	"parley/im"
	"parley/store"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

// NSLast is the namespace of last activity (XEP-0012).
const NSLast = "jabber:iq:last"

// answers are those to last activity: for the server since when it runs, for an account since when it is gone.
func (t *Team) answers() []im.Answer {
	name := xml.Name{Space: NSLast, Local: "query"}
	return []im.Answer{
		{At: im.AtServer, Name: name, Get: t.uptime},
		{At: im.AtAccount, Name: name, Get: t.lastHere},
	}
}

// uptime is of XEP-0012 §5.
func (t *Team) uptime(context.Context, *im.Query) (*xml.Element, error) {
	return seconds(time.Since(t.began)), nil
}

// lastHere is of XEP-0012 §3. The accounts whose presence the asker may not see are silent about this, too.
func (t *Team) lastHere(_ context.Context, q *im.Query) (*xml.Element, error) {
	if !q.Account.Shows(q.Stanza.From) {
		return nil, stanza.Bad(stanza.Forbidden, "")
	}
	v, ok := t.history.visit(q.Account.Owner())
	switch {
	case !ok:
		return nil, stanza.Bad(stanza.ItemNotFound, "This account was never here.")
	case v.online:
		return seconds(0), nil
	}
	return seconds(time.Since(v.last)), nil
}

// visit is an account's last one, if it ever had any.
func (h *history) visit(o store.Owner) (visit, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v, ok := h.seen[o]
	return v, ok
}

// seconds is the answer. A clock that was set back makes nobody come from the future.
func seconds(d time.Duration) *xml.Element {
	return xml.New(NSLast, "query", xml.A("seconds", strconv.FormatInt(int64(max(d, 0)/time.Second), 10)))
}
