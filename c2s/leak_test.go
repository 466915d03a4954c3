package c2s_test

import (
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"parley/imtest"
)

// TestConnectAbort: connections that break off at any point, in any way, leave nothing behind (catalogue C21).
func TestConnectAbort(t *testing.T) {
	cycles := 5
	if os.Getenv("PARLEY_LONG") != "" {
		cycles = 300
	}
	for _, tr := range imtest.Transports() {
		t.Run(string(tr), func(t *testing.T) {
			s := imtest.Start(t, imtest.Options{Transport: tr})
			s.Account("alice", "bob")
			cut := []struct {
				name string
				how  func(*peer)
			}{
				{"closed", (*peer).close},
				{"reset", reset},
				{"in the middle of an element", func(p *peer) { p.send("<message to='bob@localhost'><body>x"); p.close() }},
				{"in the middle of a header", func(p *peer) { p.send("<stream:stream xmlns='jabb"); reset(p) }},
				{"stream closed, not read", func(p *peer) { p.send("</stream:stream>"); p.close() }},
				{"error, not read", func(p *peer) { p.send("<<"); p.close() }},
			}
			round := func(n int) {
				for range n {
					for _, x := range points() {
						for _, c := range cut {
							if x.on(tr) {
								p := dial(t, s)
								x.reach(p)
								c.how(p)
							}
						}
					}
				}
			}
			round(1)
			before := settled(s)
			round(cycles)
			after := settled(s)
			if after > before+2 {
				t.Errorf("%d goroutines before, %d after:\n%s", before, after, stacks())
			}
			if waiting, all := s.Clients().Counts(); waiting+all+s.Clients().Networks() != 0 {
				t.Errorf("%d connections are still counted", all)
			}
			a, err := s.Clients().Hall.Account(t.Context(), "alice")
			if err != nil || len(a.Sessions()) != 0 || len(s.Clients().Hall.Online()) != 0 {
				t.Errorf("sessions left: %v, online: %v (%v)", a.Sessions(), s.Clients().Hall.Online(), err)
			}
		})
	}
}

// reset breaks a connection so that the other side finds an error and not its end.
func reset(p *peer) {
	nc := p.nc
	if tc, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc = tc.NetConn()
	}
	if tc, ok := nc.(*net.TCPConn); ok {
		_ = tc.SetLinger(0)
	}
	_ = nc.Close()
}

// settled waits until the server has let go of all connections, and counts goroutines.
func settled(s *imtest.Server) int {
	for range 500 {
		if _, all := s.Clients().Counts(); all == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	n := runtime.NumGoroutine()
	for range 20 { // those that have let go still have to return
		time.Sleep(5 * time.Millisecond)
		n = min(n, runtime.NumGoroutine())
	}
	return n
}

func stacks() string {
	buf := make([]byte, 64<<10)
	text := string(buf[:runtime.Stack(buf, true)])
	if i := strings.LastIndex(text, "\n\n"); i > 0 {
		text = text[:i]
	}
	return text
}
