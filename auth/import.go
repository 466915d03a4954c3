package auth

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// Of a file of credentials: the longest line in bytes, and how many accounts are kept at a time.
const (
	maxLine     = 4 << 10
	importBatch = 64
)

// ImportOptions say what an import takes.
type ImportOptions struct {
	AllowShort bool // passwords shorter than MinPassword too; they are listed in ImportResult.Short
}

// ImportResult is what an import did.
type ImportResult struct {
	Added   []Account
	Short   []string    // names of those among Added whose passwords are short
	Remarks int         // lines that begin with #, which are not about accounts
	Refused []LineError // in the order of the lines
}

// LineError says why a line was refused. Its text is a sentence for people; it quotes nothing but the name.
type LineError struct {
	Line int    // 1 is the first
	Name string // as it is written there, or ""
	Err  error
}

func (e LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap returns the reason: *NameError, *ExistsError, *PasswordError, or one of the file's form.
func (e LineError) Unwrap() error { return e.Err }

// Import makes an account for each line "name password" of a file in UTF-8; empty lines, lines that begin with #, a byte
// order mark and CRLF do not matter. Lines that cannot be taken are listed with their reasons, the others are taken. The error is one that
// ended the work: reading failed, ctx ended, the store cannot keep anything. What the result says was done then, is.
func (a *Accounts) Import(ctx context.Context, r io.Reader, o ImportOptions) (ImportResult, error) {
	i := &importing{accounts: a, options: o, seen: map[string]candidate{}}
	err := i.run(ctx, r)
	slices.SortFunc(i.result.Refused, func(x, y LineError) int { return cmp.Compare(x.Line, y.Line) })
	return i.result, err
}

// importing is an import at work.
type importing struct {
	accounts *Accounts
	options  ImportOptions
	result   ImportResult
	line     int
	batch    []candidate
	seen     map[string]candidate // by canonical name
}

// candidate is a line that may become an account.
type candidate struct {
	line           int
	name, password string
	local          string // the canonical name
	short          bool
}

// errLine says that a line was refused before it was complete.
var errLine = errors.New("line refused")

// run takes the file line by line.
func (i *importing) run(ctx context.Context, r io.Reader) error {
	lines := bufio.NewReaderSize(r, maxLine)
	for {
		line, err := i.next(lines)
		if err == nil {
			i.take(line)
		}
		if len(i.batch) >= importBatch || errors.Is(err, io.EOF) && len(i.batch) > 0 {
			if err := i.flush(ctx); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !errors.Is(err, errLine):
			return fmt.Errorf("auth: read the file: %w", err)
		}
	}
}

// next reads a line without its end. io.EOF: there is none any more.
func (i *importing) next(r *bufio.Reader) (string, error) {
	text, err := r.ReadSlice('\n')
	if len(text) == 0 && err != nil {
		return "", err
	}
	i.line++
	if errors.Is(err, bufio.ErrBufferFull) {
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = r.ReadSlice('\n')
		}
		i.refuse(candidate{line: i.line}, fmt.Errorf("it is longer than %d bytes", maxLine))
		if err == nil || errors.Is(err, io.EOF) { // the end is found again by the next call
			err = errLine
		}
		return "", err
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	line := string(text)
	if i.line == 1 {
		line = strings.TrimPrefix(line, "\ufeff")
	}
	return line, nil
}

// refuse notes why a line is not taken.
func (i *importing) refuse(c candidate, err error) {
	i.result.Refused = append(i.result.Refused, LineError{Line: c.line, Name: c.name, Err: err})
}

// take puts a line into the batch, or refuses it.
func (i *importing) take(line string) {
	fields := strings.Fields(line)
	c := candidate{line: i.line}
	switch {
	case len(fields) == 0:
		return
	case strings.HasPrefix(fields[0], "#"):
		i.result.Remarks++
		return
	case !utf8.ValidString(line):
		i.refuse(c, errors.New("it is not UTF-8 text"))
		return
	}
	c.name = fields[0]
	switch len(fields) {
	case 2:
		c.password = fields[1]
	case 1:
		i.refuse(c, fmt.Errorf("%q has no password", c.name))
		return
	default:
		i.refuse(c, fmt.Errorf("it has %d words; a name and a password were expected", len(fields)))
		return
	}
	if err := i.check(&c); err != nil {
		i.refuse(c, err)
		return
	}
	i.seen[c.local] = candidate{line: c.line, name: c.name}
	i.batch = append(i.batch, c)
}

// check completes c and says what stands against it.
func (i *importing) check(c *candidate) (err error) {
	if c.local, err = CheckName(c.name); err != nil {
		return err
	}
	if before, ok := i.seen[c.local]; ok {
		if before.name != c.name && strings.EqualFold(before.name, c.name) {
			return fmt.Errorf("%q differs only in case from %q in line %d", c.name, before.name, before.line)
		}
		return fmt.Errorf("%q is in line %d already", c.name, before.line)
	}
	if err := i.accounts.vacant(c.local, c.name); err != nil {
		return err
	}
	c.short = utf8.RuneCountInString(c.password) < MinPassword
	return checkPassword(c.password, i.options.AllowShort)
}

// flush makes the accounts of the batch, all in one journey.
func (i *importing) flush(ctx context.Context) error {
	a, batch := i.accounts, i.batch
	i.batch = nil
	entries := make([]*entry, len(batch))
	failed := make([]error, len(batch))
	var wg sync.WaitGroup
	for n, c := range batch { // bounded by a.hashing
		wg.Go(func() {
			credentials, err := a.hash(ctx, c.password)
			entries[n], failed[n] = a.entryFor(c.local, credentials), err
		})
	}
	wg.Wait()
	if err := errors.Join(failed...); err != nil {
		return err
	}
	if err := a.begin(ctx); err != nil {
		return err
	}
	defer a.end()
	var fresh []*entry
	looks := map[string]string{}
	for n, c := range batch {
		if err := i.refusal(c, looks); err != nil {
			i.refuse(c, err)
			continue
		}
		looks[skeleton(c.local)] = c.local
		fresh = append(fresh, entries[n])
	}
	if len(fresh) == 0 {
		return nil
	}
	if err := a.addAll(ctx, fresh); err != nil {
		return err
	}
	for n, c := range batch {
		if entries[n].Owner == 0 {
			continue
		}
		i.result.Added = append(i.result.Added, entries[n].Account)
		if c.short {
			i.result.Short = append(i.result.Short, c.local)
		}
	}
	return nil
}

// refusal says what stands against a candidate at the last moment; the caller holds changing.
func (i *importing) refusal(c candidate, looks map[string]string) error {
	if err := i.accounts.vacant(c.local, c.name); err != nil {
		return err
	}
	if err := i.accounts.distinct(c.local, c.name); err != nil {
		return err
	}
	if other, ok := looks[skeleton(c.local)]; ok {
		return badName(c.name, "it looks the same as "+other+" in another line")
	}
	return nil
}
