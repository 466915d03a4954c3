package history

import (
	"slices"
	"time"
)

// The rules: each refutes one sentence.

// origin: whatever is shown was written by one of the test's clients, word for word.
func (w *world) origin() {
	for _, e := range w.seen {
		if w.messages[e.Msg] == nil {
			w.fail(Origin, "%s was shown what nobody wrote: %s %q", e.Client, e.Msg, e.Text)
		}
	}
}

// isolation: nobody but the two accounts that a message is between is shown it, in whatever form.
func (w *world) isolation() {
	for _, e := range w.seen {
		if w.messages[e.Msg] == nil {
			continue
		}
		who := account(e.Client)
		fits := who == e.Msg.From() || who == e.Msg.To()
		if e.Kind == Receive {
			fits = e.Via == Sent && who == e.Msg.From() || e.Via != Sent && who == e.Msg.To()
		}
		if !fits {
			w.fail(Isolation, "%s was shown %q (%s %s)", e.Client, e.Msg, e.Kind, e.Text)
		}
	}
}

// keeping (P1, P9, P14): what anybody had reason to take for accepted is in both archives. Which sentence a loss refutes
// depends on what happened since: a crash, an orderly stop, or nothing.
func (w *world) keeping() {
	for _, m := range w.written {
		if m.known < 0 || m.refused {
			continue
		}
		for _, who := range [2]string{m.From(), m.To()} {
			a := w.audited(who)
			if a == nil {
				continue
			}
			if _, there := a.of[m.Msg]; there {
				continue
			}
			sentence := P9
			switch {
			case after(w.crashes, m.known):
				sentence = P1
			case after(w.stops, m.known):
				sentence = P14
			}
			w.fail(sentence, "%q was %s, and is not in the archive of %s", m.Msg, m.how, who)
		}
	}
}

// accounting (P9, P14): when all is quiet, a message was accepted or refused, not both, unless its client has given it up
// after the server had said that it does not have it.
func (w *world) accounting() {
	for _, m := range w.written {
		if m.refused {
			if a := w.audited(m.To()); a != nil {
				if _, there := a.of[m.Msg]; there {
					w.fail(P9, "%q was refused, and is in the archive of %s", m.Msg, m.To())
				}
			}
			continue
		}
		if d := w.devices[m.Client()]; m.counted || m.denied || d == nil || !d.quiet {
			continue
		}
		sentence := P9
		if after(w.stops, m.first) {
			sentence = P14
		}
		w.fail(sentence, "%q was sent %d times, and is neither counted nor refused", m.Msg, m.tries)
	}
}

// unhandled (P2): what the server said that it does not have is not in an archive, unless it was sent again.
func (w *world) unhandled() {
	for _, m := range w.written {
		if m.open > 0 {
			continue
		}
		for _, who := range [2]string{m.From(), m.To()} {
			if a := w.audited(who); a != nil {
				if _, there := a.of[m.Msg]; there {
					w.fail(P2, "the server said that it had not counted %q, which was not sent again, and it is in the archive of %s", m.Msg, who)
				}
			}
		}
	}
}

// everyDevice (P3): every device of both accounts has every accepted message, but the one that wrote it.
func (w *world) everyDevice() {
	of := map[string][]string{}
	for _, name := range w.names {
		if w.devices[name].quiet {
			of[account(name)] = append(of[account(name)], name)
		}
	}
	for _, m := range w.written {
		if m.known < 0 || m.refused {
			continue
		}
		for _, who := range [2]string{m.From(), m.To()} {
			for _, name := range of[who] {
				if name != m.Client() && !w.devices[name].has[m.Msg] {
					w.fail(P3, "%q was %s, and %s never got it", m.Msg, m.how, name)
				}
			}
		}
	}
}

// once (P4): an archive holds a message once.
func (w *world) once() {
	for _, a := range w.archives {
		times := map[Msg]int{}
		for _, it := range a.truth {
			if w.messages[it.msg] == nil {
				continue
			}
			if times[it.msg]++; times[it.msg] == 2 {
				w.fail(P4, "%q, sent %d times, is in the archive of %s more than once", it.msg, w.messages[it.msg].tries, a.account)
			}
		}
	}
}

