package sqlite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"parley/store"
)

// writerStmts are the prepared statements of the writer.
type writerStmts struct {
	begin, commit, rollback     *stmt
	add, replace, row           *stmt
	trim, set, del, forget      *stmt
	chunk, putChunk, folded     *stmt
	floor, dropRow, drop, swept *stmt
	frames, writeBack           *stmt
}

func (w *writerStmts) prepare(c *conn) error {
	return c.keep([]query{
		{&w.begin, "BEGIN IMMEDIATE"},
		{&w.commit, "COMMIT"},
		{&w.rollback, "ROLLBACK"},
		{&w.add, "INSERT INTO log (seq, owner, id, stamp, peer, sent, note, body, sum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"},
		{&w.row, "SELECT owner, id, stamp, peer, sent, note FROM log WHERE seq = ?"},
		{&w.replace, "UPDATE log SET body = ?, sum = ? WHERE seq = ?"},
		{&w.trim, "INSERT INTO trim (owner, floor, swept) VALUES (?, ?, 0) " +
			"ON CONFLICT (owner) DO UPDATE SET floor = max(floor, excluded.floor)"},
		{&w.set, "INSERT INTO kv (owner, key, value, sum) VALUES (?, ?, ?, ?) " +
			"ON CONFLICT (owner, key) DO UPDATE SET value = excluded.value, sum = excluded.sum"},
		{&w.del, "DELETE FROM kv WHERE owner = ? AND key = ?"},
		{&w.forget, "DELETE FROM kv WHERE owner = ?"},
		{&w.chunk, chunkBelow},
		{&w.putChunk, "REPLACE INTO fold (owner, first, n, refs) VALUES (?, ?, ?, ?)"},
		{&w.folded, "UPDATE folded SET seq = ?, sum = ?"},
		{&w.floor, "SELECT floor, swept FROM trim WHERE owner = ?"},
		{&w.dropRow, "DELETE FROM log WHERE seq = ?"},
		{&w.drop, "DELETE FROM fold WHERE owner = ? AND first = ?"},
		{&w.swept, "UPDATE trim SET swept = ? WHERE owner = ?"},
		{&w.frames, "PRAGMA wal_checkpoint(NOOP)"},
		{&w.writeBack, "PRAGMA wal_checkpoint(PASSIVE)"},
	})
}

