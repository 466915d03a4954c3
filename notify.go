package main

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// supervisor is the one who has started the server and wants to know how it is: systemd, see sd_notify(3). The nil
// supervisor is nobody, who hears nothing.
type supervisor struct {
	conn  net.Conn
	log   *slog.Logger
	watch time.Duration // how often it wants a sign of life; 0: never
}

// newSupervisor finds in the environment whether there is a supervisor. That it cannot be reached is no reason not to
// serve.
func (p *program) newSupervisor(log *slog.Logger) *supervisor {
	name := p.getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	conn, err := net.Dial("unixgram", name) // "@" begins the name of an abstract one
	if err != nil {
		log.Warn("whoever started the server is not told how it is", slog.Any("err", err))
		return nil
	}
	s := &supervisor{conn: conn, log: log}
	usec, err := strconv.ParseInt(p.getenv("WATCHDOG_USEC"), 10, 64)
	pid := p.getenv("WATCHDOG_PID")
	if err == nil && usec > 0 && (pid == "" || pid == strconv.Itoa(os.Getpid())) {
		s.watch = max(time.Duration(usec)*time.Microsecond/2, time.Millisecond)
	}
	return s
}

// say sends assignments such as READY=1.
func (s *supervisor) say(lines ...string) {
	if s == nil {
		return
	}
	_ = s.conn.SetWriteDeadline(time.Now().Add(time.Second))
	if _, err := s.conn.Write([]byte(strings.Join(lines, "\n"))); err != nil {
		s.log.Warn("whoever started the server was not told how it is", slog.Any("err", err))
	}
}

// ready says that clients can connect.
func (s *supervisor) ready(status string) { s.say("READY=1", "STATUS="+status) }

// reloading says that the configuration is read again; ready ends that.
func (s *supervisor) reloading() {
	s.say("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", monotonic().Microseconds()))
}

// stopping says that the server is on its way out, and why.
func (s *supervisor) stopping(why string) { s.say("STOPPING=1", "STATUS="+why) }

// alive returns a clock that says when a sign of life is due; nil when none ever is.
func (s *supervisor) alive() (due <-chan time.Time, stop func()) {
	if s == nil || s.watch == 0 {
		return nil, func() {}
	}
	t := time.NewTicker(s.watch)
	return t.C, t.Stop
}

func (s *supervisor) close() {
	if s != nil {
		_ = s.conn.Close()
	}
}
