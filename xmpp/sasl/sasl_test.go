package sasl

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestEncoding(t *testing.T) {
	for _, tc := range []struct {
		text string
		data []byte
	}{
		{"", nil}, {"=", []byte{}}, {"biwsbj11c2Vy", []byte("n,,n=user")}, {"AA==", []byte{0}},
	} {
		if got := Encode(tc.data); got != tc.text {
			t.Errorf("Encode(%q) = %q, want %q", tc.data, got, tc.text)
		}
		got, err := Decode(tc.text)
		if err != nil || !bytes.Equal(got, tc.data) || (got == nil) != (tc.data == nil) {
			t.Errorf("Decode(%q) = %#v, %v", tc.text, got, err)
		}
	}
	for _, text := range []string{"==", "A", "AA", "AA=", "AB==", "AAA =", " AAAA", "AAAA\n", "AA\r\nAA", "A-__", "biws=", "=biws", "\x00"} {
		if got, err := Decode(text); !errors.Is(err, ErrEncoding) {
			t.Errorf("Decode(%q) = %q, %v", text, got, err)
		}
	}
}

func TestCredentials(t *testing.T) {
	a, err := NewCredentials("swordfish-and-chips", MinIterations)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := NewCredentials("swordfish-and-chips", MinIterations)
	if len(a.Salt) != saltSize || bytes.Equal(a.Salt, b.Salt) || bytes.Equal(a.StoredKey, b.StoredKey) {
		t.Error("the salt is not new each time")
	}
	if len(a.StoredKey) != 32 || len(a.ServerKey) != 32 || a.Iterations != MinIterations {
		t.Errorf("keys of %d and %d bytes, %d iterations", len(a.StoredKey), len(a.ServerKey), a.Iterations)
	}
	for _, n := range []int{-1, 0, MinIterations - 1, MaxIterations + 1} {
		if _, err := NewCredentials("swordfish-and-chips", n); !errors.Is(err, ErrIterations) {
			t.Errorf("%d iterations: %v", n, err)
		}
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "c", a)
	shown := fmt.Sprintf("%v %+v %#v %s %v %s", a, a, a, a, struct{ C Credentials }{a}, log.String())
	if strings.Contains(shown, fmt.Sprint(a.Iterations)) || !strings.Contains(log.String(), "***") {
		t.Errorf("shown: %s", shown)
	}
}

func TestPrepare(t *testing.T) {
	for in, want := range map[string]string{
		"pencil":           "pencil",
		"I\u00adX":         "IX", // RFC 4013 §3
		"\u00aa":           "a",
		"\u2168":           "IX",
		"pass\u00a0word":   "pass word",
		"e\u0301":          "\u00e9",
		"\U0001f600 smile": "\U0001f600 smile", // younger than SASLprep
		"with space":       "with space",
	} {
		if got, err := Prepare(in); err != nil || got != want {
			t.Errorf("Prepare(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", "a\x07b", "tab\tbed", "\u00ad", "\xff"} {
		got, err := Prepare(in)
		if !errors.Is(err, ErrPassword) {
			t.Errorf("Prepare(%q) = %q, %v", in, got, err)
		} else if in != "" && strings.Contains(err.Error(), in) {
			t.Errorf("the error quotes the password: %v", err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{"", "=", "AA==", "biws"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		data, err := Decode(s)
		if err == nil && Encode(data) != s {
			t.Fatalf("Encode(Decode(%q)) = %q", s, Encode(data))
		}
	})
}

func FuzzPrepare(f *testing.F) {
	f.Add("pencil")
	f.Add("\u00aa\u2168\U0001f600")
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := Prepare(s); err == nil && p == "" {
			t.Fatalf("Prepare(%q) is empty", s)
		}
	})
}
