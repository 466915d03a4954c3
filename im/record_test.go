package im

import (
	"bytes"
	"context"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"parley/store"
	"parley/store/memory"
	"parley/xmpp/stanza"
	"parley/xmpp/stream"
)

// everybody is a directory in which a name's first letter is its number.
type everybody struct{}

func (everybody) Owner(localpart string) (store.Owner, bool) { return store.Owner(localpart[0]), true }

// resting is a hall over a memory, with sessions that have no connection.
func resting(t *testing.T, exts ...Extension) (*Server, *memory.Engine) {
	t.Helper()
	engine := memory.New()
	st := store.New(engine, store.Options{})
	done := make(chan struct{})
	go func() { defer close(done); _ = st.Run(context.Background()) }()
	t.Cleanup(func() { _ = st.Close(context.Background()); <-done })
	v, err := New(Config{
		Domain: "localhost", Store: st, Directory: everybody{}, Log: slog.New(slog.DiscardHandler),
		Settings: Settings{Sessions: 20, Outbox: 256 << 10, Resume: time.Minute},
	})
	if err == nil {
		err = v.Use(exts...)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v, engine
}

// silent is a connection that takes nothing.
type silent struct{}

func (silent) Wake()             {}
func (silent) Write()            {}
func (silent) End(*stream.Error) {}

func managed(t *testing.T, v *Server, name string) *Session {
	t.Helper()
	s, err := v.Bind(t.Context(), name, "desk")
	if err != nil {
		t.Fatal(err)
	}
	s.Attach(context.Background(), silent{})
	if err := s.Manage(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	s.durably(t)
	if p, _ := s.Next(t.Context(), nil); !bytes.Contains(p, []byte("<enabled")) {
		t.Fatalf("written: %s", p)
	}
	return s
}

func (s *Session) durably(t *testing.T) {
	t.Helper()
	if err := s.srv.store.Wait(t.Context(), s.srv.store.Mark()); err != nil {
		t.Fatal(err)
	}
}

// gets puts n messages of the Log into the outbox, as they are given, and has them written.
func (s *Session) gets(t *testing.T, n int) {
	t.Helper()
	for range n {
		s.given(t)
	}
	s.Next(t.Context(), nil)
}

func (s *Session) given(t *testing.T) {
	t.Helper()
	a := s.account
	if err := a.withTurn(t.Context(), func(j store.Journey) error {
		d := a.begin(Delivery{Stanza: stanza.Must("<message from='bob@localhost/b' to='alice@localhost' type='chat'><body>hi</body></message>"), Account: a, Journey: j})
		defer a.end()
		if err := a.Keep(d, d.Stanza.From, false); err != nil {
			return err
		}
		return a.give(t.Context(), d, s, d.Stanza, d.Stanza.To, d.ID)
	}); err != nil {
		t.Fatal(err)
	}
	s.durably(t)
}

func (s *Session) written(t *testing.T) standing {
	t.Helper()
	p, err := s.srv.store.KV.Get(t.Context(), s.account.owner, standingKey(s.number))
	if err != nil {
		t.Fatal(err)
	}
	st, err := readStanding(p)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// TestStandingIsKept: what is written of how far a session is, is read as it was.
func TestStandingIsKept(t *testing.T) {
	want := standing{at: 9, in: 1<<32 - 1, out: 7, cursor: 8, exact: true, sent: []piece{
		{what: what{id: 5, moves: true, message: true}}, {what: what{}, n: 3}, {what: what{id: 4, message: true}}, {what: what{message: true, refusal: true}, n: 2, waits: true}, {what: what{id: 900}},
	}, bytes: []byte("abcde")}
	p := want.append(nil)
	got, err := readStanding(p)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, %v\nwant %+v", got, err, want)
	}
	for n := range p { // cut off anywhere, it is no standing and no harm
		if _, err := readStanding(p[:n]); err == nil {
			t.Errorf("%d bytes of %d are a standing", n, len(p))
		}
	}
}

// TestManageBehindSeveralBatches: what waits for different batches when stream management begins is not counted.
func TestManageBehindSeveralBatches(t *testing.T) {
	o := newOutbox(1 << 20)
	put := func(mark store.Mark, w what, s string) {
		o.append(mark, w, true, func(p []byte) []byte { return append(p, s...) })
	}
	put(1, what{}, "<iq a/>")
	put(2, what{}, "<iq b/>")
	o.manage()
	put(2, what{plain: true}, "<enabled/>")
	put(3, what{}, "<iq c/>")
	for mark, want := range []string{"<iq a/>", "<iq b/><enabled/>", "<iq c/><r xmlns='urn:xmpp:sm:3'/>"} {
		if p, _, _ := o.take(store.Mark(mark+1), nil); string(p) != want {
			t.Errorf("batch %d: written %s", mark+1, p)
		}
	}
	if k := o.acks; k.opening != 0 || len(k.sent) != 1 || string(k.kept) != "<iq c/>" {
		t.Errorf("%+v, kept %s", k, k.kept)
	}
}

// TestStandingIsOneMoment: an acknowledgement comes before it or behind it.
func TestStandingIsOneMoment(t *testing.T) {
	v, _ := resting(t)
	s := managed(t, v, "alice")
	s.gets(t, 3)
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for h := uint32(0); h <= 3; h++ {
			time.Sleep(time.Millisecond)
			if err := s.Acknowledged(h); err != nil {
				t.Error(err)
			}
		}
		close(stop)
	}()
	for over := false; !over; {
		select {
		case <-stop:
			over = true
		default:
		}
		if err := s.writeNow(t.Context()); err != nil {
			t.Fatal(err)
		}
		if st := s.written(t); int(st.out)+len(st.sent) != 3 {
			t.Fatalf("of 3 stanzas %d are acknowledged and %d are not", st.out, len(st.sent))
		}
	}
	<-done
}

// TestCountIsNeverOlderThanTheLog: what an entry has counted stays counted, whoever writes meanwhile.
func TestCountIsNeverOlderThanTheLog(t *testing.T) {
	v, _ := resting(t)
	s := managed(t, v, "alice")
	if err := s.account.withTurn(t.Context(), func(j store.Journey) error {
		d := s.account.begin(Delivery{Stanza: stanza.Must("<message/>"), Account: s.account, Session: s, Journey: j})
		defer s.account.end()
		return s.account.Keep(d, s.jid, true)
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.writeNow(t.Context()); err != nil { // before the stanza has been handled to the end
		t.Fatal(err)
	}
	if st := s.written(t); st.in != 1 || st.at != 1 || !s.counted(1) {
		t.Errorf("%d stanzas at place %d, while the entry says 1", st.in, st.at)
	}
}

// TestCountsAreFew: a client that sends and never asks costs nothing for it.
func TestCountsAreFew(t *testing.T) {
	k := new(acks)
	for i := range 1000 {
		k.count(store.Mark(i+1), store.Mark(max(0, i-1)), uint32(i+1))
	}
	if len(k.counts) > 3 {
		t.Errorf("%d counts are kept", len(k.counts))
	}
}

// TestEndWhileHandedOver: a session that is to end ends, also on its way from one connection to the next.
func TestEndWhileHandedOver(t *testing.T) {
	v, _ := resting(t)
	s := managed(t, v, "alice")
	done := make(chan error)
	go func() {
		_, _, err := v.Resume(context.Background(), "alice", s.id, 0)
		done <- err
	}()
	for !s.Wanted() {
		time.Sleep(time.Millisecond)
	}
	s.End(&stream.Error{Condition: stream.NotAuthorized})
	if !s.Ended() {
		t.Error("it does not know that it is to end")
	}
	s.Rest(time.Time{}) // the connection did not see it in time
	if err := <-done; err == nil {
		t.Error("it was resumed")
	}
	if !s.closed {
		t.Error("it is not closed")
	}
}

// TestRestingSessionOverflows: beyond its bound it catches up from the Log, and presence has room all the same.
func TestRestingSessionOverflows(t *testing.T) {
	v, _ := resting(t)
	s := managed(t, v, "alice")
	el := stanza.Must("<presence/>")
	s.presence.Store(el)
	s.Rest(time.Time{})
	for range maxSent + 10 {
		s.given(t)
	}
	s.account.turnDo(func() {
		if !s.catching {
			t.Error("it does not catch up")
		}
	})
	if !s.push(stanza.Must("<presence from='bob@localhost/b'/>"), s.jid, 0) || s.Ended() {
		t.Error("there is no room for a presence")
	}
	r, _, err := v.Resume(t.Context(), "alice", s.id, 0)
	if err != nil {
		t.Fatal(err)
	}
	r.Attach(context.Background(), silent{})
	n := 0
	for {
		p, _ := r.Next(t.Context(), nil)
		if p == nil {
			break
		}
		n += strings.Count(string(p), "<message")
		r.durably(t)
	}
	if n != maxSent+10 {
		t.Errorf("%d messages after the resumption", n)
	}
}

// TestResumingTakesLittleMemory: of what a client has not acknowledged, a session reads no more from the Log than it keeps.
func TestResumingTakesLittleMemory(t *testing.T) {
	v, _ := resting(t)
	s := managed(t, v, "alice")
	s.presence.Store(stanza.Must("<presence/>"))
	body := strings.Repeat("x", 20<<10)
	const n = 200
	for i := range n {
		a := s.account
		_ = a.withTurn(t.Context(), func(j store.Journey) error {
			d := a.begin(Delivery{Stanza: stanza.Must("<message from='bob@localhost/b' to='alice@localhost' type='chat'><body>" + body + "</body></message>"), Account: a, Journey: j})
			defer a.end()
			if err := a.Keep(d, d.Stanza.From, false); err != nil {
				t.Fatal(i, err)
			}
			return a.give(t.Context(), d, s, d.Stanza, d.Stanza.To, d.ID)
		})
		s.durably(t)
		s.Next(t.Context(), nil)
	}
	s.Rest(time.Time{})
	r, _, err := v.Resume(t.Context(), "alice", s.id, 0)
	if err != nil {
		t.Fatal(err)
	}
	if size := r.out.size(); size > 4*maxKept {
		t.Errorf("%d bytes wait", size)
	}
	r.Attach(context.Background(), silent{})
	got := 0
	for {
		p, _ := r.Next(t.Context(), nil)
		if p == nil {
			break
		}
		got += strings.Count(string(p), "<message")
	}
	if got != n {
		t.Errorf("%d messages instead of %d", got, n)
	}
}

// FuzzReadStanding: whatever is read is written as it was, and nothing else is read.
func FuzzReadStanding(f *testing.F) {
	for _, st := range []standing{{}, {at: 9, in: 1<<32 - 1, out: 7, cursor: 8, exact: true, sent: []piece{{what: what{id: 5, moves: true}}, {what: what{message: true}, n: 2}}, bytes: []byte("ab")}} {
		f.Add(st.append(nil))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		st, err := readStanding(p)
		if err != nil {
			return
		}
		again, err := readStanding(st.append(nil))
		if err != nil || !reflect.DeepEqual(st, again) {
			t.Errorf("%x is read as %+v, and that as %+v, %v", p, st, again, err)
		}
	})
}

// woken counts how often it was woken.
type woken struct{ n int }

func (w *woken) Wake()             { w.n++ }
func (w *woken) Write()            { w.n++ }
func (w *woken) End(*stream.Error) {}

// TestFeedBeginsWithAnEmptyOutbox: a session that begins to catch up when its writer has just written all that there was is
// fed all the same.
func TestFeedBeginsWithAnEmptyOutbox(t *testing.T) {
	v, _ := resting(t)
	s, err := v.Bind(t.Context(), "alice", "desk")
	if err != nil {
		t.Fatal(err)
	}
	w := new(woken)
	s.Attach(context.Background(), w)
	s.out.limit = 1
	s.given(t)
	s.given(t) // does not fit
	for p := []byte{}; p != nil; {
		p, _ = s.Next(t.Context(), nil)
	}
	s.account.turnDo(func() {
		s.catching = false
		s.feeds.reset()
		s.catchUp(0)
	})
	before := w.n
	s.feedMe()
	if w.n != before+1 {
		t.Errorf("woken %d times", w.n-before)
	}
}
