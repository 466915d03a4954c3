package im

import (
	"context"

	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

// ContactName is how the server's own address appears in everybody's roster.
const ContactName = "Parley"

// greeting is the presence of the server's own contact, to everybody: always available.
func greeting(domain jid.JID) *stanza.Stanza {
	return stanza.New(stanza.Presence, "", domain, jid.JID{},
		xml.New(stanza.NSClient, "status").WithText("Write help to see what I understand."))
}

// contact answers chat with the server's own address. Nothing of it is kept; what comes again is not done again.
func (v *Server) contact(ctx context.Context, s *Session, st *stanza.Stanza) {
	words := st.Body()
	if words == "" || st.Type == stanza.ErrorType || st.Type == stanza.Headline {
		return
	}
	if st.Type == stanza.Groupchat {
		s.refuse(st, stanza.Bad(stanza.ServiceUnavailable, ""))
		return
	}
	if s.account.again(st) {
		return
	}
	for _, c := range v.contacts {
		reply, mine := c(ctx, s, words)
		if !mine {
			continue
		}
		if reply != "" {
			v.Tell(s, reply)
		}
		return
	}
	s.refuse(st, stanza.Bad(stanza.ServiceUnavailable, ""))
}
