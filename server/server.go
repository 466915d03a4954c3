// Package server is the wiring: New builds everything that `parley server` consists of, top to bottom, and Serve runs
// it until its context ends. It is the one place where the order of the extensions is a decision.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"parley/auth"
	"parley/c2s"
	"parley/config"
	"parley/ext/adhoc"
	"parley/ext/admin"
	"parley/ext/archive"
	"parley/ext/blocking"
	"parley/ext/carbons"
	"parley/ext/clock"
	"parley/ext/disco"
	"parley/ext/ping"
	"parley/ext/private"
	"parley/ext/register"
	"parley/ext/team"
	"parley/ext/vcard"
	"parley/ext/version"
	"parley/im"
	"parley/store"
	"parley/store/sqlite"
)

// Server is a whole Parley server.
type Server struct {
	// fixed after New
	config   config.Config
	version  string
	log      *slog.Logger
	store    *store.Store
	accounts *auth.Accounts
	lockout  *auth.Lockout
	hall     *im.Server
	team     *team.Team
	admin    *admin.Admin
	archive  *archive.Archive
	clients  *c2s.Server
	doors    []door
	control  net.Listener
	backups  *Backups // nil: not in the data directory
	facts    Facts
	kept     bool // in the data directory
	carried  bool // see Parts

	pair    atomic.Pointer[tls.Certificate] // what a TLS handshake begins with; what it points to is not changed
	timeout atomic.Int64                    // seconds, for disco
	running config.Config                   // config with what was reloaded; touched by build and Reload only

	committer  sync.WaitGroup
	commitDone context.CancelFunc
}

// manyContacts is from how many accounts on one contact list for all is worth a warning.
const manyContacts = 500

// Parts are what a test may put in the place of what New would make itself. The zero value is the real thing.
type Parts struct {
	Engine  store.Engine  // in place of SQLite in the data directory; no control socket then
	Store   store.Options // how the store behaves
	Version string        // of the program
	Carried bool          // no listeners: clients come by Clients().Carry alone

	First, Last []im.Extension // in front of the server's own and behind them: a test plants its faults there
}

// New builds a server and opens its listeners; version is that of the program. Nothing is accepted before Serve. An
// error leaves nothing open.
func New(ctx context.Context, c config.Config, version string, log *slog.Logger) (*Server, error) {
	return NewWith(ctx, c, log, Parts{Version: version})
}

// NewWith is New with parts of its own, for tests.
func NewWith(ctx context.Context, c config.Config, log *slog.Logger, parts Parts) (*Server, error) {
	began := time.Now()
	s := &Server{config: c, version: parts.Version, log: log, facts: Facts{Data: c.Data, Domain: c.Domain}}
	if err := s.build(ctx, parts); err != nil {
		_ = s.close(context.WithoutCancel(ctx))
		return nil, err
	}
	s.facts.Took = time.Since(began)
	return s, nil
}

// build is what New consists of, top to bottom.
func (s *Server) build(ctx context.Context, parts Parts) (err error) {
	s.kept, s.carried = parts.Engine == nil, parts.Carried
	if s.kept {
		_, err := os.Stat(filepath.Join(s.config.Data, sqlite.FileName))
		s.facts.DataNew = errors.Is(err, os.ErrNotExist)
	}
	if s.facts.DataNew { // before anything is made on the disk; else the database says for which domain
		if err := s.openDoors(ctx); err != nil {
			return err
		}
	}
	if err := s.openStore(ctx, parts); err != nil {
		return err
	}
	c, log := s.config, s.log
	s.accounts, err = auth.Open(ctx, s.store, auth.Options{Domain: c.Domain, Iterations: c.Auth.Iterations, Logger: log})
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	if err := s.accounts.UseLegacy(ctx, c.Auth.Legacy); err != nil {
		return fmt.Errorf("server: %w", err)
	}
	s.lockout, err = auth.OpenLockout(ctx, s.store, auth.LockoutOptions{
		Duration: time.Duration(c.BlockDuration) * time.Second, Scope: c.Lockout.Scope, Logger: log,
	})
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	if err := s.openHall(ctx, parts); err != nil {
		return err
	}
	c = s.config // with the domain that the data is for
	pair, made, err := s.certificate(c)
	if err != nil {
		return err
	}
	s.pair.Store(pair)
	s.facts.Fingerprint, s.facts.KeyNew = Fingerprint(pair), made
	s.clients = c2s.New(c2s.Config{
		Domain: c.Domain, Hall: s.hall, Accounts: s.accounts, Lockout: s.lockout, Legacy: c.Auth.Legacy,
		TLS: tlsConfig(s.pair.Load), Log: log, Settings: s.clientSettings(c),
	})
	s.running = c
	if !s.facts.DataNew {
		if err := s.openDoors(ctx); err != nil {
			return err
		}
	}
	if s.kept {
		if s.control, err = ListenControl(c.Data); err != nil {
			return err
		}
	}
	if n := s.accounts.Count(); n > manyContacts && s.config.Contacts == "everyone" {
		log.Warn("everybody is on everybody's contact list; with this many accounts signing in gets slow", slog.Int("accounts", n))
	}
	s.facts.Accounts, s.facts.Registration = s.accounts.Count(), c.RegistrationOpen()
	if c.Auth.Legacy {
		s.facts.Lacking = s.accounts.Lacking()
	}
	return nil
}

