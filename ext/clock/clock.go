// Package clock tells the server's time (XEP-0202).
//
//	<time xmlns='urn:xmpp:time'/>   →   <time> <tzo>+02:00</tzo> <utc>2026-01-31T12:00:00.000Z</utc> </time>
package clock

import (
	"context"
	"time"

	"parley/im"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

// NS is the namespace of entity time.
const NS = "urn:xmpp:time"

// New is the extension.
func New() im.Extension {
	return im.Extension{
		Name:     "clock",
		Specs:    []string{"XEP-0202 2.0", "XEP-0082 1.1.1"},
		Features: []string{NS},
		Answers:  []im.Answer{{At: im.AtServer, Name: xml.Name{Space: NS, Local: "time"}, Get: now}},
	}
}

func now(context.Context, *im.Query) (*xml.Element, error) { return at(time.Now()), nil }

// at is the answer at a moment, whose location is the server's.
func at(t time.Time) *xml.Element {
	return xml.New(NS, "time").With(
		xml.New(NS, "tzo").WithText(t.Format("-07:00")),
		xml.New(NS, "utc").WithText(stanza.DateTime(t)))
}
