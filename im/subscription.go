package im

import "parley/xmpp/stanza"

// subscription is what two accounts see of each other, from the side of one of them (RFC 6121 §2.1.2.5, appendix A.1):
// nine states as four bits, and whether a request would be granted unasked.
type subscription struct {
	To       bool `json:"to,omitempty"`       // he gets the contact's presence
	From     bool `json:"from,omitempty"`     // the contact gets his
	Asks     bool `json:"asks,omitempty"`     // he has asked for the contact's ("pending out")
	Asked    bool `json:"asked,omitempty"`    // the contact has asked for his ("pending in")
	Approved bool `json:"approved,omitempty"` // he has granted what the contact may ask for (§3.4)
}

// name is the state as the roster says it.
func (s subscription) name() string {
	switch {
	case s.To && s.From:
		return "both"
	case s.To:
		return "to"
	case s.From:
		return "from"
	}
	return "none"
}

// sends is what a subscription stanza does to the state of the account that sends it. It tells whether the contact's
// account is to hear of it (appendix A.2).
func (s *subscription) sends(t string) (route bool) {
	switch t {
	case stanza.Subscribe: // A.2.1
		s.Asks = s.Asks || !s.To
		return true
	case stanza.Unsubscribe: // A.2.2
		s.Asks, s.To = false, false
		return true
	case stanza.Subscribed: // A.2.3
		if !s.Asked {
			s.Approved = s.Approved || !s.From
			return false
		}
		s.Asked, s.From = false, true
		return true
	}
	route = s.Asked || s.From // A.2.4
	s.Asked, s.From, s.Approved = false, false, false
	return route
}

// receives is what a subscription stanza does to the state of the account that it is for. It tells whether that
// account's clients are to see it (appendix A.3), and whether the server grants a request by itself.
func (s *subscription) receives(t string) (deliver, grant bool) {
	switch t {
	case stanza.Subscribe: // A.3.1, §3.1.3
		if s.From || s.Approved {
			s.From, s.Asked = true, false
			return false, true
		}
		deliver, s.Asked = !s.Asked, true
		return deliver, false
	case stanza.Unsubscribe: // A.3.2
		deliver = s.Asked || s.From
		s.Asked, s.From = false, false
	case stanza.Subscribed: // A.3.3
		deliver = s.Asks
		s.To, s.Asks = s.To || s.Asks, false
	case stanza.Unsubscribed: // A.3.4
		deliver = s.Asks || s.To
		s.Asks, s.To = false, false
	}
	return deliver, false
}
