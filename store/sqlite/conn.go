package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"

	"modernc.org/sqlite"
)

// A conn is one connection to the database. The driver is used directly, without database/sql, which would cost a
// quarter of the time of an insert for pooling that is not needed here. One goroutine at a time.
type conn struct {
	c driver.Conn
	x driver.ExecerContext

	kept []*stmt
}

// dv is a value as the driver takes and gives it: int64, string, []byte or nil.
type dv = driver.Value

// A stmt is a prepared statement of a conn.
type stmt struct {
	s    driver.Stmt
	x    driver.StmtExecContext
	q    driver.StmtQueryContext
	args []driver.NamedValue
}

func dial(path string, pragmas ...string) (*conn, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	abs = filepath.ToSlash(abs)
	if abs[0] != '/' { // C:/…
		abs = "/" + abs
	}
	// mode=rw: a file that went away is not made again, empty.
	name := (&url.URL{Scheme: "file", Path: abs, RawQuery: "mode=rw"}).String()
	dc, err := new(sqlite.Driver).Open(name)
	if err != nil {
		return nil, err
	}
	c := &conn{c: dc, x: dc.(driver.ExecerContext)}
	for _, p := range pragmas {
		if err := c.exec("PRAGMA " + p); err != nil {
			return nil, errors.Join(err, dc.Close())
		}
	}
	return c, nil
}

// close closes the connection. SQLite keeps one open, and its files with it, as long as one of its statements is.
func (c *conn) close() error {
	if c == nil {
		return nil
	}
	var err error
	for _, s := range c.kept {
		err = errors.Join(err, s.close())
	}
	return errors.Join(err, c.c.Close())
}

// A query is a statement to be prepared once, and where it goes.
type query struct {
	to  **stmt
	sql string
}

// keep prepares statements for as long as the connection is open.
func (c *conn) keep(list []query) error {
	for _, q := range list {
		s, err := c.prepare(q.sql)
		if err != nil {
			return err
		}
		c.kept = append(c.kept, s)
		*q.to = s
	}
	return nil
}

// exec runs one or several statements that return nothing.
func (c *conn) exec(query string) error {
	_, err := c.x.ExecContext(context.Background(), query, nil)
	return err
}

// value returns the first column of the first row of a query.
func (c *conn) value(query string) (v dv, err error) {
	s, err := c.prepare(query)
	if err != nil {
		return nil, err
	}
	err = s.rows(func(row []dv) bool { v = row[0]; return false })
	return v, errors.Join(err, s.close())
}

func (c *conn) number(query string) (int64, error) {
	v, err := c.value(query)
	return number(v), err
}

func (c *conn) prepare(query string) (*stmt, error) {
	s, err := c.c.Prepare(query)
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", query, err)
	}
	return &stmt{s: s, x: s.(driver.StmtExecContext), q: s.(driver.StmtQueryContext)}, nil
}

func (s *stmt) close() error { return s.s.Close() }

func (s *stmt) bind(vals []dv) []driver.NamedValue {
	s.args = s.args[:0]
	for i, v := range vals {
		s.args = append(s.args, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	return s.args
}

// exec runs the statement; vals are int64, string or []byte.
func (s *stmt) exec(vals ...dv) error {
	_, err := s.x.ExecContext(context.Background(), s.bind(vals))
	clear(s.args)
	return err
}

// rows runs the statement and calls yield for each row until it returns false. The row is borrowed, what is in it not.
func (s *stmt) rows(yield func(row []dv) bool, vals ...dv) error {
	return s.query(context.Background(), yield, vals...)
}

// query is rows for statements that may take long: the end of ctx interrupts them.
func (s *stmt) query(ctx context.Context, yield func(row []dv) bool, vals ...dv) error {
	rows, err := s.q.QueryContext(ctx, s.bind(vals))
	clear(s.args)
	if err != nil {
		return err
	}
	row := make([]dv, len(rows.Columns()))
	for err == nil {
		if err = rows.Next(row); err == nil && !yield(row) {
			break
		}
	}
	if err == io.EOF {
		err = nil
	}
	return errors.Join(err, rows.Close())
}

// blob returns a column that holds bytes; the driver gives nil for an empty one.
func blob(v dv) []byte {
	if b, _ := v.([]byte); b != nil {
		return b
	}
	return []byte{}
}

// number returns a column that holds a number, 0 for what a damaged row may hold instead.
func number(v dv) int64 {
	n, _ := v.(int64)
	return n
}

// text returns a column that holds text, "" for what a damaged row may hold instead.
func text(v dv) string {
	s, _ := v.(string)
	return s
}
