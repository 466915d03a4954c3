package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xdg-go/scram"

	"parley/store"
	"parley/store/memory"
	"parley/xmpp/sasl"
)

// oldRecord is what versions without auth.legacy wrote for an account with the password good. The keys were computed by another
// implementation (Python's hashlib and hmac).
const oldRecord = `{"number":7,"salt":"AAECAwQFBgcICQoLDA0ODw==","stored_key":"DSORcG4dNUxAHTEo5BL20ymSoLgt8C8jLZ09S+VUVlM=","server_key":"9hLrfnf7zvCtDB9drkVXkMgUsd4vpHfg5YQJDrbaZ30=","iterations":4096,"created":"2026-01-02T03:04:05Z"}`

// signInSHA1 goes through a whole exchange with SCRAM-SHA-1 and returns the server's error.
func signInSHA1(t testing.TB, a *Accounts, name, password string) error {
	t.Helper()
	who, err := scram.SHA1.NewClientUnprepped(name, password, "")
	if err != nil {
		t.Fatal(err)
	}
	c := who.NewConversation()
	s := sasl.NewServer(sasl.MechanismSHA1, "example.com", func(name string) (sasl.Credentials, error) {
		known, _ := a.CredentialsSHA1(name)
		return known, nil
	})
	var in []byte
	for range 2 {
		out, err := c.Step(string(in))
		if err != nil {
			t.Fatal(err)
		}
		if in, _, err = s.Step([]byte(out)); err != nil {
			return err
		}
	}
	return nil
}

func useLegacy(t testing.TB, a *Accounts, on bool) {
	t.Helper()
	if err := a.UseLegacy(t.Context(), on); err != nil {
		t.Fatal(err)
	}
}

// kept is the record of an account in the store, as text.
func kept(t testing.TB, e store.Engine, name string) string {
	t.Helper()
	value, err := e.Get(t.Context(), 0, prefixAccount+name)
	if err != nil {
		t.Fatal(err)
	}
	return string(value)
}

// TestOldRecord: what was written before there were verifiers for SCRAM-SHA-1 is read, used, and completed.
func TestOldRecord(t *testing.T) {
	e := memory.New()
	if err := e.Commit([]store.Op{{Kind: store.OpSet, Key: "account/bob", Value: []byte(oldRecord)}}); err != nil {
		t.Fatal(err)
	}
	st, stop := openStore(t, e)
	a := openAccounts(t, st)
	useLegacy(t, a, false)
	if kept(t, e, "bob") != oldRecord || a.HasSHA1("bob") {
		t.Errorf("changed without need: %s", kept(t, e, "bob"))
	}
	if err := signIn(t, a, "bob", good); err != nil {
		t.Errorf("sign in: %v", err)
	}
	useLegacy(t, a, true)
	if err := signInSHA1(t, a, "bob", good); !errors.Is(err, sasl.ErrProof) || a.Lacking() != 1 {
		t.Errorf("SCRAM-SHA-1 before there is a verifier: %v, %d lack one", err, a.Lacking())
	}
	if err := a.Verify(t.Context(), "bob", good); err != nil {
		t.Errorf("PLAIN: %v", err)
	}
	stop()
	st, stop = openStore(t, e)
	a = openAccounts(t, st)
	acc, ok := a.Lookup("bob")
	if !ok || acc.Owner != 7 || !acc.Created.Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) {
		t.Errorf("the account: %+v", acc)
	}
	if err := errors.Join(signIn(t, a, "bob", good), signInSHA1(t, a, "bob", good)); err != nil || a.Lacking() != 0 {
		t.Errorf("after PLAIN and a restart: %v, %d lack a verifier", err, a.Lacking())
	}
	if !strings.HasPrefix(kept(t, e, "bob"), oldRecord[:len(oldRecord)-1]+",") {
		t.Errorf("more than a verifier has changed: %s", kept(t, e, "bob"))
	}
	stop()
}

// TestLegacyKeepsBoth: of every password that is set, in whatever way, and none without the setting.
func TestLegacyKeepsBoth(t *testing.T) {
	for _, on := range []bool{true, false} {
		a := fresh(t)
		useLegacy(t, a, on)
		_, err := a.Add(t.Context(), "alice", good)
		_, errShort := a.AddShort(t.Context(), "bob", "short")
		res, errImport := a.Import(t.Context(), strings.NewReader("carol "+strings.ReplaceAll(good, " ", "_")), ImportOptions{})
		if err := errors.Join(err, errShort, errImport); err != nil || len(res.Added) != 1 {
			t.Fatal(err)
		}
		if err := a.SetPassword(t.Context(), "bob", good); err != nil {
			t.Fatal(err)
		}
		for name, password := range map[string]string{"alice": good, "bob": good, "carol": strings.ReplaceAll(good, " ", "_")} {
			if err := signIn(t, a, name, password); err != nil {
				t.Errorf("legacy %v: %s: %v", on, name, err)
			}
			if err := signInSHA1(t, a, name, password); (err == nil) != on || a.HasSHA1(name) != on {
				t.Errorf("legacy %v: %s with SCRAM-SHA-1: %v", on, name, err)
			}
		}
		if want := map[bool]int{true: 0, false: 3}[on]; a.Lacking() != want {
			t.Errorf("legacy %v: %d lack a verifier", on, a.Lacking())
		}
		if _, err := a.Remove(t.Context(), "carol"); err != nil || a.Lacking() != map[bool]int{true: 0, false: 2}[on] {
			t.Errorf("legacy %v: %v, %d lack a verifier after a removal", on, err, a.Lacking())
		}
	}
}

