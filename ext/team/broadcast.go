package team

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"time"

	"parley/im"
	"parley/store"
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

// maxText is how many bytes a text may have.
const maxText = 64 << 10

// broadcast sends text to everybody online, from the user's bare address so that it can be answered and its sender
// blocked. It is of type headline and not to be stored: nobody gets it later. The note says how many were reached, and
// some that a block kept it from somebody; whom is not told.
func (t *Team) broadcast(ctx context.Context, s *im.Session, text string) (note string, some bool, err error) {
	if err := checkText(text); err != nil {
		return "", false, err
	}
	exempt := t.opts.Exempt != nil && t.opts.Exempt(s.Account().JID().Local())
	if wait := t.budget.take(s.Account().Owner(), time.Now()); wait > 0 && !exempt {
		return "", false, stanza.Bad(stanza.ResourceConstraint, fmt.Sprintf(
			"You have written to everyone very often. The next time is possible in %s.", number(int(math.Ceil(wait.Seconds())), "second")))
	}
	st := stanza.New(stanza.Message, stanza.Headline, s.Account().JID(), jid.JID{},
		stanza.Body(text), xml.New(stanza.NSHints, "no-store"))
	st.ID = rand.Text()
	reached, blocked := t.srv.Headline(ctx, s.Account(), st)
	t.log.Info("broadcast", slog.String("jid", s.JID().String()), slog.Int("reached", reached))
	if reached+blocked == 0 {
		return "Nobody else is online.", false, nil
	}
	note = "Delivered to " + number(reached, "person") + "."
	if blocked > 0 {
		note += " Your message could not be delivered to some recipients."
	}
	return note, blocked > 0, nil
}

func checkText(text string) error {
	switch {
	case strings.TrimSpace(text) == "":
		return stanza.Bad(stanza.BadRequest, "The message is empty.")
	case len(text) > maxText:
		return stanza.Bad(stanza.BadRequest, "The message is longer than 64 KiB.")
	}
	return nil
}

// number is "1 person", "2 people".
func number(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if what == "person" {
		return fmt.Sprintf("%d people", n)
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// budget bounds how often each account broadcasts: so many at once, then one each time 'every' has passed.
type budget struct {
	mu    sync.Mutex
	burst int                       // guarded by mu
	every time.Duration             // guarded by mu
	full  map[store.Owner]time.Time // when the account's budget is full again; guarded by mu
}

// maxBudgets is how many entries the map may have before those that say nothing any more are cleared.
const maxBudgets = 1024

// set changes the budget of everybody. Who has used up some of his keeps the time at which it is full again.
func (b *budget) set(burst int, every time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.burst, b.every = max(burst, 1), every
	if b.full == nil {
		b.full = map[store.Owner]time.Time{}
	}
}

// take takes one from o's budget, or says how long to wait.
func (b *budget) take(o store.Owner, now time.Time) (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.every <= 0 {
		return 0
	}
	full := b.full[o]
	if full.Before(now) {
		full = now
	}
	// A budget of n is empty when it will be full only after n times 'every'.
	if wait := full.Sub(now) - time.Duration(b.burst-1)*b.every; wait > 0 {
		return wait
	}
	if len(b.full) >= maxBudgets {
		for k, v := range b.full {
			if v.Before(now) {
				delete(b.full, k)
			}
		}
	}
	b.full[o] = full.Add(b.every)
	return 0
}
