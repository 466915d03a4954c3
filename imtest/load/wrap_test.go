package load_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"parley/imtest"
	"parley/imtest/history"
	"parley/imtest/load"
	"parley/store"
	"parley/store/memory"
)

// wrapped moves the counts of all sessions that an engine keeps, in both directions, to just below 2^32. It returns by
// how much each was moved.
func wrapped(t *testing.T, e *memory.Engine) map[string][2]uint32 {
	t.Helper()
	const near = uint32(1<<32 - 10)
	moved := map[string][2]uint32{}
	records, err := e.Each(t.Context(), "im/sessions", 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range records {
		var record struct {
			Sessions []struct {
				ID     string
				Number uint32
			}
		}
		if err := json.Unmarshal(p.Value, &record); err != nil {
			t.Fatal(err)
		}
		for _, s := range record.Sessions {
			key := fmt.Sprintf("im/standing/%x", s.Number)
			value, err := e.Get(t.Context(), p.Owner, key)
			if err != nil {
				t.Fatal(err)
			}
			var head [4]uint64 // format, place in the Log, in, out
			for i := range head {
				n, size := binary.Uvarint(value)
				head[i], value = n, value[size:]
			}
			moved[s.ID] = [2]uint32{near - uint32(head[2]), near - uint32(head[3])}
			head[2], head[3] = uint64(near), uint64(near)
			var p2 []byte
			for _, n := range head {
				p2 = binary.AppendUvarint(p2, n)
			}
			if err := e.Commit([]store.Op{{Kind: store.OpSet, Owner: p.Owner, Key: key, Value: append(p2, value...)}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return moved
}

// TestWrap: counts go on from 2^32-1 to 0, in both directions, over resumptions and an orderly stop (P13).
func TestWrap(t *testing.T) {
	engine := memory.New()
	x := losing()
	x.server.Engine = engine
	server := imtest.Start(t, x.server)
	server.Account(load.Accounts(x.load.Pairs)...)
	var at atomic.Pointer[imtest.Server]
	at.Store(server)
	x.load.Password, x.load.Recorder = imtest.Password, history.NewRecorder()
	x.load.Leave, x.load.Anew = 0, 0
	x.load.Dial = func(context.Context) (net.Conn, bool, error) { nc, direct := at.Load().Dial(); return nc, direct, nil }
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	g := load.New(x.load)
	defer g.Close()
	if err := g.Talk(ctx, nil); err != nil {
		t.Fatal(err)
	}
	g.Lose()
	x.load.Recorder.Add(history.Event{Kind: history.Stop})
	server.Stop()
	moved := wrapped(t, engine)
	if want := 2 * x.load.Pairs * x.load.Devices; len(moved) != want {
		t.Fatalf("%d sessions are kept, want %d", len(moved), want)
	}
	g.Shift(func(id string) (out, in uint32) { return moved[id][0], moved[id][1] })
	at.Store(imtest.Start(t, x.server))
	x.load.Recorder.Add(history.Event{Kind: history.Start})
	if err := g.Talk(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if err := g.Finish(ctx); err != nil {
		t.Error(err)
	}
	report(t, x.load.Recorder.Events())
}
