package load_test

import (
	"context"
	"net"
	"testing"
	"time"

	"parley/imtest"
	"parley/imtest/history"
	"parley/imtest/load"
)

// TestTalk: a server without faults, and clients that keep their connections.
func TestTalk(t *testing.T) {
	s := imtest.Start(t, imtest.Options{})
	s.Account(load.Accounts(2)...)
	r := history.NewRecorder()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := load.Run(ctx, load.Options{
		Recorder: r, Password: imtest.Password, Seed: 1, Pairs: 2, Devices: 2, Rounds: 8, Burst: 10, Read: .2, Forge: .2,
		Dial: func(context.Context) (net.Conn, bool, error) { nc, direct := s.Dial(); return nc, direct, nil },
	})
	if err != nil {
		t.Error(err)
	}
	for _, v := range history.Check(r.Events()) {
		t.Error(v)
	}
	t.Logf("%d events", len(r.Events()))
}
