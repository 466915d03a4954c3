package sqlite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"

	"parley/store"
)

// writerStmts are the prepared statements of the writer.
type writerStmts struct {
	begin, commit, rollback     *stmt
	add                         [len(addRows)]*stmt // so many rows at once
	replace, row                *stmt
	trim, set, del, forget      *stmt
	chunk, putChunk, folded     *stmt
	floor, dropRow, drop, swept *stmt
	frames, writeBack           *stmt
}

// addRows are the numbers of rows that one statement adds. Many at once cost half of what they cost one by one.
var addRows = [...]int{64, 8, 1}

func (w *writerStmts) prepare(c *conn) error {
	add := make([]query, len(addRows))
	for i, n := range addRows {
		add[i] = query{&w.add[i], "INSERT INTO log (seq, owner, id, stamp, peer, sent, note, body, sum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)" +
			strings.Repeat(", (?, ?, ?, ?, ?, ?, ?, ?, ?)", n-1)}
	}
	return c.keep(append(add, []query{
		{&w.begin, "BEGIN IMMEDIATE"},
		{&w.commit, "COMMIT"},
		{&w.rollback, "ROLLBACK"},
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
	}...))
}

// Commit implements store.Engine.
func (e *Engine) Commit(ops []store.Op) error {
	e.wmu.Lock()
	defer e.wmu.Unlock()
	seq := e.seq
	e.fresh = e.fresh[:0]
	err := e.transact("commit", func() error {
		for rest := ops; len(rest) > 0; {
			n := appends(rest)
			var err error
			if n > 0 {
				err = e.add(rest[:n], &seq)
			} else {
				n, err = 1, e.apply(&rest[0])
			}
			if err != nil {
				return err
			}
			rest = rest[n:]
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

// appends is how many of ops, from the first on, add entries.
func appends(ops []store.Op) int {
	for i := range ops {
		if ops[i].Kind != store.OpAppend {
			return i
		}
	}
	return len(ops)
}

// add adds entries to the log, behind *seq.
func (e *Engine) add(ops []store.Op, seq *int64) error {
	for i, n := range addRows {
		for ; len(ops) >= n; ops = ops[n:] {
			vals := e.vals[:0]
			for i := range ops[:n] {
				*seq++
				vals = e.row(vals, &ops[i], *seq)
			}
			err := e.ws.add[i].exec(vals...)
			clear(vals) // they point to messages
			if e.vals = vals; err != nil {
				return err
			}
		}
	}
	return nil
}

// row appends the values of an entry's row to vals.
func (e *Engine) row(vals []dv, op *store.Op, seq int64) []dv {
	n := &op.Entry
	sent := int64(0)
	if n.Sent {
		sent = 1
	}
	o, id, stamp, note := int64(op.Owner), int64(n.ID), n.Time.UnixNano(), int64(n.Note)
	body := n.Body
	if body == nil {
		body = []byte{}
	}
	e.fresh = append(e.fresh, tailRow{op.Owner, n.ID, ref{seq, hashPeer(n.Peer)}})
	return append(vals, seq, o, id, stamp, n.Peer, sent, note, body, e.sums.entry(o, id, stamp, n.Peer, sent, note, body))
}

// apply carries out what adds no entry.
func (e *Engine) apply(op *store.Op) error {
	o := int64(op.Owner)
	switch op.Kind {
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
		sum = e.sums.entry(o, id, number(row[2]), text(row[3]), number(row[4]), number(row[5]), body)
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

// A summer makes the checksums of entries, in memory of its own.
type summer struct{ head []byte }

// entry leaves out a note that is none: entries of format 1 keep their sums.
func (m *summer) entry(owner, id, stamp int64, peer string, sent, note int64, body []byte) int64 {
	b := binary.LittleEndian.AppendUint64(m.head[:0], uint64(owner))
	b = binary.LittleEndian.AppendUint64(b, uint64(id))
	b = binary.LittleEndian.AppendUint64(b, uint64(stamp))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(peer)))
	b = append(b, byte(sent))
	if note != 0 {
		b = binary.LittleEndian.AppendUint64(b, uint64(note))
	}
	m.head = append(b, peer...)
	return checksum(m.head, body)
}

func sumValue(owner int64, key string, value []byte) int64 {
	b := binary.LittleEndian.AppendUint64(nil, uint64(owner))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(key)))
	return checksum(append(b, key...), value)
}

func sumWatermark(seq int64) int64 {
	return checksum(append(binary.LittleEndian.AppendUint64(nil, uint64(seq)), "folded"...), nil)
}

func checksum(head, body []byte) int64 {
	table := crc32.MakeTable(crc32.Castagnoli) // made once, by the library
	return int64(crc32.Update(crc32.Update(0, table, head), table, body))
}
