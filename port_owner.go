package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// portOwner returns the name and the number of the process that listens on a TCP port, as far as /proc tells;
// 0 when it does not (no such system, another user's process).
func portOwner(port int) (name string, pid int) {
	sockets := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			// sl local_address rem_address st … inode; 0A is LISTEN
			f := strings.Fields(line)
			if len(f) > 9 && f[3] == "0A" && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
				sockets["socket:["+f[9]+"]"] = true
			}
		}
	}
	if len(sockets) == 0 {
		return "", 0
	}
	open, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range open {
		target, err := os.Readlink(fd)
		if err != nil || !sockets[target] {
			continue
		}
		process := strings.Split(fd, "/")[2]
		comm, err := os.ReadFile("/proc/" + process + "/comm")
		if err != nil {
			continue
		}
		pid, _ = strconv.Atoi(process)
		return strings.TrimSpace(string(comm)), pid
	}
	return "", 0
}
