package im

import "parley/xmpp/jid"

// Shows tells whether who may see the account's presence: its own sessions, and everybody of this server whom it has
// not blocked.
func (a *Account) Shows(who jid.JID) bool {
	return who.Bare() == a.jid || a.srv.ownerOf(who) != 0 && !a.Blocks(who)
}
