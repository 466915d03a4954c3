package sqlite

import "parley/store"

// sweepRows is how many rows one slice of the sweeping up deletes at most.
const sweepRows = 500

// sweepSlice deletes some rows of one owner whose entries were trimmed. Only what has its index is deleted; the rest
// waits for the next fold.
func (e *Engine) sweepSlice() (more bool, err error) {
	for o := range e.sweeps {
		done, waits := false, false
		err := e.transact("sweep", func() (err error) {
			done, waits, err = e.sweepOwner(o)
			return err
		})
		if err != nil {
			return false, err
		}
		if done || waits {
			delete(e.sweeps, o)
		}
		if waits {
			e.waits[o] = true
		}
		return len(e.sweeps) > 0, nil
	}
	return false, nil
}

// sweepOwner deletes up to sweepRows rows of o. done: all are gone; waits: the rest has no index yet.
func (e *Engine) sweepOwner(o store.Owner) (done, waits bool, err error) {
	var floor, swept store.ID
	err = e.ws.floor.rows(func(row []dv) bool {
		floor, swept = store.ID(number(row[0])), store.ID(number(row[1]))
		return false
	}, int64(o))
	if err != nil {
		return false, false, err
	}
	from := swept
	for n := 0; swept < floor && n < sweepRows; {
		c, err := readChunk(e.ws.chunk, o, swept+1)
		if err != nil {
			return false, false, e.chunkError(err)
		}
		if len(c.refs) == 0 || c.last() <= swept {
			// No chunk has it: it is in the tail, or else it went before and only the number is behind.
			if s := e.tail.of(o); len(s.refs) > 0 && s.first <= floor {
				waits = true
				break
			}
			swept = floor
			break
		}
		for id := swept + 1; id <= min(c.last(), floor); id++ {
			if err := e.ws.dropRow.exec(c.refs[id-c.first].seq); err != nil {
				return false, false, err
			}
			swept = id
			n++
		}
		if swept == c.last() {
			if err := e.ws.drop.exec(int64(o), int64(c.first)); err != nil {
				return false, false, err
			}
		}
	}
	if swept > from {
		err = e.ws.swept.exec(int64(swept), int64(o))
	}
	return swept == floor, waits, err
}
