package c2s_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"parley/c2s"
	"parley/imtest"
	"parley/store"
	"parley/store/memory"
	"parley/xmpp/stanza"
	"parley/xmpp/stream"
)

// TestShutdownUnderLoad: a server that stops while everybody writes tells everybody, closes every stream in order, and
// keeps all that was answered.
func TestShutdownUnderLoad(t *testing.T) {
	for _, tr := range imtest.Transports() {
		t.Run(string(tr), func(t *testing.T) {
			const people = 12
			engine := memory.New()
			s := imtest.Start(t, imtest.Options{Transport: tr, Engine: engine})
			answered := make([]atomic.Int64, people) // fences, each after ten messages
			var peers []*peer
			for i := range people {
				name := fmt.Sprintf("user%d", i)
				s.Account(name)
				p := dial(t, s)
				p.toSASL()
				p.signIn(name)
				p.bind("x")
				p.send("<presence/>")
				peers = append(peers, p)
			}
			var work sync.WaitGroup
			var busy atomic.Int64
			for i, p := range peers {
				n, fences := 0, 0
				p.pour(func() string {
					if n++; n%10 == 0 {
						fences++
						return fmt.Sprintf("<iq type='get' to='localhost' id='f%d'><ping xmlns='urn:xmpp:ping'/></iq>", fences)
					}
					return fmt.Sprintf("<message to='user%d@localhost' type='chat' id='m%d'><body>%d</body></message>", (i+n)%people, n, i)
				})
				work.Go(func() {
					for p.read() {
						for {
							before, after, found := strings.Cut(p.got, "' type='result'/>")
							if !found {
								break
							}
							p.got = after
							var k int64
							if _, err := fmt.Sscanf(before[strings.LastIndex(before, "id='f"):], "id='f%d", &k); err == nil {
								answered[i].Store(k)
								busy.Add(1)
							}
						}
					}
				})
			}
			for busy.Load() < 100 {
				time.Sleep(time.Millisecond)
			}
			began := time.Now()
			s.Stop()
			t.Logf("stopped in %v after %d answers", time.Since(began), busy.Load())
			work.Wait()
			for i, p := range peers {
				if !strings.HasSuffix(p.got, "<stream:error><system-shutdown xmlns='"+stream.NSError+"'/></stream:error></stream:stream>") {
					t.Errorf("%d: closed with …%q (%v)", i, p.got[max(0, len(p.got)-300):], p.err)
				}
			}
			s = imtest.Start(t, imtest.Options{Engine: engine})
			for i := range people {
				a, err := s.Clients().Hall.Account(t.Context(), fmt.Sprintf("user%d", i))
				if err != nil {
					t.Fatal(err)
				}
				sent := int64(0)
				for e, err := range s.Clients().Hall.Store().Log.Range(t.Context(), a.Owner(), store.Query{}) {
					if err != nil {
						t.Fatal(err)
					}
					if st := stanza.Must(string(e.Body)); e.Sent || st.From.Bare() == st.To.Bare() && st.From.Local() == a.JID().Local() {
						sent++
					}
				}
				if want := answered[i].Load() * 9; sent < want {
					t.Errorf("user%d: %d messages are kept, %d were answered for", i, sent, want)
				}
			}
		})
	}
}

// TestShutdownWithEverybody: connections at every point, some of which do not read, do not keep a server from stopping;
// those who listen are told.
func TestShutdownWithEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t, roomOptions{Config: c2s.Config{TLS: serverTLS(t)}}, "alice", "bob")
		var listeners []*peer
		var ends []<-chan struct{}
		for _, deaf := range []bool{false, true} {
			for _, x := range points() {
				mode := c2s.Insecure
				if x.clear {
					mode = c2s.StartTLS
				}
				p, done := r.connect(mode)
				x.reach(p)
				ends = append(ends, done)
				if !deaf && x.name != "instead of the header after TLS" {
					listeners = append(listeners, p)
				}
			}
		}
		bob, done := r.join("bob", "b", true)
		go bob.discard()
		ends = append(ends, done)
		alice, done := r.join("alice", "a", true)
		ends = append(ends, done)
		for n := range 200 { // to alice's devices, half of which are deaf
			bob.send(chat("alice", n))
		}
		go alice.discard()
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		began := time.Now()
		var told sync.WaitGroup
		for _, p := range listeners {
			told.Go(func() { p.refused(stream.SystemShutdown) })
		}
		r.Shutdown(ctx)
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("stopped after %v", took)
		}
		for _, done := range ends {
			<-done
		}
		told.Wait()
		if _, ok := <-func() chan bool {
			c := make(chan bool, 1)
			p, done := r.connect(c2s.Insecure)
			p.end()
			<-done
			c <- true
			return c
		}(); !ok {
			t.Error("unreachable")
		}
	})
}

// TestShutdownMeetsNewcomers: whoever comes while the server stops is either refused or waited for.
func TestShutdownMeetsNewcomers(t *testing.T) {
	for range 20 {
		r := newRoom(t, roomOptions{}, "alice")
		var newcomers sync.WaitGroup
		for range 20 {
			newcomers.Go(func() {
				p, _ := r.connect(c2s.Insecure)
				p.send(header)
				p.end()
			})
		}
		r.Shutdown(t.Context())
		if _, all := r.Counts(); all != 0 {
			t.Errorf("%d connections were not waited for", all)
		}
		newcomers.Wait()
	}
}
