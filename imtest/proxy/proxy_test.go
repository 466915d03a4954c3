package proxy

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// echo is a server that sends back what it gets.
func echo(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	t.Cleanup(func() { _ = ln.Close(); work.Wait() })
	work.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				_, _ = io.Copy(nc, nc)
				_ = nc.Close()
			})
		}
	})
	return ln.Addr().String()
}

// through sends data through a proxy and returns what came back.
func through(t *testing.T, p *Proxy, data []byte) ([]byte, error) {
	nc, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() {
		if _, err := nc.Write(data); err == nil {
			_ = nc.(*net.TCPConn).CloseWrite()
		}
	})
	return io.ReadAll(nc)
}

func TestFaults(t *testing.T) {
	data := bytes.Repeat([]byte("some words"), 20_000)
	for _, test := range []struct {
		name  string
		o     Options
		fault Fault
	}{
		{"nothing", Options{}, None},
		{"delay and split", Options{Split: true, Delay: 100 * time.Microsecond}, None},
		{"cut", Options{Cut: 1}, Cut},
		{"half", Options{Half: 1}, Half},
		{"swallow", Options{Hole: 1}, Swallow},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := New(echo(t), test.o)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			got, err := through(t, p, data)
			if !bytes.HasPrefix(data, got) {
				t.Error("what came is not what was sent")
			}
			if whole := err == nil && len(got) == len(data); whole != (test.fault == None) {
				t.Errorf("%d of %d bytes, %v", len(got), len(data), err)
			}
			if n := p.Count(test.fault); test.fault != None && n != 1 {
				t.Errorf("the fault happened %d times", n)
			}
		})
	}
}

// TestSeed: the dice fall the same way for the same seed.
func TestSeed(t *testing.T) {
	roll := func(seed uint64) (list []int) {
		p, err := New("127.0.0.1:1", Options{Seed: seed, Cut: .3, Half: .3})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		for range 20 {
			f, after, _ := p.dice()
			list = append(list, int(f), after)
		}
		return list
	}
	a, b, c := roll(1), roll(1), roll(2)
	same := func(x, y []int) bool {
		for i := range x {
			if x[i] != y[i] {
				return false
			}
		}
		return true
	}
	if !same(a, b) || same(a, c) {
		t.Errorf("%v\n%v\n%v", a, b, c)
	}
}
