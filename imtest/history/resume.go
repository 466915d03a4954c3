package history

import "time"

// checkpoint is how long before a crash a message may have come that is repeated after it: the server's checkpoint is at
// most a second old, and a busy machine has some seconds more.
const checkpoint = 6 * time.Second

// gaps (P3, P13): what a session is given is a stretch of its account's archive without a gap, but for what the device
// itself wrote; and nothing comes twice. A loss over a resumption refutes P13, any other P3.
func (w *world) gaps() {
	for _, s := range w.list {
		w.repeated(s)
		if a := w.audited(account(s.client)); a != nil && s.ready >= 0 {
			w.gap(s, a)
		}
	}
}

// repeated: nothing comes again that was received, unless the server crashed in between.
func (w *world) repeated(s *session) {
	type key struct {
		msg Msg
		via Via
	}
	before := make(map[key]receipt, len(s.got))
	for _, r := range s.got {
		k := key{r.msg, r.via}
		b, again := before[k]
		if !again {
			before[k] = r
			continue
		}
		// A crash is seen late: what the connection still brought after it was sent before it.
		switch {
		case !between(w.crashes, b.since, r.at):
			w.fail(P13, "%s got %q again in session %d, and the server had not crashed", s.client, r.msg, s.number)
		case !between(w.crashes, b.since, b.at+checkpoint):
			w.fail(P13, "%s got %q again in session %d, which it had more than %v before the crash", s.client, r.msg, s.number, checkpoint)
		}
	}
}

// gap looks for what a session was not given between the first and the last that it got since it was ready; to the end
// of the archive, if it lives.
func (w *world) gap(s *session, a *archive) {
	got := make(map[Msg]time.Duration, len(s.got))
	from, to := len(a.truth), -1
	for _, r := range s.got {
		if _, again := got[r.msg]; again {
			continue
		}
		got[r.msg] = r.at
		if i, ok := a.of[r.msg]; ok {
			to = max(to, i)
			if r.at > s.ready {
				from = min(from, i)
			}
		}
	}
	if d := w.devices[s.client]; d.quiet && d.live == s && !s.over && !s.lost {
		to = len(a.truth) - 1
	}
	for from > 0 && w.writtenAfter(a.truth[from-1].msg, s.ready) {
		from--
	}
	last, missing := s.ready, []*message(nil)
	for i := from; i <= to; i++ {
		m := w.messages[a.truth[i].msg]
		if m == nil || m.Client() == s.client || m.known < 0 {
			continue
		}
		if at, ok := got[m.Msg]; ok {
			w.missed(s, missing, last, at)
			last, missing = at, nil
			continue
		}
		if m.From() == account(s.client) && m.first < s.ready {
			continue // copies begin with the session
		}
		missing = append(missing, m)
	}
	w.missed(s, missing, last, 1<<63-1)
}

// missed reports what should have come between two times.
func (w *world) missed(s *session, list []*message, from, to time.Duration) {
	sentence := P3
	if between(s.resumes, from, to) {
		sentence = P13
	}
	for _, m := range list {
		w.fail(sentence, "%q was %s, and session %d of %s, which got what is around it, did not get it", m.Msg, m.how, s.number, s.client)
	}
}

// writtenAfter tells whether a message was sent for the first time after t.
func (w *world) writtenAfter(m Msg, t time.Duration) bool {
	x := w.messages[m]
	return x != nil && x.first > t
}