// Commit implements store.Engine.
func (e *Engine) Commit(ops []store.Op) error {
	e.wmu.Lock()
	defer e.wmu.Unlock()
	seq := e.seq
	e.fresh = e.fresh[:0]
	err := e.transact("commit", func() error {
		for i := range ops {
			if err := e.apply(&ops[i], &seq); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = e.alive()
	}
	if err != nil {
		return err
	}
	e.seq = seq
	for i := range ops {
		if k := ops[i].Kind; k == store.OpTrim || k == store.OpForget && ops[i].Entry.ID > 0 {
			e.sweeps[ops[i].Owner] = true
		}
	}
	err = e.tail.add(e.fresh)
	if cap(e.fresh) > 1<<14 {
		e.fresh = nil
	}
	if err != nil {
		e.broken = true
		return fmt.Errorf("sqlite: commit: %w", err)
	}
	return nil
}

// transact runs do in one transaction. Unless the error wraps store.ErrFull, nothing can be written any more after one.
func (e *Engine) transact(doing string, do func() error) error {
	if e.broken || e.closed && doing == "commit" {
		return fmt.Errorf("sqlite: %s: %w", doing, store.ErrClosed)
	}
	err := e.ws.begin.exec()
	if err == nil {
		if err = do(); err == nil {
			err = e.ws.commit.exec()
		}
		if err != nil {
			_ = e.ws.rollback.exec() // SQLite may have done it already; a transaction left open would fail the next begin
		}
	}
	err = e.wrap(doing, err)
	if err != nil && !errors.Is(err, store.ErrFull) {
		e.broken = true
	}
	return err
}

func (e *Engine) apply(op *store.Op, seq *int64) error {
	o := int64(op.Owner)
	switch op.Kind {
	case store.OpAppend:
		*seq++
		n := &op.Entry
		sent := int64(0)
		if n.Sent {
			sent = 1
		}
		stamp := n.Time.UnixNano()
		body := n.Body
		if body == nil {
			body = []byte{}
		}
		e.fresh = append(e.fresh, tailRow{op.Owner, n.ID, ref{*seq, hashPeer(n.Peer)}})
		note := int64(n.Note)
		return e.ws.add.exec(*seq, o, int64(n.ID), stamp, n.Peer, sent, note, body, sumEntry(o, int64(n.ID), stamp, n.Peer, sent, note, body))
	case store.OpReplace:
		return e.applyReplace(op)
	case store.OpTrim:
		return e.ws.trim.exec(o, int64(op.Entry.ID))
	case store.OpSet:
		return e.ws.set.exec(o, op.Key, op.Value, sumValue(o, op.Key, op.Value))
	case store.OpDelete:
		return e.ws.del.exec(o, op.Key)
	case store.OpForget:
		if err := e.ws.forget.exec(o); err != nil || op.Entry.ID == 0 {
			return err
		}
		return e.ws.trim.exec(o, int64(op.Entry.ID))
	}
	return fmt.Errorf("unknown kind of write %d", op.Kind)
}

func (e *Engine) applyReplace(op *store.Op) error {
	seq, err := e.seqOf(op.Owner, op.Entry.ID)
	if err != nil || seq == 0 {
		return err
	}
	body := op.Entry.Body
	var found bool
	var sum int64
	err = e.ws.row.rows(func(row []dv) bool {
		o, id := number(row[0]), number(row[1])
		found = o == int64(op.Owner) && id == int64(op.Entry.ID)
		sum = sumEntry(o, id, number(row[2]), text(row[3]), number(row[4]), number(row[5]), body)
		return false
	}, seq)
	if err != nil || !found { // swept away
		return err
	}
	return e.ws.replace.exec(body, sum, seq)
}

// seqOf returns where an entry is in the log, 0 if it is nowhere.
func (e *Engine) seqOf(o store.Owner, id store.ID) (int64, error) {
	if s := e.tail.of(o); len(s.refs) > 0 && id >= s.first {
		if id > s.last() {
			return 0, nil
		}
		return s.refs[id-s.first].seq, nil
	}
	c, err := readChunk(e.ws.chunk, o, id)
	if err != nil {
		return 0, e.chunkError(err)
	}
	if len(c.refs) == 0 || id > c.last() {
		return 0, nil
	}
	return c.refs[id-c.first].seq, nil
}

// The checksums find a flipped bit that SQLite, which has no checksums of its own, would return as it is.

// sumEntry leaves out a note that is none: entries of format 1 keep their sums.
func sumEntry(owner, id, stamp int64, peer string, sent, note int64, body []byte) int64 {
	var b [41]byte
	binary.LittleEndian.PutUint64(b[0:], uint64(owner))
	binary.LittleEndian.PutUint64(b[8:], uint64(id))
	binary.LittleEndian.PutUint64(b[16:], uint64(stamp))
	binary.LittleEndian.PutUint64(b[24:], uint64(len(peer)))
	b[32] = byte(sent)
	if note == 0 {
		return checksum(b[:33], peer, body)
	}
	binary.LittleEndian.PutUint64(b[33:], uint64(note))
	return checksum(b[:], peer, body)
}

func sumValue(owner int64, key string, value []byte) int64 {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[0:], uint64(owner))
	binary.LittleEndian.PutUint64(b[8:], uint64(len(key)))
	return checksum(b[:], key, value)
}

func sumWatermark(seq int64) int64 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(seq))
	return checksum(b[:], "folded", nil)
}

func checksum(head []byte, s string, body []byte) int64 {
	table := crc32.MakeTable(crc32.Castagnoli) // made once, by the library
	sum := crc32.Update(0, table, head)
	sum = crc32.Update(sum, table, []byte(s))
	return int64(crc32.Update(sum, table, body))
}
