package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"parley/config"
	"parley/server"
)

// Bounds of the process, beyond what anything in it needs: they limit the damage when something is wrong.
const (
	maxStack   = 64 << 20 // bytes of one goroutine
	maxThreads = 1000
)

// boundProcess sets the bounds of the process. The garbage collector gets a goal where a control group has one: memory
// above it would be taken away slowly (MemoryHigh of systemd).
func (p *program) boundProcess() {
	debug.SetMaxStack(maxStack)
	debug.SetMaxThreads(maxThreads)
	if high := memoryHigh(); high > 0 && p.getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(high / 10 * 9)
	}
}

// memoryHigh is the bound of the control group that the process is in, in bytes; 0: there is none.
func memoryHigh() int64 {
	group, err := os.ReadFile("/proc/self/cgroup")
	path, ok := strings.CutPrefix(strings.TrimSpace(string(group)), "0::")
	if err != nil || !ok {
		return 0
	}
	text, err := os.ReadFile("/sys/fs/cgroup" + path + "/memory.high")
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64) // "max" is no bound
	return n
}

// runner tends a server that runs: it hears signals, and tells the supervisor.
type runner struct {
	p        *program
	flags    *settingFlags
	srv      *server.Server
	log      *slog.Logger
	level    *slog.LevelVar
	boss     *supervisor
	status   string           // what the supervisor shows
	hangups  <-chan os.Signal // SIGHUP
	terminal bool             // it was started at one
	again    atomic.Bool      // the server is to be started again in this process
}

// run serves until ctx ends or the server has to stop.
func (r *runner) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() { r.tend(ctx, cancel) })
	defer cancel() // before the wait
	err := r.srv.Serve(ctx)
	r.again.Store(err == server.ErrRestart)
	return err
}

// tend does what there is to do besides serving, until ctx ends.
func (r *runner) tend(ctx context.Context, stop func()) {
	due, done := r.boss.alive()
	defer done()
	r.boss.ready(r.status)
	memory := thrift{fixed: r.p.getenv("GOGC") != ""}
	look := time.NewTicker(thriftEvery)
	defer look.Stop()
	for {
		select {
		case <-look.C:
			memory.look()
		case <-ctx.Done():
			r.sayEnd()
			return
		case <-r.srv.Failed():
			r.sayEnd()
			<-ctx.Done()
			return
		case <-due:
			if r.healthy() {
				r.boss.say("WATCHDOG=1")
			}
		case <-r.hangups:
			if r.terminal && !onTerminal(r.p.in) { // its window was closed
				stop()
				continue
			}
			r.boss.reloading()
			r.reload()
			r.boss.ready(r.status)
		}
	}
}

// sayEnd tells the supervisor why the server does not serve any more.
func (r *runner) sayEnd() {
	select {
	case <-r.srv.Failed():
		r.boss.stopping("the store has failed")
		return
	default:
	}
	if r.again.Load() { // who says that he stops has half a minute until he is killed
		r.boss.reloading()
	} else {
		r.boss.stopping("stopping: clients are told")
	}
}

// healthy reports whether the server can still keep what it promises. It does not return while somebody's turn does not end.
func (r *runner) healthy() bool {
	r.srv.Turns()
	select {
	case <-r.srv.Failed():
		return false
	default:
		return true
	}
}

// reload reads the settings again and takes over what can change, and logs the outcome.
func (r *runner) reload() {
	c, err := r.flags.load(r.p)
	if err == nil {
		err = checkCertificate(c.TLS)
	}
	var done server.Reloaded
	if err == nil {
		if done, err = r.srv.Reload(c); err != nil {
			err = startFailure(err, c)
		}
	}
	if err != nil {
		f := asFailure(err)
		r.log.Error("not reloaded, nothing was changed: "+f.what, slog.String("why", f.why), slog.String("fix", f.fix))
		return
	}
	next := r.p.logLevel(c)
	if next < r.level.Level() {
		r.level.Set(next) // first, so that what follows is seen; else last
	}
	if done.Key != "" {
		r.log.Info("reloaded: certificate", slog.String("key", done.Key), slog.String("until", done.Until.UTC().Format(time.DateOnly)))
	}
	if len(done.Taken) > 0 {
		r.log.Info("reloaded: " + strings.Join(done.Taken, ", "))
	}
	if len(done.Later) > 0 {
		r.log.Warn("needs a restart: " + strings.Join(done.Later, ", "))
	}
	if done.Key == "" && len(done.Taken)+len(done.Later) == 0 {
		r.log.Info("reloaded: nothing has changed")
	}
	r.level.Set(next)
}

// logLevel is the least that is written to the log.
func (p *program) logLevel(c config.Config) slog.Level {
	var level slog.Level
	must(level.UnmarshalText([]byte(c.Log.Level))) // it has been checked
	if onTerminal(p.err) && !c.Asked("log.level") {
		return slog.LevelWarn // somebody reads what announce writes, not the log
	}
	return level
}

// newLog makes the log: lines on stderr. What it returns besides changes how much is written.
func (p *program) newLog(c config.Config) (*slog.Logger, *slog.LevelVar) {
	level := &slog.LevelVar{}
	level.Set(p.logLevel(c))
	o := &slog.HandlerOptions{Level: level}
	if c.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(p.err, o)), level
	}
	return slog.New(slog.NewTextHandler(p.err, o)), level
}

// serving is what the supervisor shows of a server that is ready.
func serving(f server.Facts) string {
	return fmt.Sprintf("serving %s on %s", f.Domain, strings.Join(f.Listen, ", "))
}
