package server

import (
	"context"
	"log/slog"

	"parley/auth"
	"parley/config"
	"parley/im"
	"parley/store"
	"parley/store/memory"
)

// Extensions returns what a server with these settings would do with a stanza: its extensions, in the order in which
// they see it. Nothing is made on the disk, and nothing listens.
func Extensions(ctx context.Context, c config.Config) (list []im.Extension, err error) {
	s := &Server{config: c, log: slog.New(slog.DiscardHandler)}
	if err := s.openStore(ctx, Parts{Engine: memory.New(), Store: store.Options{}}); err != nil {
		return nil, err
	}
	defer func() { _ = s.close(ctx) }() // nothing is kept
	s.accounts, err = auth.Open(ctx, s.store, auth.Options{Domain: c.Domain, Iterations: c.Auth.Iterations, Logger: s.log})
	if err != nil {
		return nil, err
	}
	if err := s.openHall(ctx, Parts{}); err != nil {
		return nil, err
	}
	return s.hall.Extensions(), nil
}
