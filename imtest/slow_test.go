package imtest_test

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"parley/imtest"
	"parley/store/sqlite"
	"parley/xmpp/stanza"
)

// slowLink forwards one connection to addr, and carries at most rate bytes per second towards the client.
func slowLink(t *testing.T, addr string, rate int) (at string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	t.Cleanup(func() {
		_ = ln.Close()
		work.Wait()
	})
	work.Go(func() {
		near, err := ln.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", addr)
		if err != nil {
			_ = near.Close()
			return
		}
		_ = far.(*net.TCPConn).SetReadBuffer(64 << 10)
		work.Go(func() {
			defer far.Close()
			p := make([]byte, 4<<10)
			for {
				n, err := near.Read(p)
				if err != nil {
					return
				}
				if _, err := far.Write(p[:n]); err != nil {
					return
				}
			}
		})
		defer near.Close()
		p := make([]byte, rate/50)
		for {
			n, err := far.Read(p)
			if err != nil {
				return
			}
			if _, err := near.Write(p[:n]); err != nil {
				return
			}
			time.Sleep(time.Duration(n) * time.Second / time.Duration(rate))
		}
	})
	return ln.Addr().String()
}

// TestSlowLink: somebody on a slow link comes back to many messages and contacts. All of them arrive, in order, without
// a disconnect; his client gets answers meanwhile, and the server's memory does not grow with what waits.
func TestSlowLink(t *testing.T) {
	messages, contacts, rate := 3000, 100, 512<<10
	if os.Getenv("PARLEY_LONG") != "" {
		messages, contacts, rate = 20000, 500, 64<<10
	}
	engine, err := sqlite.Open(t.TempDir(), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := imtest.Start(t, imtest.Options{Transport: imtest.TCP, Engine: engine})
	s.Account("slow", "writer")
	writer := s.Online(t, "writer/w")
	for i := range messages {
		writer.Send(fmt.Sprintf("<message to='slow@localhost' type='chat' id='m%d'><body>message number %d, and some words to fill the line</body></message>", i, i))
	}
	writer.Fence()
	var others []*imtest.Client
	for i := range contacts - 1 {
		name := fmt.Sprintf("contact%d", i)
		s.Account(name)
		c := s.Connect(t, name+"/c")
		c.Send("<presence/>")
		others = append(others, c)
	}
	for _, c := range others {
		c.Fence()
	}
	before := heap()
	slow := s.ConnectAt(t, slowLink(t, s.Facts().Listen[0], rate), "slow/s")
	began := time.Now()
	slow.Send("<presence/>")
	most, next, seen, pings := uint64(0), 0, map[string]bool{}, 0
	for next < messages || len(seen) < contacts {
		st := slow.Next()
		switch {
		case st.Kind == stanza.Message:
			if want := fmt.Sprintf("m%d", next); st.ID != want {
				t.Fatalf("message %s instead of %s", st.ID, want)
			}
			if next++; next%500 == 0 {
				most = max(most, heap())
				slow.Send(fmt.Sprintf("<iq type='get' to='localhost' id='ping%d'><ping xmlns='urn:xmpp:ping'/></iq>", next))
			}
		case st.Kind == stanza.Presence && st.From.Local() != "" && st.From != slow.JID:
			seen[st.From.String()] = true
		case st.Kind == stanza.IQ:
			pings++
		}
	}
	took := time.Since(began)
	if took > 15*time.Second && pings < messages/500/2 { // sooner than that, they come behind the messages
		t.Errorf("%d pings were answered while the messages came", pings)
	}
	grown := int64(most) - int64(before)
	if grown > 8<<20 {
		t.Errorf("memory grew by %d KiB while %d messages waited", grown>>10, messages)
	}
	t.Logf("%d messages and %d contacts at %d KiB/s in %v; memory %+d KiB", messages, contacts, rate>>10, took.Round(time.Millisecond), grown>>10)
}

// heap is what is in use, after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
