package im

import "parley/xmpp/jid"

// State is what the account's roster says of a contact: whether the account gets his presence, and he the account's.
func (a *Account) State(who jid.JID) (to, from bool) {
	it := a.roster.Load().items[who]
	return it.To, it.From
}
