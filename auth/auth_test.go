package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/store"
	"parley/store/memory"
	"parley/xmpp/sasl"
)

const good = "correct horse battery" // a password that is long enough

// openStore starts a store over e and stops it at the end of the test, or before by the function it returns.
func openStore(t testing.TB, e store.Engine) (*store.Store, func()) {
	t.Helper()
	st := store.New(e, store.Options{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := st.Run(context.Background()); err != nil {
			t.Errorf("run the store: %v", err)
		}
	})
	stop := sync.OnceFunc(func() {
		if err := st.Close(context.Background()); err != nil {
			t.Errorf("close the store: %v", err)
		}
		wg.Wait()
	})
	t.Cleanup(stop)
	return st, stop
}

func openAccounts(t testing.TB, st *store.Store) *Accounts {
	t.Helper()
	a, err := Open(t.Context(), st, Options{Domain: "example.com", Iterations: sasl.MinIterations})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// fresh is accounts over an empty memory.
func fresh(t testing.TB) *Accounts {
	t.Helper()
	st, _ := openStore(t, memory.New())
	return openAccounts(t, st)
}

// signIn goes through a whole exchange and returns the server's error.
func signIn(t testing.TB, a *Accounts, name, password string) error {
	t.Helper()
	c, err := sasl.NewClient(name, password, "")
	if err != nil {
		t.Fatal(err)
	}
	s := sasl.NewServer(sasl.Mechanism, "example.com", func(name string) (sasl.Credentials, error) { return a.Credentials(name), nil })
	var in []byte
	for range 3 {
		out, done, err := c.Step(in)
		if err != nil {
			t.Fatal(err)
		}
		if done {
			return nil
		}
		if in, _, err = s.Step(out); err != nil {
			return err
		}
	}
	t.Fatal("the exchange does not end")
	return nil
}

func TestAccounts(t *testing.T) {
	e := memory.New()
	st, stop := openStore(t, e)
	a := openAccounts(t, st)
	ctx := t.Context()
	if a.Count() != 0 || len(a.All()) != 0 || len(a.Names()) != 0 {
		t.Fatal("not empty")
	}
	var told []string
	a.OnAdded = func(_ context.Context, name string) {
		if _, ok := a.Lookup(name); !ok {
			t.Errorf("%s is told of before it is known", name)
		}
		told = append(told, "+"+name)
	}
	a.OnRemoved = func(_ context.Context, gone Account) {
		name := gone.Name
		if _, ok := a.Lookup(name); ok {
			t.Errorf("%s is told of before it is gone", name)
		}
		told = append(told, "-"+name)
	}
	a.OnPassword = func(_ context.Context, name string) { told = append(told, "*"+name) }
	for i, name := range []string{"Yoda", "alice", "émile"} {
		acc, err := a.Add(ctx, name, good)
		if err != nil || acc.Owner != store.Owner(i+1) || acc.Created.IsZero() {
			t.Fatalf("add %s: %+v, %v", name, acc, err)
		}
		if got, ok := a.Lookup(acc.Name); !ok || got != acc {
			t.Errorf("look up %s: %+v, %v", acc.Name, got, ok)
		}
		if got, ok := a.Find(strings.ToUpper(name)); !ok || got != acc {
			t.Errorf("find %s: %+v, %v", name, got, ok)
		}
	}
	if got := a.Names(); !slices.Equal(got, []string{"alice", "yoda", "émile"}) || !slices.Equal(got, a.Names()) {
		t.Errorf("names: %q", got)
	}
	if err := signIn(t, a, "YODA", good); err != nil {
		t.Errorf("sign in: %v", err)
	}
	if err := a.SetPassword(ctx, "Yoda", "another one, also long"); err != nil {
		t.Fatal(err)
	}
	removed, err := a.Remove(ctx, "Alice")
	if err != nil || removed.Name != "alice" || removed.Owner != 2 {
		t.Fatalf("remove: %+v, %v", removed, err)
	}
	if want := []string{"+yoda", "+alice", "+émile", "*yoda", "-alice"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	all := a.All()
	stop()

	st, _ = openStore(t, e)
	b := openAccounts(t, st)
	if !slices.Equal(b.All(), all) || b.Count() != 2 {
		t.Errorf("after a restart %+v, before %+v", b.All(), all)
	}
	if err := signIn(t, b, "yoda", "another one, also long"); err != nil {
		t.Errorf("sign in after a restart: %v", err)
	}
	if err := signIn(t, b, "yoda", good); !errors.Is(err, sasl.ErrProof) {
		t.Errorf("the old password: %v", err)
	}
	// The same name is somebody else.
	if acc, err := b.Add(t.Context(), "alice", good); err != nil || acc.Owner != 4 {
		t.Errorf("added again: %+v, %v", acc, err)
	}
}

func TestChangeErrors(t *testing.T) {
	a := fresh(t)
	ctx := t.Context()
	if _, err := a.Add(ctx, "bob", good); err != nil {
		t.Fatal(err)
	}
	var exists *ExistsError
	_, err := a.Add(ctx, "bob", good)
	if !errors.Is(err, ErrExists) || !errors.As(err, &exists) || exists.CaseOnly() || exists.Account.Name != "bob" {
		t.Errorf("again: %v", err)
	} else if want := "bob@example.com exists already (added " + time.Now().Format("2 Jan 2006") + ")"; err.Error() != want {
		t.Errorf("again: %q, want %q", err, want)
	}
	if _, err = a.Add(ctx, "BOB", good); !errors.As(err, &exists) || !exists.CaseOnly() || !strings.Contains(err.Error(), `"BOB" differs only in case from bob@example.com`) {
		t.Errorf("in capitals: %v", err)
	}
	if _, err := a.Remove(ctx, "carol"); !errors.Is(err, ErrUnknown) || err.Error() != `nobody on example.com is called "carol"` {
		t.Errorf("remove nobody: %v", err)
	}
	for _, name := range []string{"carol", "a b", ""} {
		if err := a.SetPassword(ctx, name, good); !errors.Is(err, ErrUnknown) {
			t.Errorf("a password for nobody: %v", err)
		}
	}
	if err := a.SetPassword(ctx, "bob", "short"); !errors.Is(err, ErrShort) {
		t.Errorf("a short password: %v", err)
	}
	if _, err := a.Add(ctx, "carol", "short"); !errors.Is(err, ErrShort) {
		t.Errorf("a short password: %v", err)
	}
	if _, err := a.AddShort(ctx, "carol", "short"); err != nil {
		t.Errorf("a short password that is allowed: %v", err)
	}
	if _, err := a.AddShort(ctx, "dave", ""); err == nil {
		t.Error("an empty password")
	}
	if err := signIn(t, a, "bob", good); err != nil {
		t.Errorf("after all that: %v", err)
	}
}

func TestCheckName(t *testing.T) {
	for in, want := range map[string]string{
		"bob": "bob", "Bob": "bob", "bob.smith": "bob.smith", "bob-2_x": "bob-2_x", "müller": "müller", "ΣΙΓΜΑ": "σιγμα",
		"Борис": "борис", "太郎たろう": "太郎たろう", "김철수": "김철수", "taro太郎": "taro太郎",
		strings.Repeat("x", MaxName): strings.Repeat("x", MaxName), "user=1,2": "user=1,2",
	} {
		if got, err := CheckName(in); err != nil || got != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	for in, want := range map[string]string{
		"": "it is empty", "Bob Smith": "it has a space", "bob\t": "it has a space", "a\u00a0b": "it has a space",
		"bob@example.com": "it has an @; the name alone is enough", "a/b": "it has the character /", `"bob"`: `it has the character "`,
		"a\x00b": "it has characters that names cannot have", "♚": "it has characters that names cannot have",
		"\xff": "it is not UTF-8 text", strings.Repeat("é", MaxName+1): "it is longer than 64 characters",
		strings.Repeat("x", 5000): "it is longer than 64 characters",
		"аlice":                   "it mixes alphabets (Cyrillic and Latin)", "αlice": "it mixes alphabets (Greek and Latin)",
	} {
		_, err := CheckName(in)
		var e *NameError
		if !errors.As(err, &e) || e.Reason != want {
			t.Errorf("%.40q: %v, want %q", in, err, want)
		} else if len(err.Error()) > 500 {
			t.Errorf("a text of %d bytes", len(err.Error()))
		}
	}
	if _, err := CheckName("Bob Smith"); err.Error() != `"Bob Smith" cannot be a user name: it has a space` {
		t.Errorf("%v", err)
	}
}

func TestLookalikes(t *testing.T) {
	a := fresh(t)
	for _, name := range []string{"coco", "bob1", "bobl", "straße"} { // ASCII never looks alike
		if _, err := a.Add(t.Context(), name, good); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	var e *NameError
	for _, name := range []string{"сосо", "СОСО"} { // Cyrillic
		if _, err := a.Add(t.Context(), name, good); !errors.As(err, &e) || e.Reason != "it looks the same as coco, which exists already" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := a.Remove(t.Context(), "coco"); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Add(t.Context(), "сосо", good); err != nil {
		t.Errorf("after the other one has gone: %v", err)
	}
	if _, err := a.Add(t.Context(), "coco", good); !errors.As(err, &e) {
		t.Errorf("the other way round: %v", err)
	}
}

func TestCheckPassword(t *testing.T) {
	for _, p := range []string{"0123456789", "ten ünïcöd", strings.Repeat("x", MaxPassword), "\U0001f40e\U0001f50b\U0001f9f7 and so on"} {
		if err := checkPassword(p, false); err != nil {
			t.Errorf("%.20q: %v", p, err)
		}
	}
	for p, want := range map[string]string{
		"":                                 "this cannot be a password: it is empty",
		"a":                                "the password is too short: it has 1 character, at least 10 are needed",
		"ninechars":                        "the password is too short: it has 9 characters, at least 10 are needed",
		strings.Repeat("x", MaxPassword+1): "this cannot be a password: it is longer than 1024 bytes",
		"bell\a and whistle":               "this cannot be a password: it has control characters or others that cannot be typed everywhere",
		"not utf8 \xff\xfe":                "this cannot be a password: it has control characters or others that cannot be typed everywhere",
	} {
		if err := checkPassword(p, false); err == nil || err.Error() != want {
			t.Errorf("%.20q: %v", p, err)
		}
	}
}

func TestCredentialsOfNobody(t *testing.T) {
	e := memory.New()
	st, stop := openStore(t, e)
	a := openAccounts(t, st)
	if _, err := a.Add(t.Context(), "alice", good); err != nil {
		t.Fatal(err)
	}
	known, x, y := a.Credentials("alice"), a.Credentials("nobody"), a.Credentials("nemo")
	if bytes.Equal(x.Salt, y.Salt) || bytes.Equal(x.StoredKey, x.ServerKey) {
		t.Error("made-up credentials are alike")
	}
	if len(x.Salt) != len(known.Salt) || len(x.StoredKey) != len(known.StoredKey) || x.Iterations != known.Iterations {
		t.Error("made-up credentials do not look like real ones")
	}
	if err := signIn(t, a, "nobody", good); !errors.Is(err, sasl.ErrProof) {
		t.Errorf("sign in as nobody: %v", err)
	}
	stop()
	st, _ = openStore(t, e)
	if again := openAccounts(t, st).Credentials("nobody"); !bytes.Equal(x.Salt, again.Salt) || !bytes.Equal(x.StoredKey, again.StoredKey) {
		t.Error("made-up credentials change with a restart")
	}
	st, _ = openStore(t, memory.New())
	if other := openAccounts(t, st).Credentials("nobody"); bytes.Equal(x.Salt, other.Salt) {
		t.Error("another server makes up the same")
	}
}

// TestNoPlaintext: no password is anywhere but in the heads of those who know it.
func TestNoPlaintext(t *testing.T) {
	const marker = "MARKER-swordfish-"
	var log bytes.Buffer
	e := memory.New()
	st, stop := openStore(t, e)
	a, err := Open(t.Context(), st, Options{Domain: "example.com", Iterations: sasl.MinIterations,
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		name, password := fmt.Sprintf("user%d", i), fmt.Sprintf("%s%d", marker, i)
		if _, err := a.Add(t.Context(), name, password); err != nil {
			t.Fatal(err)
		}
		if err := signIn(t, a, name, password); err != nil {
			t.Fatal(err)
		}
		if err := a.SetPassword(t.Context(), name, password+"-new"); err != nil {
			t.Fatal(err)
		}
	}
	res, err := a.Import(t.Context(), strings.NewReader("x1 "+marker+"\nx2 "+marker+"\x07\nuser1 "+marker+"\n"), ImportOptions{})
	if err != nil || len(res.Added) != 1 || len(res.Refused) != 2 {
		t.Fatalf("%+v, %v", res, err)
	}
	_, err = a.Add(t.Context(), "x3", marker+"\x07")
	stop()
	shown := log.String() + fmt.Sprintf("%+v %v %+v", res, err, a.find("user1"))
	for o := range store.Owner(20) {
		page, _ := e.All(t.Context(), o, "", "", math.MaxInt)
		if o == 0 && len(page) < 13 {
			t.Errorf("only %d values kept", len(page))
		}
		for _, p := range page {
			shown += p.Key + " " + string(p.Value)
		}
	}
	if strings.Contains(shown, marker) {
		t.Error("a password is to be found")
	}
}

func TestParallelAdd(t *testing.T) {
	a := fresh(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var won, owners []string
	for i := range 20 {
		wg.Go(func() {
			acc, err := a.Add(t.Context(), []string{"bob", "Bob"}[i%2], good)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won = append(won, acc.Name)
			} else if !errors.Is(err, ErrExists) {
				t.Error(err)
			}
			acc, err = a.Add(t.Context(), fmt.Sprintf("user%d", i), good)
			if err != nil {
				t.Error(err)
			}
			owners = append(owners, fmt.Sprint(acc.Owner))
			a.Names()
		})
	}
	wg.Wait()
	slices.Sort(owners)
	if len(won) != 1 || len(slices.Compact(owners)) != 20 || a.Count() != 21 || len(a.Names()) != 21 {
		t.Errorf("added %d times, %d numbers, %d accounts, %d names", len(won), len(slices.Compact(owners)), a.Count(), len(a.Names()))
	}
}

func TestGeneratePassword(t *testing.T) {
	list := strings.Fields(words)
	if bits := madeWords * math.Log2(float64(len(list))); len(list) < 1024 || bits < 40 {
		t.Errorf("%d words, %.1f bits", len(list), bits)
	}
	if !slices.IsSorted(list) || len(slices.Compact(slices.Clone(list))) != len(list) {
		t.Error("the words are not sorted or not different")
	}
	for _, w := range list {
		if len(w) < 3 || len(w) > 7 || strings.Trim(w, "abcdefghijklmnopqrstuvwxyz") != "" {
			t.Errorf("the word %q", w)
		}
	}
	seen := map[string]bool{}
	for range 1000 {
		p := GeneratePassword()
		if seen[p] || strings.Count(p, "-") != madeWords-1 || checkPassword(p, false) != nil {
			t.Fatalf("%q", p)
		}
		seen[p] = true
	}
}

func BenchmarkLookup(b *testing.B) {
	a := fresh(b)
	for i := range 1000 {
		a.put(&entry{Account: Account{Name: fmt.Sprintf("user%d", i), Owner: store.Owner(i + 1)}})
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, ok := a.Lookup("user500"); !ok {
				b.Error("unknown")
			}
		}
	})
}
