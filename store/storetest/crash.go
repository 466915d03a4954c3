package storetest

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"parley/store"
)

// The crash test has two processes. The child writes journeys as fast as it can and prints what it was told is durable;
// the parent kills it, opens what is left and looks for what was printed.

const crashOwners = 20

// CrashChild is the child: it writes into e until it is killed. With unheld it does not wait for the disk: then the
// parent must find something missing.
func CrashChild(e store.Engine, unheld bool) error {
	s := store.New(e, store.Options{Unheld: unheld, Idle: 20 * time.Millisecond})
	for range 32 {
		go func() {
			worker := rand.Uint64()
			for n := range uint64(1 << 62) {
				if err := crashJourney(s, fmt.Sprintf("%x-%d", worker, n)); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
			}
		}()
	}
	return s.Run(context.Background())
}

// crashJourney stores one message under the given name for two owners, and for the sender its id, and prints all that
// when it is durable.
func crashJourney(s *store.Store, name string) error {
	from := store.Owner(rand.IntN(crashOwners))
	to := (from + 1 + store.Owner(rand.IntN(crashOwners-1))) % crashOwners
	j, err := s.Begin(context.Background())
	if err != nil {
		return err
	}
	sent, err := s.Log.Append(j, from, store.Entry{Sent: true, Body: []byte(name)})
	if err != nil {
		return err
	}
	if err := s.KV.Set(j, from, "journey/"+name, fmt.Append(nil, sent)); err != nil {
		return err
	}
	if rand.IntN(8) == 0 {
		time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
	}
	got, err := s.Log.Append(j, to, store.Entry{Body: []byte(name)})
	if err != nil {
		return err
	}
	mark := j.Mark()
	j.End()
	if err := s.Wait(context.Background(), mark); err != nil {
		return err
	}
	_, err = fmt.Fprintf(os.Stdout, "%d %d %d %d %s\n", from, sent, to, got, name)
	return err
}

// A place is an entry that the child was told is durable.
type place struct {
	owner store.Owner
	id    store.ID
}

// Crash is the parent. It starts child and kills it, kills times, and checks what open opens. It returns what is wrong.
func Crash(t *testing.T, kills int, child func() *exec.Cmd, open func() store.Engine) (wrong []string) {
	durable := make(map[place]string)
	for k := range kills {
		n := len(durable)
		runAndKill(t, child(), durable)
		if len(durable) == n {
			t.Fatalf("kill %d: the child stored nothing", k)
		}
		if k%2 == 1 && k != kills-1 { // the next child finds what this one left
			continue
		}
		wrong = checkCrash(t, open(), durable)
		if len(wrong) > 0 {
			t.Logf("after kill %d, with %d entries told to be durable: %d wrong", k+1, len(durable), len(wrong))
			return wrong
		}
	}
	t.Logf("%d kills, %d entries told to be durable are all there", kills, len(durable))
	return nil
}

// CrashOnce is Crash for a child that has to end by itself, within ten seconds.
func CrashOnce(t *testing.T, child func() *exec.Cmd, open func() store.Engine) {
	durable := make(map[place]string)
	cmd := child()
	run(t, cmd, durable, 10*time.Second)
	if cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("the child ended with %v", cmd.ProcessState)
	}
	for _, w := range checkCrash(t, open(), durable) {
		t.Error(w)
	}
	t.Logf("%d entries told to be durable", len(durable))
}

func runAndKill(t *testing.T, cmd *exec.Cmd, durable map[place]string) {
	t.Helper()
	cmd.Stderr = os.Stderr
	run(t, cmd, durable, time.Duration(30+rand.IntN(250))*time.Millisecond)
}

// run starts cmd, kills it so long after its first line, and notes what it prints.
func run(t *testing.T, cmd *exec.Cmd, durable map[place]string, life time.Duration) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	var killed *time.Timer
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		once.Do(func() {
			killed = time.AfterFunc(life, func() { cmd.Process.Kill() })
		})
		var a, b place
		var name string
		if _, err := fmt.Sscan(lines.Text(), &a.owner, &a.id, &b.owner, &b.id, &name); err != nil {
			continue // the last line may be cut
		}
		durable[a], durable[b] = name, name
	}
	if killed == nil {
		t.Fatalf("the child ended by itself: %v", cmd.Wait())
	}
	killed.Stop()
	cmd.Wait() // killed, most often
}

// checkCrash reads everything: no gaps, every journey whole, and everything durable there.
func checkCrash(t *testing.T, e store.Engine, durable map[place]string) (wrong []string) {
	t.Helper()
	s := store.New(e, store.Options{})
	defer func() {
		if err := s.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	}()
	found := make(map[place]string)
	rows := make(map[string]int)
	for o := range store.Owner(crashOwners) {
		next := store.ID(1)
		for e, err := range s.Log.Range(context.Background(), o, store.Query{}) {
			if err != nil {
				return append(wrong, fmt.Sprintf("owner %d: %v", o, err))
			}
			if e.ID != next {
				wrong = append(wrong, fmt.Sprintf("owner %d: %d follows %d", o, e.ID, next-1))
			}
			next = e.ID + 1
			found[place{o, e.ID}] = string(e.Body)
			rows[string(e.Body)]++
		}
		for p, err := range s.KV.All(context.Background(), o, "journey/") {
			if err != nil {
				return append(wrong, fmt.Sprintf("owner %d: %v", o, err))
			}
			name := p.Key[len("journey/"):]
			rows[name]++
			var id store.ID
			if _, err := fmt.Sscan(string(p.Value), &id); err != nil || found[place{o, id}] != name {
				wrong = append(wrong, fmt.Sprintf("owner %d: the value of %s says %s", o, name, p.Value))
			}
		}
	}
	for name, n := range rows {
		if n != 3 {
			wrong = append(wrong, fmt.Sprintf("journey %s is torn: %d of 3 writes", name, n))
		}
	}
	for p, name := range durable {
		if found[p] != name {
			wrong = append(wrong, fmt.Sprintf("owner %d, entry %d was durable as %s and is %q", p.owner, p.id, name, found[p]))
		}
	}
	return wrong
}
