// Package ping answers pings (XEP-0199) for the server and for every account's bare address.
//
//	<iq type='get'><ping xmlns='urn:xmpp:ping'/></iq>   →   <iq type='result'/>
package ping

import (
	"context"

	"parley/im"
	"parley/xmpp/xml"
)

// NS is the namespace of pings.
const NS = "urn:xmpp:ping"

// New is the extension.
func New() im.Extension {
	name := xml.Name{Space: NS, Local: "ping"}
	return im.Extension{
		Name:     "ping",
		Specs:    []string{"XEP-0199 2.0.1"},
		Features: []string{NS},
		Account:  []string{NS},
		Answers: []im.Answer{
			{At: im.AtServer, Name: name, Get: pong, Plain: true},
			{At: im.AtAccount, Name: name, Get: pong, Plain: true}, // whose sessions are pinged by their full addresses
		},
	}
}

func pong(context.Context, *im.Query) (*xml.Element, error) { return nil, nil }
