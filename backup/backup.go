// Package backup is the file that `parley backup` writes: a tar archive of
//
//	manifest.json   what it is a backup of
//	tls.crt         the server's own certificate and its key, when it has made itself one
//	tls.key
//	parley.db       the database
//	SHA256SUMS      the sum of each of those, as sha256sum writes it; a file without it is not whole
//
// in this order, so that it can be written as one stream. It is not compressed: that would take the server four times
// as long. Any tar unpacks it, `sha256sum -c SHA256SUMS` checks it, and parley.db is a database of SQLite.
package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Format is the number of the newest format of the file; what is older can be read.
const Format = 1

// Names of the parts.
const (
	Database    = "parley.db"
	Certificate = "tls.crt"
	Key         = "tls.key"
)

const (
	manifestName = "manifest.json"
	sumsName     = "SHA256SUMS"
	maxSmall     = 1 << 20 // bytes of any part but the database
)

// Manifest says what a file is a backup of.
type Manifest struct {
	Format   int       `json:"parley_backup"` // of the file
	Version  string    `json:"version"`       // of the program that wrote it
	Database int       `json:"database"`      // format of the database
	Domain   string    `json:"domain"`
	Time     time.Time `json:"time"` // everything that was accepted before is in it
	Accounts int64     `json:"accounts"`
	Entries  int64     `json:"entries"` // of all archives
}

// Errors of Read; errors.Is finds them through what is wrapped around them.
var (
	// ErrForeign says that a file is not a backup of Parley.
	ErrForeign = errors.New("not a backup of Parley")
	// ErrNewer says that a newer program wrote it.
	ErrNewer = errors.New("a backup of a newer version")
	// ErrDamaged says that it is not what was written.
	ErrDamaged = errors.New("the backup is damaged")
)

// A Part is one file in the backup: Write writes Size bytes.
type Part struct {
	Name  string
	Size  int64
	Write func(io.Writer) error
}

// Bytes is a Part that is in memory.
func Bytes(name string, b []byte) Part {
	return Part{name, int64(len(b)), func(w io.Writer) error { _, err := w.Write(b); return err }}
}

// Write writes a backup. Errors are those of w and of the parts.
func Write(w io.Writer, m Manifest, parts []Part) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("backup: write the manifest: %w", err)
	}
	out := tar.NewWriter(w)
	sums := ""
	for _, p := range append([]Part{Bytes(manifestName, append(text, '\n'))}, parts...) {
		sum, err := write(out, p, m.Time)
		if err != nil {
			return fmt.Errorf("backup: write %s: %w", p.Name, err)
		}
		sums += hex.EncodeToString(sum) + "  " + p.Name + "\n"
	}
	if _, err = write(out, Bytes(sumsName, []byte(sums)), m.Time); err == nil {
		err = out.Close()
	}
	if err != nil {
		return fmt.Errorf("backup: write the sums: %w", err)
	}
	return nil
}

func write(out *tar.Writer, p Part, at time.Time) (sum []byte, err error) {
	err = out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: p.Name, Size: p.Size, Mode: 0o600, ModTime: at.Truncate(time.Second)})
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	if err := p.Write(io.MultiWriter(out, h)); err != nil {
		return nil, err
	}
	return h.Sum(nil), out.Flush()
}

// Read reads a backup to its end and checks every sum. open, if there is one, says where a part goes; what was written
// there counts only when Read returns no error. Errors: ErrForeign, ErrNewer, ErrDamaged, those of r and of open.
func Read(r io.Reader, open func(name string) (io.Writer, error)) (Manifest, error) {
	in := &source{r: r}
	m, err := read(tar.NewReader(in), open)
	if in.err != nil { // the reader's own, not what tar made of it
		return m, fmt.Errorf("backup: read: %w", in.err)
	}
	return m, err
}

// UntilDone is a reader that ends with ctx.
func UntilDone(ctx context.Context, r io.Reader) io.Reader { return untilDone{ctx, r} }

type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u untilDone) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}

// source keeps the error that a reader ended with.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

func read(in *tar.Reader, open func(name string) (io.Writer, error)) (m Manifest, err error) {
	sums, names := "", []string{}
	buffer := make([]byte, 64<<10)
	for {
		h, err := in.Next()
		name, known := "", false
		if err == nil {
			name = h.Name
			known = h.Typeflag == tar.TypeReg && !slices.Contains(names, name) &&
				(name == Database || h.Size <= maxSmall && slices.Contains([]string{manifestName, Certificate, Key, sumsName}, name))
		}
		switch {
		case len(names) == 0 && (err != nil || name != manifestName || !known):
			return m, fmt.Errorf("backup: %w", ErrForeign)
		case err == io.EOF, err == io.ErrUnexpectedEOF: // the sums are missing
			return m, damaged("it ends too early")
		case err != nil:
			return m, damaged("what follows " + names[len(names)-1] + " is no part of it")
		case !known:
			return m, damaged("it has a part that does not belong there")
		}
		names = append(names, name)
		if name == manifestName {
			m, sums, err = readManifest(in)
		} else if name == sumsName {
			if err := readSums(in, names, sums); err != nil {
				return m, err
			}
			if _, err := in.Next(); err != io.EOF {
				return m, damaged("something follows its sums")
			}
			return m, nil
		} else {
			sums, err = readPart(in, name, sums, open, buffer)
		}
		if err != nil {
			return m, err
		}
	}
}

func damaged(why string) error { return fmt.Errorf("backup: %w: %s", ErrDamaged, why) }

func readManifest(in io.Reader) (m Manifest, sum string, err error) {
	text, err := io.ReadAll(in)
	if err != nil {
		return m, "", damaged("it ends too early")
	}
	if err := json.Unmarshal(text, &m); err != nil || m.Format < 1 {
		return m, "", fmt.Errorf("backup: %w", ErrForeign)
	}
	if m.Format > Format {
		return m, "", fmt.Errorf("backup: %w: its format is %d, this version knows up to %d", ErrNewer, m.Format, Format)
	}
	s := sha256.Sum256(text)
	return m, hex.EncodeToString(s[:]) + "  " + manifestName + "\n", nil
}

func readPart(in io.Reader, name, sums string, open func(name string) (io.Writer, error), buffer []byte) (string, error) {
	h := sha256.New()
	to := io.Writer(h)
	if open != nil {
		w, err := open(name)
		if err != nil {
			return "", err
		}
		to = io.MultiWriter(h, w)
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{in}, buffer); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return "", damaged("it ends too early")
		}
		return "", fmt.Errorf("backup: copy %s: %w", name, err)
	}
	return sums + hex.EncodeToString(h.Sum(nil)) + "  " + name + "\n", nil
}

// readSums compares the sums, and what they are of.
func readSums(in *tar.Reader, names []string, sums string) error {
	text, err := io.ReadAll(in)
	if err != nil {
		return damaged("it ends too early")
	}
	if !slices.Contains(names, Database) {
		return damaged("it has no database")
	}
	if slices.Contains(names, Certificate) != slices.Contains(names, Key) {
		return damaged("a certificate or a key is alone")
	}
	if !bytes.Equal(text, []byte(sums)) {
		for _, line := range strings.Split(strings.TrimSpace(sums), "\n") {
			if !strings.Contains(string(text), line+"\n") {
				return damaged("the sum of " + line[strings.LastIndex(line, " ")+1:] + " is another one")
			}
		}
		return damaged("its sums are of other parts")
	}
	return nil
}
