package load

import (
	"context"
	"errors"
	"fmt"

	"parley/imtest/history"
	"parley/xmpp/stanza"
	"parley/xmpp/stanza/forward"
	"parley/xmpp/xml"
)

// errUnknown says that the archive does not know the id to read on from.
var errUnknown = errors.New("the archive does not know this id")

// walk reads the device's archive from behind the id 'after' to its end, by pages of max. It returns the last id.
func (d *device) walk(ctx context.Context, after string, max int, audit bool) (string, error) {
	d.mu.Lock()
	d.query, d.audits, d.last = d.o.Recorder.NewQuery(), audit, after
	query := d.query
	d.mu.Unlock()
	defer func() { // what comes after a resumption belongs to no walk
		d.mu.Lock()
		d.query = 0
		d.mu.Unlock()
	}()
	for {
		set := fmt.Sprintf("<max>%d</max>", max)
		if after != "" {
			set += "<after>" + after + "</after>"
		}
		asked := d.o.Recorder.Now()
		fin, err := d.ask(ctx, "set", "", fmt.Sprintf(
			"<query xmlns='%s' queryid='%d'><set xmlns='http://jabber.org/protocol/rsm'>%s</set></query>", nsMAM, query, set))
		if err != nil {
			return after, err
		}
		d.mu.Lock()
		f := fin.Child(nsMAM, "fin")
		all := f != nil && f.Attr("complete") == "true"
		if f == nil {
			d.note(history.Event{Kind: history.Page, Query: query, After: after, Audit: audit, Text: fin.String()})
			d.mu.Unlock()
			if e := fin.Child(stanza.NSClient, "error"); e != nil && e.Has(stanza.NSStanzas, string(stanza.ItemNotFound)) {
				return after, errUnknown
			}
			return after, fmt.Errorf("read the archive: %s", fin)
		}
		d.note(history.Event{Kind: history.Page, Query: query, After: after, Asked: asked, All: all, Audit: audit})
		last := d.last
		d.mu.Unlock()
		if all {
			return last, nil
		}
		if last == after {
			return last, errors.New("read the archive: an empty page that is not the last")
		}
		after = last
	}
}

// entry takes one message of the archive. The caller holds d.mu.
func (d *device) entry(r *xml.Element) {
	e := history.Event{Kind: history.Entry, Query: d.query, Audit: d.audits, IDs: []string{r.Attr("id")}}
	st, _, err := forward.Parse(r)
	if err == nil {
		e.Msg = read(st)
	}
	if e.Msg == "" {
		e.Text = r.String()
	}
	if fmt.Sprint(d.query) != r.Attr("queryid") {
		return // of a walk that was cut off
	}
	d.note(e)
	d.last = r.Attr("id")
}

// catchUp reads what the archive holds behind what the device has.
func (d *device) catchUp(ctx context.Context) error {
	d.mu.Lock()
	after := d.synced
	d.mu.Unlock()
	last, err := d.walk(ctx, after, 20, false)
	if errors.Is(err, errUnknown) { // the history says so; a client begins from the beginning
		last, err = d.walk(ctx, "", 20, false)
	}
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.behind || d.synced == after {
		d.synced, d.behind = last, false
	}
	return nil
}

// text is a message of the device to its partner.
func (d *device) text(m history.Msg, forged bool) string {
	to := d.partner + "@localhost"
	extra := ""
	if forged {
		extra = fmt.Sprintf("<stanza-id xmlns='%s' by='%s' id='forged'/><stanza-id xmlns='%s' by='%s@localhost' id='forged'/>", stanza.NSID, to, stanza.NSID, d.account)
	}
	return fmt.Sprintf("<message to='%s' type='chat' id='%s'><body>%s</body><origin-id xmlns='%s' id='%s'/>%s</message>",
		to, m, m.Body("good morning"), stanza.NSID, m, extra)
}
