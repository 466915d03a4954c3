package backup

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func sample(t testing.TB) ([]byte, Manifest) {
	t.Helper()
	m := Manifest{Format: Format, Version: "1.2.3", Database: 1, Domain: "chat.example.org", Time: time.Unix(1.8e9, 5).UTC(), Accounts: 3, Entries: 77}
	var b bytes.Buffer
	err := Write(&b, m, []Part{Bytes(Certificate, []byte("CERT")), Bytes(Key, []byte("KEY")), Bytes(Database, bytes.Repeat([]byte("page"), 50))})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), m
}

// parts reads a backup into memory.
func parts(b []byte) (Manifest, map[string]string, error) {
	got := map[string]*strings.Builder{}
	m, err := Read(bytes.NewReader(b), func(name string) (io.Writer, error) {
		got[name] = &strings.Builder{}
		return got[name], nil
	})
	text := map[string]string{}
	for name, b := range got {
		text[name] = b.String()
	}
	return m, text, err
}

func TestRoundTrip(t *testing.T) {
	b, want := sample(t)
	m, got, err := parts(b)
	if err != nil || m != want || len(got) != 3 || got[Key] != "KEY" || got[Certificate] != "CERT" || got[Database] != strings.Repeat("page", 50) {
		t.Fatalf("%+v, %v, %v", m, got, err)
	}
	if m, err := Read(bytes.NewReader(b), nil); err != nil || m != want {
		t.Fatalf("%+v, %v", m, err)
	}
}

// Every tar unpacks it and sha256sum checks it.
func TestPlainTools(t *testing.T) {
	for _, tool := range []string{"tar", "sha256sum"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	b, _ := sample(t)
	dir := t.TempDir()
	cmd := exec.Command("tar", "-x", "-C", dir)
	cmd.Stdin = bytes.NewReader(b)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	cmd = exec.Command("sha256sum", "-c", "SHA256SUMS")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "manifest.json: OK\ntls.crt: OK\ntls.key: OK\nparley.db: OK\n" {
		t.Fatalf("%v %s", err, out)
	}
}

// However a file is cut or changed, it is refused, or what comes out of it is what went in.
func TestDamage(t *testing.T) {
	b, want := sample(t)
	_, all, _ := parts(b)
	end := bytes.LastIndex(b, []byte("  "+Database+"\n")) + len(Database) + 3
	for n := range end {
		if _, _, err := parts(b[:n]); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrForeign) {
			t.Fatalf("cut after %d bytes: %v", n, err)
		}
		for _, bit := range []byte{1, 0x80} {
			bad := bytes.Clone(b)
			bad[n] ^= bit
			m, got, err := parts(bad)
			switch {
			case err == nil && (m != want || fmt.Sprint(got) != fmt.Sprint(all)):
				t.Fatalf("byte %d changed: %+v %v", n, m, got)
			case err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrForeign) && !errors.Is(err, ErrNewer):
				t.Fatalf("byte %d changed: %v", n, err)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	whole, _ := sample(t)
	make := func(names ...string) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, name := range names {
			name, text, _ := strings.Cut(name, "=")
			h := &tar.Header{Name: name, Size: int64(len(text)), Mode: 0o600, Typeflag: tar.TypeReg}
			if strings.HasSuffix(name, "@") {
				h = &tar.Header{Name: strings.TrimSuffix(name, "@"), Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}
			}
			if err := w.WriteHeader(h); err != nil {
				t.Fatal(err)
			}
			io.WriteString(w, text)
		}
		w.Close()
		return b.Bytes()
	}
	const ok = `manifest.json={"parley_backup":1}`
	for _, test := range []struct {
		name string
		b    []byte
		is   error
		says string
	}{
		{"nothing", nil, ErrForeign, ""},
		{"text", []byte("hello\n"), ErrForeign, ""},
		{"a database", append([]byte("SQLite format 3\x00"), whole...), ErrForeign, ""},
		{"another tar", make("README=hello"), ErrForeign, ""},
		{"another manifest", make(`manifest.json={"name":"app"}`), ErrForeign, ""},
		{"newer", make(`manifest.json={"parley_backup":2}`), ErrNewer, "its format is 2, this version knows up to 1"},
		{"no sums", make(ok, "parley.db=x"), ErrDamaged, "it ends too early"},
		{"another part", make(ok, "../../etc/passwd=x"), ErrDamaged, "a part that does not belong there"},
		{"a link", make(ok, "parley.db@"), ErrDamaged, "a part that does not belong there"},
		{"twice", make(ok, "parley.db=x", "parley.db=y"), ErrDamaged, "a part that does not belong there"},
		{"a large key", make(ok, "tls.key="+strings.Repeat("x", maxSmall+1)), ErrDamaged, "a part that does not belong there"},
		{"no database", make(ok, "SHA256SUMS="), ErrDamaged, "no database"},
		{"a key alone", make(ok, "tls.key=x", "parley.db=x", "SHA256SUMS="), ErrDamaged, "alone"},
		{"more", append(whole[:len(whole)-1024:len(whole)-1024], make("parley.db=x")...), ErrDamaged, "something follows its sums"},
		{"wrong sums", make(ok, "parley.db=x", "SHA256SUMS=00  parley.db\n"), ErrDamaged, "the sum of manifest.json is another one"},
	} {
		if _, _, err := parts(test.b); !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	broken := errors.New("the disk is broken")
	if _, err := Read(io.MultiReader(bytes.NewReader(whole[:700]), failing{broken}), nil); !errors.Is(err, broken) {
		t.Errorf("a reader that fails: %v", err)
	}
	if _, err := Read(bytes.NewReader(whole), func(string) (io.Writer, error) { return failing{broken}, nil }); !errors.Is(err, broken) {
		t.Errorf("a writer that fails: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error)  { return 0, f.err }
func (f failing) Write([]byte) (int, error) { return 0, f.err }

// FuzzRead changes a backup at one place, cuts it, and makes the sums of its headers right again.
func FuzzRead(f *testing.F) {
	whole, want := sample(f)
	_, all, _ := parts(whole)
	f.Add(uint16(0), []byte{}, uint16(len(whole)))
	f.Add(uint16(0), []byte("SQLite format 3\x00"), uint16(len(whole)))
	f.Add(uint16(156), []byte("L"), uint16(len(whole)))
	f.Add(uint16(512), []byte(`{"parley_backup":7}`), uint16(3000))
	f.Fuzz(func(t *testing.T, at uint16, patch []byte, size uint16) {
		b := bytes.Clone(whole[:min(int(size), len(whole))])
		copy(b[min(int(at), len(b)):], patch)
		for i := 0; i+512 <= len(b); i += 512 {
			if header := b[i : i+512]; string(header[257:262]) == "ustar" {
				copy(header[148:], "        ")
				sum := 0
				for _, c := range header {
					sum += int(c)
				}
				copy(header[148:], fmt.Sprintf("%06o\x00 ", sum))
			}
		}
		m, got, err := parts(b)
		if err == nil && (m != want || fmt.Sprint(got) != fmt.Sprint(all)) && !bytes.Contains(patch, []byte(sumsName)) {
			t.Fatalf("%+v %v", m, got)
		}
		if err != nil && !errors.Is(err, ErrForeign) && !errors.Is(err, ErrNewer) && !errors.Is(err, ErrDamaged) {
			t.Fatal(err)
		}
	})
}
