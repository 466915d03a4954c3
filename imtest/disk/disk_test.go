// Package disk takes the disk away from whole servers: full, failing, read-only, without power, standing still.
package disk

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley/imtest"
	"parley/imtest/proc"
)

func TestMain(m *testing.M) { proc.Main(m) }

// long is the tier that runs longer, and that alone looks at the clock.
func long() bool { return os.Getenv("PARLEY_LONG") != "" }

// mount mounts something for the time of the test. Without the right to do that the test is skipped: CI may be without.
func mount(t *testing.T, at string, args ...string) {
	t.Helper()
	if err := os.MkdirAll(at, 0o700); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("mount", append(args, at)...).CombinedOutput()
	if err != nil {
		t.Skipf("this test needs the right to mount (root): mount %s: %v: %s", strings.Join(args, " "), err, out)
	}
	t.Cleanup(func() { unmount(t, at) })
}

func unmount(t *testing.T, at string) {
	t.Helper()
	if !mounted(at) {
		return
	}
	if out, err := exec.Command("umount", at).CombinedOutput(); err != nil {
		t.Logf("umount %s: %v: %s; later then", at, err, out)
		_ = exec.Command("umount", "-l", at).Run()
	}
}

func mounted(at string) bool {
	all, err := os.ReadFile("/proc/self/mounts")
	return err == nil && strings.Contains(string(all), " "+at+" ")
}

// A drive is an ext4 file system in a file that lies in memory. A copy of the file is what a disk holds after a power
// cut: what the upper file system has not written out is not in it.
type drive struct {
	t     *testing.T
	ram   string // where the files are
	image string
	dir   string // where it is mounted
}

// newDrive makes one with the accounts of proc.Prepare on it.
func newDrive(t *testing.T) *drive {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("this test needs root: it mounts file systems")
	}
	imtest.Need(t, "mkfs.ext4")
	d := &drive{t: t, ram: filepath.Join(t.TempDir(), "ram")}
	mount(t, d.ram, "-t", "tmpfs", "-o", "size=1500m", "none")
	d.image, d.dir = filepath.Join(d.ram, "0.img"), filepath.Join(t.TempDir(), "disk")
	run(t, "truncate", "-s", "256M", d.image)
	run(t, "mkfs.ext4", "-q", "-m", "0", d.image)
	d.mount()
	proc.Prepare(t, d.data())
	return d
}

// data is the data directory on it.
func (d *drive) data() string { return filepath.Join(d.dir, "parley") }

// mount mounts the image. Nothing but fsync brings something to it within ten minutes.
func (d *drive) mount() {
	d.t.Helper()
	mount(d.t, d.dir, "-t", "ext4", "-o", "loop,commit=600,errors=remount-ro", d.image)
}

// cut copies the image as it is and puts the copy in its place, which replays its journal. No process has a file open.
func (d *drive) cut(copied func()) {
	d.t.Helper()
	next := filepath.Join(d.ram, time.Now().Format("150405.000000")+".img")
	run(d.t, "cp", "--sparse=always", d.image, next)
	copied()
	unmount(d.t, d.dir)
	if err := os.Remove(d.image); err != nil {
		d.t.Fatal(err)
	}
	d.image = next
	d.mount()
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
}

// audit starts a server on the data directory and reads all archives as clients do. Each message of sure must be in those
// of its sender and its recipient, none may be in one twice, none of no in any. It returns what is wrong.
func audit(t *testing.T, dir string, o proc.Options, sure map[string]string, no map[string]bool) (wrong []string) {
	t.Helper()
	c := proc.Start(t, dir, o)
	defer c.End(syscall.SIGTERM)
	kept := map[string]int{} // "owner: message" to how often
	for _, name := range proc.Names() {
		client := imtest.ConnectTo(t, c.Addr, name+"/audit")
		for _, m := range proc.Archive(t, client) {
			key := name + ": " + m
			if kept[key]++; kept[key] == 2 {
				wrong = append(wrong, key+" is there twice")
			}
			if no[m] {
				wrong = append(wrong, key+" was refused, and is there")
			}
		}
		client.Leave()
	}
	for m, how := range sure {
		for _, owner := range strings.Fields(m)[:2] {
			if kept[owner+": "+m] == 0 {
				wrong = append(wrong, owner+": "+m+" was "+how+", and is not there")
			}
		}
	}
	slices.Sort(wrong)
	return wrong
}

// complain reports the first of what is wrong.
func complain(t *testing.T, wrong []string) {
	t.Helper()
	for i, w := range wrong {
		if i == 10 {
			t.Fatalf("… %d in all", len(wrong))
		}
		t.Error(w)
	}
}
