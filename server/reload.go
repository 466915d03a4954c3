package server

import (
	"bytes"
	"time"

	"parley/c2s"
	"parley/config"
	"parley/ext/disco"
	"parley/ext/register"
	"parley/im"
)

// Reloaded says what Reload did. The names are keys of settings.
type Reloaded struct {
	Taken []string // changed, and valid from now on
	Later []string // changed, and valid from the next start

	Key   string    // the fingerprint of a certificate that was taken over, "" if it is the same as before
	Until time.Time // when that certificate ends
}

// Reload takes over the certificate and the settings that can change while the server runs (config.Setting.Reload). An
// error leaves everything as it was. It is not to be called twice at the same time.
//
// Connections keep what they have begun with: the certificate, the timeout and the limits of a connection. The rest,
// as who may register, counts at once.
func (s *Server) Reload(next config.Config) (Reloaded, error) {
	if !next.Asked("domain") {
		next.Domain = s.running.Domain
	}
	if !next.Asked("contacts") {
		next.Contacts = s.running.Contacts
	}
	now, taken, later := s.running.Reload(next)
	pair, _, err := s.certificate(now)
	if err != nil {
		return Reloaded{}, err
	}
	r := Reloaded{Taken: taken, Later: later}
	if old := s.pair.Swap(pair); !bytes.Equal(old.Certificate[0], pair.Certificate[0]) {
		r.Key, r.Until = Fingerprint(pair), pair.Leaf.NotAfter
	}
	s.running = now
	if len(taken) > 0 {
		s.timeout.Store(int64(now.Timeout)) // before it is hashed
		s.hall.Change(hallSettings(now))
		s.clients.Change(s.clientSettings(now))
		s.lockout.SetDuration(time.Duration(now.BlockDuration) * time.Second)
		s.team.SetBudget(now.Broadcast.Burst, time.Duration(now.Broadcast.Every)*time.Second)
	}
	return r, nil
}

func hallSettings(c config.Config) im.Settings {
	return im.Settings{
		BlockedSender: im.BlockedSender(c.BlockedSender), Sessions: c.Limits.Sessions, Outbox: c.Limits.OutboxBytes, Resume: time.Duration(c.ResumeTime) * time.Second,
	}
}

func (s *Server) clientSettings(c config.Config) c2s.Settings {
	set := c2s.Settings{
		Caps: disco.Caps(s.hall), Timeout: time.Duration(c.Timeout) * time.Second,
		Stanza: c.Limits.StanzaBytes, Rates: c.Limits.Rates,
	}
	if c.RegistrationOpen() {
		r := register.NewStranger(s.accounts) // it counts anew after a reload
		r.Unlimited = !c.Limits.Rates
		set.Register = r
	}
	return set
}
