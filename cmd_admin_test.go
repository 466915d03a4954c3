package main

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// open connects to a server and returns a function that waits until the server closes.
func (s *process) open() (closed func()) {
	s.t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.port))
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"); err != nil {
		s.t.Fatal(err)
	}
	conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); err != nil { // a connection that is still to be accepted is cut
		s.t.Fatal(err)
	}
	return func() {
		defer conn.Close()
		if text, err := io.ReadAll(conn); err != nil || !strings.Contains(string(text), "system-shutdown") {
			s.t.Errorf("the server did not say goodbye: %v, %s", err, text)
		}
	}
}

// TestAdmin runs the commands against the real server.
func TestAdmin(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s := startServer(t, data)
	for _, name := range []string{"alice", "bob"} {
		if r := runCLI(t, nil, "", "user", "add", name, "--make-password", "--data", data); r.code != 0 {
			t.Fatal(r.err)
		}
	}
	for _, step := range []struct {
		args     []string
		code     int
		out, err string
	}{
		{[]string{"registered"}, 0, "2 registered accounts.\n  alice@localhost\n  bob@localhost\n", ""},
		{[]string{"registered", "max=1"}, 0, "2 registered accounts, of which the first 1 are listed.\n  alice@localhost\n", ""},
		{[]string{"registered", "max=few"}, 2, "", "error: how many to list is a number, or none\n  fix  parley admin registered [max=MAX]\n"},
		{[]string{"online"}, 0, "0 online accounts.\n", ""},
		{[]string{"online", "--json"}, 0, "{\"note\":\"0 online accounts.\",\"values\":{\"onlineuserjids\":[]}}\n", ""},
		{[]string{"last-seen", "user=alice"}, 0, "alice@localhost has never been here.\n", ""},
		{[]string{"last-seen", "user=alcie"}, 1, "", "error: nobody here is called alcie\n  fix  all of them:  parley user list\n"},
		{[]string{"announce", "text=Cake\nin the kitchen"}, 0, "Announced to 0 people online.\n", ""},
		{[]string{"announce", "text= "}, 2, "", "error: parley admin announce needs text=\n  fix  parley admin announce text=TEXT\n"},
		{[]string{"announce-all", "text=Cake"}, 0, "Announced to 2 accounts; who is away gets it at the next sign-in.\n", ""},
		{[]string{"edit-motd", "text=Hello"}, 1, "", "error: there is no message of the day\n"},
		{[]string{"set-motd", "text=Hello"}, 0, "The message of the day is set; everybody gets it once.\n", ""},
		{[]string{"delete-motd"}, 0, "The message of the day is deleted.\n", ""},
		{[]string{"end-session", "user=alice", "user=bob@localhost"}, 0, "Ended 0 sessions.\n", ""},
		{[]string{"shutdown", "delay=soon"}, 2, "", "error: the delay is a number of seconds from 0 to 86400\n  fix  parley admin shutdown [delay=DELAY] [text=TEXT]\n"},
	} {
		r := runCLI(t, nil, "", append(append([]string{"admin"}, step.args...), "--data", data)...)
		if r.code != step.code || r.out != step.out || r.err != step.err {
			t.Errorf("admin %q: exit %d, want %d\n%s%s\nwant\n%s%s", step.args, r.code, step.code, r.out, r.err, step.out, step.err)
		}
	}
	if r := runCLI(t, nil, "", "admin", "help"); r.code != 0 || !strings.Contains(r.out, "\n  announce text=TEXT\n") {
		t.Errorf("%+v", r)
	}
	closed := s.open()
	r := runCLI(t, nil, "", "admin", "shutdown", "--data", data)
	if r.code != 0 || r.out != "The server stops now.\n" {
		t.Errorf("%+v", r)
	}
	closed()
	if err := <-s.done; err != nil {
		t.Errorf("the server ended with %v\n%s", err, s.log.String())
	}
	r = runCLI(t, nil, "", "admin", "online", "--data", data)
	checkFailure(t, r, 1, "error: no server is running on "+data+"\n", "  why  parley admin online is for a running server\n")
}

// TestRestart: the same process runs the program again, with the same words, on the same data; a signal ends a server
// that waits for its end.
func TestRestart(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s := startServer(t, data)
	if r := runCLI(t, nil, "", "user", "add", "alice", "--make-password", "--data", data); r.code != 0 {
		t.Fatal(r.err)
	}
	closed := s.open()
	if r := runCLI(t, nil, "", "admin", "restart", "--data", data); r.code != 0 || r.out != "The server restarts now.\n" {
		t.Fatalf("%+v", r)
	}
	closed()
	for until := time.Now().Add(20 * time.Second); ; {
		r := runCLI(t, nil, "", "admin", "registered", "--data", data)
		if r.code == 0 && strings.Contains(r.out, "alice@localhost") {
			break
		}
		if time.Now().After(until) {
			t.Fatalf("the server does not come again: %+v", r)
		}
	}
	closed = s.open() // on the same port
	if r := runCLI(t, nil, "", "admin", "shutdown", "delay=3600", "--data", data); r.code != 0 || r.out != "The server stops in 3600 seconds.\n" {
		t.Errorf("%+v", r)
	}
	s.stop()
	closed()
	if log := s.log.String(); strings.Count(log, "msg=ready") != 2 || strings.Count(log, "msg=stopped") != 2 {
		t.Errorf("not one life after the other:\n%s", log)
	}
}
