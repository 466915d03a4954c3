package sqlite

import (
	"fmt"
	"strconv"
)

// migrations returns what makes the database of one format that of the next, beginning with nothing. Each runs in one
// transaction together with the new format number (user_version). Entries are never changed once released, only added.
func migrations() []string {
	return []string{
		// 1: log has the entries in commit order: seq is the place, sum the checksum. fold is its index by owner, made
		// later and in pieces (see fold.go), folded the seq up to which that is done. trim says up to where an owner's
		// entries are gone (floor) and up to where their rows are, too (swept).
		`CREATE TABLE log (
			seq   INTEGER PRIMARY KEY,
			owner INTEGER NOT NULL,
			id    INTEGER NOT NULL,
			stamp INTEGER NOT NULL,
			peer  TEXT    NOT NULL,
			sent  INTEGER NOT NULL,
			body  BLOB    NOT NULL,
			sum   INTEGER NOT NULL
		) STRICT;
		CREATE TABLE fold (
			owner INTEGER NOT NULL,
			first INTEGER NOT NULL,
			n     INTEGER NOT NULL,
			refs  BLOB    NOT NULL,
			PRIMARY KEY (owner, first)
		) WITHOUT ROWID, STRICT;
		CREATE TABLE folded (
			one INTEGER PRIMARY KEY CHECK (one = 1),
			seq INTEGER NOT NULL,
			sum INTEGER NOT NULL
		) STRICT;
		INSERT INTO folded VALUES (1, 0, 0);
		CREATE TABLE trim (
			owner INTEGER PRIMARY KEY,
			floor INTEGER NOT NULL,
			swept INTEGER NOT NULL
		) STRICT;
		CREATE INDEX trim_due ON trim (owner) WHERE swept < floor;
		CREATE TABLE kv (
			owner INTEGER NOT NULL,
			key   TEXT    NOT NULL,
			value BLOB    NOT NULL,
			sum   INTEGER NOT NULL,
			PRIMARY KEY (owner, key)
		) WITHOUT ROWID, STRICT;
		CREATE INDEX kv_key ON kv (key, owner);`,

		// 2: what the writer of an entry notes beside it.
		`ALTER TABLE log ADD COLUMN note INTEGER NOT NULL DEFAULT 0`,
	}
}

// Format is the number of the newest format, which Open brings a database to.
func Format() int { return len(migrations()) }

// migrate brings the database to the newest format of list.
func (e *Engine) migrate(list []string) error {
	has, err := e.w.number("PRAGMA user_version")
	if err != nil {
		return e.wrap("read the format", err)
	}
	if has > int64(len(list)) {
		return newer(e.path, has, int64(len(list)))
	}
	id, err := e.w.number("PRAGMA application_id")
	if err != nil {
		return e.wrap("read the application id", err)
	}
	tables, err := e.w.number("SELECT count(*) FROM sqlite_schema")
	if err != nil {
		return e.wrap("read the schema", err)
	}
	if id != applicationID && (id != 0 || has != 0 || tables != 0) {
		return foreign(e.path, e.dir)
	}
	if has == int64(len(list)) {
		return nil
	}
	for i := has; i < int64(len(list)); i++ {
		if has > 0 { // a new one is made in all formats, one after the other
			e.log.Info("changing the format of the database", "path", e.path, "from", i, "to", i+1)
		}
		err := e.w.exec("BEGIN IMMEDIATE; " + list[i] +
			"; PRAGMA application_id = " + strconv.Itoa(applicationID) +
			"; PRAGMA user_version = " + strconv.FormatInt(i+1, 10) + "; COMMIT")
		if err != nil {
			_ = e.w.exec("ROLLBACK") // often there is none to roll back any more
			return e.wrap(fmt.Sprintf("change the format from %d to %d", i, i+1), err)
		}
	}
	// The mark must stand in the file itself: checkFile does not look into the write-ahead log.
	return e.wrap("write the new format", e.w.exec("PRAGMA wal_checkpoint(TRUNCATE)"))
}
