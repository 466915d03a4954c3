package c2s

import (
	"parley/xmpp/sasl"
	"parley/xmpp/stream"
	"parley/xmpp/xml"
)

// current are settings with what follows from them: the stream features, as they are written to every client (RFC 6120 §4.3.2),
// and the limits of what somebody sends who has signed in.
type current struct {
	Settings
	limits    xml.Limits
	startTLS  []byte
	inClear   []byte // before signing in, without TLS
	protected []byte // before signing in, within TLS
	signedIn  []byte
}

func (v *Server) current(s Settings) *current {
	return &current{
		Settings:  s,
		limits:    xml.Limits{Bytes: s.Stanza, Depth: 64, Elements: 4096, Attrs: 64, Declarations: 32, Name: 256, Value: 32 << 10},
		startTLS:  features(xml.New(stream.NSTLS, "starttls").With(xml.New(stream.NSTLS, "required"))),
		inClear:   features(v.signInOffers(s, false)...),
		protected: features(v.signInOffers(s, true)...),
		signedIn: features(
			xml.New(stream.NSBind, "bind"),
			xml.New(stream.NSManagement, "sm"),               // XEP-0198
			xml.New("urn:xmpp:features:rosterver", "ver"),    // RFC 6121 §2.6.1
			xml.New("urn:xmpp:features:pre-approval", "sub"), // §3.4
			s.Caps,
		),
	}
}

func features(offers ...*xml.Element) []byte { return stream.Append(nil, stream.Features(offers...)) }

// signInOffers are SASL and, where it is open, registration.
func (v *Server) signInOffers(s Settings, protected bool) []*xml.Element {
	mechanisms := xml.New(stream.NSSASL, "mechanisms")
	for _, name := range v.mechanisms(protected) {
		mechanisms = mechanisms.With(xml.New(stream.NSSASL, "mechanism").WithText(name))
	}
	if s.Register == nil {
		return []*xml.Element{mechanisms}
	}
	return []*xml.Element{mechanisms, xml.New("http://jabber.org/features/iq-register", "register")}
}

// mechanisms are what a connection is offered, the best first. The old ones are for the inside of TLS only: PLAIN
// shows the password to whoever reads the connection. The listener without TLS has none of them either, although it has
// SCRAM-SHA-256: it is for tests and measurements, which do without.
func (v *Server) mechanisms(protected bool) []string {
	if v.Legacy && protected {
		return []string{sasl.Mechanism, sasl.MechanismSHA1, sasl.Plain}
	}
	return []string{sasl.Mechanism}
}