// TestLegacyOffErases: durably, and the log says how many.
func TestLegacyOffErases(t *testing.T) {
	e := memory.New()
	st, stop := openStore(t, e)
	a := openAccounts(t, st)
	useLegacy(t, a, true)
	var file strings.Builder
	for i := range eraseBatch + 2 { // more than one batch
		fmt.Fprintf(&file, "user%d a-long-password\n", i)
	}
	if _, err := a.Import(t.Context(), strings.NewReader(file.String()), ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	stop()

	st, stop = openStore(t, e)
	if a := openAccounts(t, st); !a.Legacy() || a.Lacking() != 0 || !strings.Contains(kept(t, e, "user5"), `"sha1":`) {
		t.Errorf("a command that is told nothing: legacy %v, %d lack a verifier", a.Legacy(), a.Lacking())
	}
	stop()

	st, stop = openStore(t, e)
	var log bytes.Buffer
	a, err := Open(t.Context(), st, Options{Domain: "example.com", Iterations: sasl.MinIterations, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	useLegacy(t, a, false)
	for i := range eraseBatch + 2 { // at once, not only at the end of the store
		if text := kept(t, e, fmt.Sprintf("user%d", i)); strings.Contains(text, "sha1") {
			t.Fatalf("kept: %s", text)
		}
	}
	if !strings.Contains(log.String(), fmt.Sprintf("accounts=%d", eraseBatch+2)) || a.HasSHA1("user0") || a.Lacking() != eraseBatch+2 {
		t.Errorf("%d lack a verifier; the log: %s", a.Lacking(), log.String())
	}
	if err := signIn(t, a, "user3", "a-long-password"); err != nil {
		t.Errorf("sign in: %v", err)
	}
	stop()
	st, stop = openStore(t, e)
	if a := openAccounts(t, st); a.Legacy() || a.HasSHA1("user0") {
		t.Error("it is still on")
	}
	stop()
}

func TestVerify(t *testing.T) {
	var log bytes.Buffer
	st, _ := openStore(t, memory.New())
	a, err := Open(t.Context(), st, Options{Domain: "example.com", Iterations: sasl.MinIterations, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	a.OnPassword = func(context.Context, string) { told++ }
	if _, err := a.Add(t.Context(), "alice", good); err != nil {
		t.Fatal(err)
	}
	for name, password := range map[string]string{"alice": "wrong horse battery", "nobody": good} {
		if err := a.Verify(t.Context(), name, password); !errors.Is(err, sasl.ErrProof) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := a.Verify(t.Context(), "alice", good); err != nil || a.HasSHA1("alice") {
		t.Errorf("with auth.legacy off: %v, a verifier: %v", err, a.HasSHA1("alice"))
	}
	useLegacy(t, a, true)
	if err := a.Verify(t.Context(), "alice", "wrong"); !errors.Is(err, sasl.ErrProof) || a.HasSHA1("alice") {
		t.Errorf("a wrong password: %v, a verifier: %v", err, a.HasSHA1("alice"))
	}
	old := a.find("alice")
	for range 2 {
		if err := a.Verify(t.Context(), "alice", good); err != nil || !a.HasSHA1("alice") || signInSHA1(t, a, "alice", good) != nil {
			t.Errorf("%v, a verifier: %v", err, a.HasSHA1("alice"))
		}
	}
	// Another password came between the check and the keeping.
	if err := a.SetPassword(t.Context(), "alice", "another horse battery"); err != nil {
		t.Fatal(err)
	}
	now := a.find("alice")
	if err := a.keepSHA1(t.Context(), old, &sasl.Credentials{}); err != nil || a.find("alice") != now {
		t.Errorf("the verifier of the old password is kept: %v", err)
	}
	if told != 1 {
		t.Errorf("told of %d new passwords", told)
	}
	if strings.Contains(log.String(), "horse") {
		t.Errorf("the log: %s", log.String())
	}
}

// TestVerifyFullDisk: who cannot be given a verifier now is let in all the same.
func TestVerifyFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &slowEngine{Engine: memory.New(), let: make(chan struct{}, 100)}
		for range 10 {
			e.let <- struct{}{}
		}
		st, stop := openStore(t, e)
		a := openAccounts(t, st)
		if _, err := a.Add(t.Context(), "bob", good); err != nil {
			t.Fatal(err)
		}
		useLegacy(t, a, true)
		synctest.Wait()
		for len(e.let) > 0 {
			<-e.let
		}
		began := time.Now()
		if err := a.Verify(t.Context(), "bob", good); err != nil || time.Since(began) > keepTime {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		// Nor does the start wait for a disk that takes nothing.
		if err := a.UseLegacy(t.Context(), false); err != nil {
			t.Errorf("off: %v", err)
		}
		close(e.let)
		stop()
	})
}

// TestVerifyBusy: the places to hash in are shared by all, and nobody waits for one for ever.
func TestVerifyBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, stop := openStore(t, memory.New())
		a := openAccounts(t, st)
		for range cap(a.hashing) {
			a.hashing <- struct{}{}
		}
		if err := a.Verify(t.Context(), "bob", good); !errors.Is(err, ErrBusy) {
			t.Errorf("%v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := a.Verify(ctx, "bob", good); !errors.Is(err, context.Canceled) || errors.Is(err, ErrBusy) {
			t.Errorf("nobody waits any more: %v", err)
		}
		stop()
	})
}

// TestVerifyTakesTheSame: a name without an account costs as much as one with one, or the time would tell.
func TestVerifyTakesTheSame(t *testing.T) {
	st, _ := openStore(t, memory.New())
	a, err := Open(t.Context(), st, Options{Iterations: 20_000})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Add(t.Context(), "alice", good); err != nil {
		t.Fatal(err)
	}
	fastest := map[string]time.Duration{"alice": time.Hour, "nobody": time.Hour}
	for range 15 { // short and in turns, so that some of both find the machine idle
		for name, best := range fastest {
			began := time.Now()
			if err := a.Verify(t.Context(), name, "wrong password"); !errors.Is(err, sasl.ErrProof) {
				t.Fatal(err)
			}
			fastest[name] = min(best, time.Since(began))
		}
	}
	known, unknown := fastest["alice"], fastest["nobody"]
	if known > 3*unknown || unknown > 3*known {
		t.Errorf("%v for an account, %v for a name without one", known, unknown)
	}
}

// TestCredentialsSHA1OfNobody: accounts without a verifier look as names without an account do.
func TestCredentialsSHA1OfNobody(t *testing.T) {
	e := memory.New()
	st, stop := openStore(t, e)
	a := openAccounts(t, st)
	for _, name := range []string{"alice", "bob", "carol", "dave"} {
		if _, err := a.Add(t.Context(), name, good); err != nil {
			t.Fatal(err)
		}
	}
	useLegacy(t, a, true)
	uncounted := func() (n int) {
		for i := range 1000 {
			if _, counts := a.CredentialsSHA1(fmt.Sprintf("stranger%d", i)); !counts {
				n++
			}
		}
		return n
	}
	if n := uncounted(); n != 1000 {
		t.Errorf("all accounts lack a verifier, and %d of 1000 strangers do not count", n)
	}
	for i, name := range []string{"alice", "bob", "carol", "dave"} {
		if _, counts := a.CredentialsSHA1(name); counts {
			t.Errorf("%s counts without a verifier", name)
		}
		if err := a.SetPassword(t.Context(), name, good); err != nil {
			t.Fatal(err)
		}
		if _, counts := a.CredentialsSHA1(name); !counts {
			t.Errorf("%s does not count", name)
		}
		want := 750 - 250*i
		if n := uncounted(); n < want-70 || n > want+70 || want == 0 && n > 0 {
			t.Errorf("%d of 1000 strangers do not count instead of about %d", n, want)
		}
	}
	known, _ := a.CredentialsSHA1("alice")
	x, _ := a.CredentialsSHA1("nobody")
	y, _ := a.CredentialsSHA1("nemo")
	other := a.Credentials("nobody")
	if bytes.Equal(x.Salt, y.Salt) || bytes.Equal(x.StoredKey, y.StoredKey) || bytes.Equal(x.Salt, other.Salt) {
		t.Error("made-up credentials are alike")
	}
	if len(x.Salt) != len(known.Salt) || len(x.StoredKey) != len(known.StoredKey) || len(x.ServerKey) != len(known.ServerKey) || x.Iterations != known.Iterations {
		t.Error("made-up credentials do not look like real ones")
	}
	stop()
	st, _ = openStore(t, e)
	if again, _ := openAccounts(t, st).CredentialsSHA1("nobody"); !bytes.Equal(x.Salt, again.Salt) {
		t.Error("made-up credentials change with a restart")
	}
}
