package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Sources says where settings come from. Each of them may be zero.
type Sources struct {
	Args   map[string]Arg           // from the command line, by key; stronger than everything else
	Getenv func(name string) string // stronger than the file
	File   string                   // path of the TOML file; empty: none
}

// Arg is one setting as it was given on the command line.
type Arg struct {
	Text    string // as typed
	Name    string // how the person calls it: "--port", or "PORT" for a word without a flag
	Example string // a command line that is right; empty: the flag with a good value
}

// Origin tells where the value of a setting came from. The zero value is the default.
type Origin struct {
	File string // path of the TOML file, and
	Line int    // its line
	Env  string // name of the variable
	Arg  string // what it is called on the command line: "--port", or "PORT" for a word
}

// String names the place as people do: "default", "line 3 of parley.toml", "PARLEY_PORT", "--port".
func (o Origin) String() string {
	switch {
	case o.File != "":
		return fmt.Sprintf("line %d of %s", o.Line, o.File)
	case o.Env != "":
		return o.Env
	case o.Arg != "":
		return o.Arg
	}
	return "default"
}

// origin is an Origin with what a fault needs.
type origin struct {
	Origin
	name    string // as a person would call the setting there: "--port", "PARLEY_PORT", "port"
	example string // a good value in the same place
}

// Load reads all sources, the stronger over the weaker, over the defaults, and brings the values into their
// normal form. It returns an *Error for the first thing that cannot be read at all; Validate says what else is wrong.
func Load(src Sources) (Config, error) {
	c, faults := read(src)
	if len(faults) > 0 {
		return Config{}, summary(faults)
	}
	return c, nil
}

// Check reads all sources like Load, and returns everything that is wrong with them: what cannot be read, and what
// Validate would find.
func Check(src Sources) (Config, []*Error) {
	c, faults := read(src)
	return c, append(faults, c.faults()...)
}

// summary is the first of several faults, with the unknown keys that follow it if it is one: of those there are often
// several.
func summary(faults []*Error) *Error {
	first := *faults[0]
	if !strings.Contains(first.What, ": unknown key ") {
		return &first
	}
	n := 0
	for _, e := range faults[1:] {
		line, key, ok := strings.Cut(e.What, ": unknown key ")
		if !ok {
			continue
		}
		key, _, _ = strings.Cut(key, " in ")
		switch n++; {
		case n == 1:
			first.Why = "it is not the only one:"
		case n > 5:
			first.Why += ", …"
			return &first
		default:
			first.Why += ","
		}
		first.Why += fmt.Sprintf(" %s in line %s", key, strings.TrimPrefix(line, "config line "))
	}
	return &first
}

// read reads all sources. Values that cannot be read are faults, and their settings keep what is weaker.
func read(src Sources) (Config, []*Error) {
	getenv := src.Getenv
	if getenv == nil {
		getenv = func(string) string { return "" }
	}
	c := Default()
	c.origins = map[string]origin{}
	var faults []*Error
	if src.File != "" {
		faults = c.readFile(src.File)
	}
	for _, s := range Settings() {
		if text := getenv(s.Env()); text != "" {
			o := origin{Origin: Origin{Env: s.Env()}, name: s.Env(), example: s.Env() + "=" + s.example()}
			faults = append(faults, c.give(s, text, o)...)
		}
		if arg, ok := src.Args[s.Key]; ok {
			o := origin{Origin: Origin{Arg: arg.Name}, name: arg.Name, example: arg.Example}
			if o.example == "" {
				o.example = "--" + s.Flag() + " " + s.example()
			}
			faults = append(faults, c.give(s, arg.Text, o)...)
		}
	}
	for _, s := range Settings() {
		s.tidy(&c)
	}
	c.Data = dataDir(c.Data, getenv)
	return c, faults
}

// give parses one value and remembers where it came from.
func (c *Config) give(s Setting, text string, o origin) []*Error {
	if problem := s.set(c, text); problem != "" {
		return []*Error{o.fault(problem)}
	}
	c.origins[s.Key] = o
	return nil
}

// fault makes the error about a value that came from here.
func (o origin) fault(problem string) *Error {
	e := &Error{What: o.name + " " + problem, Fix: "for example:  " + o.example, Usage: o.Arg != ""}
	if o.File != "" {
		e.What = inFile(o.File, o.Line, e.What)
	}
	return e
}

// example returns a good value as it would be typed.
func (s Setting) example() string {
	if s.Example != "" {
		return s.Example
	}
	return s.Default
}

// dataDir completes the name of the data directory. It returns "" when there is no place for it by default.
func dataDir(given string, getenv func(string) string) string {
	home := getenv("HOME")
	if home == "" {
		home = getenv("USERPROFILE")
	}
	switch {
	case home != "" && (given == "~" || strings.HasPrefix(given, "~/")):
		return filepath.Join(home, given[1:])
	case given != "":
		return filepath.Clean(given)
	}
	if base := getenv("XDG_DATA_HOME"); filepath.IsAbs(base) { // relative ones are to be ignored, says XDG
		return filepath.Join(base, "parley")
	}
	if home == "" {
		return ""
	}
	return filepath.Join(home, ".local", "share", "parley")
}

// readFile takes over the settings of a TOML file, and returns what is wrong with it.
func (c *Config) readFile(path string) []*Error {
	text, err := os.ReadFile(path)
	if err != nil {
		var at *fs.PathError
		why := err.Error()
		if errors.As(err, &at) {
			why = at.Err.Error()
		}
		return []*Error{{What: fmt.Sprintf("cannot read the configuration file %s", path), Why: why,
			Fix: "give the right name with  --config FILE  or leave it out"}}
	}
	return c.decode(path, text)
}