// order (P5): on its way, first things come first, in every archive and on every stream. What comes again does not count.
func (w *world) order() {
	check := func(where, name string, n int, at func(int) Msg) {
		last, seen := map[string]int{}, make(map[Msg]bool, n)
		for i := range n {
			m := at(i)
			if m == "" || seen[m] {
				continue
			}
			seen[m] = true
			if way := m.Way(); m.N() < last[way] {
				w.fail(P5, "%s %s has %q after number %d", where, name, m, last[way])
			} else {
				last[way] = m.N()
			}
		}
	}
	for _, a := range w.archives {
		check("the archive of", a.account, len(a.truth), func(i int) Msg { return a.truth[i].msg })
	}
	for _, s := range w.list {
		check("a stream of", s.client, len(s.got), func(i int) Msg { return s.got[i].msg })
	}
}

// ids (P6): a message has one stanza-id in an account, on every copy and in the archive, and no other message has it.
func (w *world) ids() {
	type key struct{ account, of string }
	id, owner := map[key]string{}, map[key]Msg{}
	for _, e := range w.seen {
		if w.messages[e.Msg] == nil {
			continue
		}
		if len(e.IDs) != 1 || e.IDs[0] == "" {
			w.fail(P6, "%s got %q with %d ids: %q", e.Client, e.Msg, len(e.IDs), e.IDs)
			continue
		}
		who := account(e.Client)
		k := key{who, string(e.Msg)}
		if before, ok := id[k]; ok && before != e.IDs[0] {
			w.fail(P6, "%s knows %q as %s, and then as %s", e.Client, e.Msg, before, e.IDs[0])
		}
		id[k] = e.IDs[0]
		k = key{who, e.IDs[0]}
		if before, ok := owner[k]; ok && before != e.Msg {
			w.fail(P6, "in the account %s the id %s is that of %q and of %q", who, e.IDs[0], before, e.Msg)
		}
		owner[k] = e.Msg
	}
}

// pages (P7): every reading of an archive is a stretch of it without a gap, and one that came to the end holds whatever
// was accepted before it was asked for.
func (w *world) pages() {
	for _, a := range w.archives {
		earliest := w.earliest(a)
		for _, k := range a.walks {
			next, ok := 0, true
			if k.after != "" {
				next, ok = a.pos[k.after]
				next++
			}
			if !ok {
				w.fail(P7, "%s read on after %s, which is no id of the archive", k.client, k.after)
				continue
			}
			if !w.stretch(a, k, next) {
				continue
			}
			if end := next + len(k.items); k.all && end < len(a.truth) && earliest[end] < k.asked {
				i := slices.IndexFunc(a.truth[end:], func(it item) bool { return w.knownBefore(it, k.asked) })
				w.fail(P7, "%s read its archive to the end, and %q, accepted before, was not there", k.client, a.truth[end+i].msg)
			}
		}
	}
}

// stretch tells whether a walk is a part of the archive from the place next on.
func (w *world) stretch(a *archive, k *walk, next int) bool {
	for i, it := range k.items {
		if next+i >= len(a.truth) || a.truth[next+i] != it {
			w.fail(P7, "%s read %q where %s", k.client, it.msg, a.at(next+i))
			return false
		}
	}
	return true
}

// at says in words what an archive holds at a place.
func (a *archive) at(i int) string {
	if i >= len(a.truth) {
		return "the archive of " + a.account + " ends"
	}
	return "the archive of " + a.account + " has " + string(a.truth[i].msg)
}

func (w *world) knownBefore(it item, t time.Duration) bool {
	m := w.messages[it.msg]
	return m != nil && m.known >= 0 && m.known < t
}

// earliest is, for each place of an archive, when the first of what stands there and behind was known to be accepted.
func (w *world) earliest(a *archive) []time.Duration {
	list := make([]time.Duration, len(a.truth))
	least := time.Duration(1<<63 - 1)
	for i := len(a.truth) - 1; i >= 0; i-- {
		if m := w.messages[a.truth[i].msg]; m != nil && m.known >= 0 {
			least = min(least, m.known)
		}
		list[i] = least
	}
	return list
}

// absence (P14): after an orderly stop every client that comes back does so within 10 seconds, however long the server takes to start.
func (w *world) absence() {
	for _, stop := range w.stops {
		start := time.Duration(-1)
		for _, t := range w.starts {
			if t > stop {
				start = t
				break
			}
		}
		back := map[string]bool{}
		for _, e := range w.returns {
			if start >= 0 && e.At > start && !back[e.Client] && w.devices[e.Client].quiet {
				back[e.Client] = true
				if e.At-stop > w.most {
					w.fail(P14, "the server stopped, and %s was without it for %v", e.Client, e.At-stop)
				}
			}
		}
	}
}