// openData opens the database of a data directory.
func openData(dir string, log *slog.Logger) (*sqlite.Engine, error) {
	if err := cutOff(dir); err != nil {
		return nil, err
	}
	_, err := os.Stat(filepath.Join(dir, keyName)) // made after the database, and never without one
	db, err := sqlite.Open(dir, sqlite.Options{Logger: log, Used: err == nil})
	if err == nil {
		_ = os.RemoveAll(filepath.Join(dir, stagingName)) // of a restore that was cut off when all was in its place
	}
	return db, err
}

// openStore opens the database and starts its committer, which runs until the store is closed.
func (s *Server) openStore(ctx context.Context, parts Parts) error {
	engine := parts.Engine
	if engine == nil {
		db, err := openData(s.config.Data, s.log)
		if err != nil {
			return fmt.Errorf("server: %w", err)
		}
		engine = db
	}
	opts := parts.Store
	opts.Logger = s.log
	s.store = store.New(engine, opts)
	if db, ok := engine.(*sqlite.Engine); ok {
		s.backups = &Backups{db: db, full: s.store.Full, dir: s.config.Data, version: s.version, log: s.log}
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.commitDone = cancel
	s.committer.Go(func() {
		if err := s.store.Run(run); err != nil && !errors.Is(err, context.Canceled) {
			s.log.Error("the store has stopped", slog.Any("err", err))
		}
	})
	domain, err := RecordDomain(ctx, s.store, s.config)
	if err != nil {
		return err
	}
	s.config.Domain, s.facts.Domain = domain, domain
	if s.config.Contacts, err = recordContacts(ctx, s.store, s.config); err != nil {
		return err
	}
	return nil
}

// openHall builds the hall and its extensions. The order is that in which they see a stanza.
func (s *Server) openHall(ctx context.Context, parts Parts) (err error) {
	c := s.config
	s.timeout.Store(int64(c.Timeout))
	everyone := s.accounts.Everyone
	if c.Contacts == "roster" {
		everyone = nil
	}
	s.hall, err = im.New(im.Config{
		Domain: c.Domain, Store: s.store, Directory: directory{s.accounts}, Everyone: everyone, Log: s.log,
		Locked:   func(localpart string) bool { a, _ := s.accounts.Lookup(localpart); return a.Locked },
		Settings: hallSettings(c),
	})
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	s.admin, err = admin.New(ctx, admin.Options{
		Accounts: s.accounts, Domain: c.Domain, Port: c.Port, Hall: s.hall, Logger: s.log,
		Unblock: func(ctx context.Context, name string) error { _, err := s.lockout.Unblock(ctx, name); return err },
		Seen:    func(o store.Owner) (time.Time, bool) { return s.team.Seen(o) },
	})
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	s.team, err = team.New(ctx, s.hall, team.Options{
		Accounts: s.accounts.Names, Broadcast: c.Broadcast.Enabled, Burst: c.Broadcast.Burst,
		Every: time.Duration(c.Broadcast.Every) * time.Second, Exempt: s.admin.IsAdmin, Whoelse: c.Whoelse.Enabled, Whoelsesince: c.Whoelsesince.Enabled, Logger: s.log,
	})
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	s.archive, err = archive.New(ctx, s.hall, archive.Options{
		Always: c.Archive == "on", Keep: time.Duration(c.ArchiveDays) * 24 * time.Hour, Accounts: s.accounts.All, Logger: s.log,
	})
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	people := register.New(s.hall, s.accounts, s.log)
	people.Watch()
	own := []im.Extension{
		carbons.New(s.hall),   // who gets copies; takes out what only the server may say, before anybody keeps it
		s.archive.Extension(), // keeps a message before anybody sees it, and gives it its id, which copies have too
		blocking.New(),
		ping.New(),
		vcard.New(s.hall),
		private.New(s.hall),
		version.New(s.version),
		clock.New(),
		adhoc.New(s.hall),
		s.team.Extension(),
		s.admin.Extension(),
		people.Extension(),
		disco.New(s.hall, disco.Options{Timeout: func() int { return int(s.timeout.Load()) }, Contacts: disco.Contacts(c.Contact)}), // announces all of the above
	}
	err = s.hall.Use(slices.Concat(parts.First, own, parts.Last)...)
	if err == nil {
		err = s.hall.Restore(ctx)
	}
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	return nil
}

// directory is what the hall may know of accounts.
type directory struct{ accounts *auth.Accounts }

// Owner finds an account's number.
func (d directory) Owner(localpart string) (store.Owner, bool) {
	a, ok := d.accounts.Lookup(localpart)
	return a.Owner, ok
}
