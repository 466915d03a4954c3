package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	"parley/auth"
	"parley/c2s"
	"parley/store"
)

// stopTime is how long an orderly stop may take in all; streams get the first half of it.
const stopTime = 8 * time.Second

// ErrRestart is what Serve returns when the server is to be started again.
var ErrRestart = errors.New("server: an administrator has asked for a restart")

// Facts are what a person wants to know of a server that has just been built.
type Facts struct {
	Data         string // directory
	DataNew      bool   // it was made now
	Domain       string
	Fingerprint  string // of the public key: SHA256:…
	KeyNew       bool   // the key was made now
	Listen       []string
	TLSListen    []string
	Insecure     []string
	TLSPortTaken bool // the port for direct TLS was not asked for, and is in use
	Took         time.Duration
	Registration bool // people can make their own accounts
	Accounts     int
	Lacking      int // of them, those that auth.legacy lets sign in with SCRAM-SHA-1, and that cannot yet
}

// Failed is closed when the store has failed. Serve then stops the server.
func (s *Server) Failed() <-chan struct{} { return s.store.Failed() }

// Facts says what New found and made.
func (s *Server) Facts() Facts { return s.facts }

// door is an open listener.
type door struct {
	net.Listener
	mode c2s.Mode
}

// openDoors opens all listeners for clients.
func (s *Server) openDoors(ctx context.Context) error {
	if s.carried {
		return nil
	}
	c := s.config
	addresses, asked := c.Addresses()
	var err error
	if s.facts.Listen, err = s.listen(ctx, addresses, asked, c.Port, c2s.StartTLS); err != nil {
		return err
	}
	if port, asked := c.DirectTLS(); port != 0 || c.Port == 0 {
		s.facts.TLSListen, err = s.listen(ctx, addresses, asked, port, c2s.Direct)
		switch {
		case err != nil && !asked && errors.Is(err, syscall.EADDRINUSE):
			s.facts.TLSPortTaken = true
			s.log.Warn("the port for direct TLS is in use; going on without it", slog.Int("port", port))
		case err != nil:
			return err
		}
	}
	if c.InsecureListen != "" {
		ln, err := s.open(ctx, c.InsecureListen, c2s.Insecure)
		if err != nil {
			return err
		}
		s.facts.Insecure = []string{ln.Addr().String()}
	}
	return nil
}

// listen opens one port on several addresses. Those that were not asked for may be missing on this computer, but not
// all of them.
func (s *Server) listen(ctx context.Context, addresses []string, asked bool, port int, mode c2s.Mode) ([]string, error) {
	var opened []string
	var first error
	for _, a := range addresses {
		ln, err := s.open(ctx, net.JoinHostPort(a, strconv.Itoa(port)), mode)
		if err != nil {
			if first == nil {
				first = err
			}
			if asked || !errors.Is(err, syscall.EADDRNOTAVAIL) && !errors.Is(err, syscall.EAFNOSUPPORT) {
				return nil, err
			}
			continue
		}
		opened = append(opened, ln.Addr().String())
		if port == 0 { // any free one, and the same on all addresses
			port = ln.Addr().(*net.TCPAddr).Port
		}
	}
	if len(opened) == 0 {
		return nil, first
	}
	return opened, nil
}

func (s *Server) open(ctx context.Context, address string, mode c2s.Mode) (net.Listener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	s.doors = append(s.doors, door{ln, mode})
	return ln, nil
}

// Clients is the part of the server that carries clients; tests give it connections of their own.
func (s *Server) Clients() *c2s.Server { return s.clients }

// Serve serves until ctx ends, then stops in order: no new connections, every client told, what is queued written,
// the database closed. It returns an error when the store broke, in which case nothing more was promised to anybody, and
// ErrRestart itself when an administrator wanted a restart and everything was closed in order.
func (s *Server) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	base, cut := context.WithCancel(context.WithoutCancel(ctx)) // outlives ctx: streams end in order
	defer cut()
	var work sync.WaitGroup
	for _, d := range s.doors {
		work.Go(func() {
			if err := s.clients.Serve(base, d.Listener, d.mode); err != nil {
				cancel(fmt.Errorf("server: %w", err))
			}
		})
	}
	if s.control != nil {
		work.Go(func() {
			if err := ServeControl(ctx, s.control, s.admin, s.backups); err != nil {
				s.log.Error("control socket", slog.Any("err", err))
			}
		})
	}
	work.Go(func() { s.team.Run(ctx) })
	work.Go(func() { s.archive.Run(ctx) })
	work.Go(func() {
		s.admin.Run(ctx, func(restart bool) {
			if restart {
				cancel(ErrRestart)
			}
			cancel(nil)
		})
	})
	work.Go(func() { s.checkpoint(ctx) })
	select {
	case <-ctx.Done():
	case <-s.store.Failed():
		cancel(fmt.Errorf("server: %w", s.store.Err()))
	}
	<-ctx.Done()
	err := context.Cause(ctx)
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	stop, done := context.WithTimeout(base, stopTime)
	defer done()
	s.log.Info("stopping")
	s.stop(stop)
	work.Wait()
	if closed := s.close(stop); closed != nil {
		err = errors.Join(err, closed)
	}
	s.log.Info("stopped")
	return err
}

// Turns returns once every account has had a moment in which it was nobody's turn: a sign that nothing hangs.
func (s *Server) Turns() { s.hall.Turns() }

// checkpoint writes about every second how far messages were delivered, and ends sessions whose time is over.
func (s *Server) checkpoint(ctx context.Context) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if err := s.hall.Checkpoint(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrFull) {
				s.log.Warn("how far messages were delivered was not written down", slog.Any("err", err))
			}
		}
	}
}

// stop closes the listeners and ends the streams.
func (s *Server) stop(ctx context.Context) {
	for _, d := range s.doors {
		_ = d.Close()
	}
	s.hall.Stopping()
	ctx, cancel := context.WithTimeout(ctx, stopTime/2)
	defer cancel()
	s.clients.Shutdown(ctx)
	if err := s.hall.Suspend(ctx); err != nil {
		s.log.Error("sessions will not be where they were", slog.Any("err", err))
	}
}

// close closes what is open. It is also what New does when it cannot go on.
func (s *Server) close(ctx context.Context) error {
	for _, d := range s.doors {
		_ = d.Close()
	}
	if s.control != nil {
		_ = s.control.Close()
	}
	if s.store == nil {
		return nil
	}
	err := s.store.Close(ctx)
	s.commitDone()
	s.committer.Wait()
	if err != nil {
		return fmt.Errorf("server: close the store: %w", err)
	}
	return nil
}

// tlsConfig is what TLS listeners offer: TLS 1.2 and 1.3, no renegotiation, no early data (RFC 9325).
func tlsConfig(pair func() *tls.Certificate) *tls.Config {
	return &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair(), nil },
		MinVersion:     tls.VersionTLS12, NextProtos: []string{"xmpp-client"},
		CipherSuites: []uint16{ // of TLS 1.2; those of 1.3 are all good
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
	}
}

// Accounts are the server's accounts.
func (s *Server) Accounts() *auth.Accounts { return s.accounts }
