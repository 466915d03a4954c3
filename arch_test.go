package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// This file holds the shape of the code base in place: who may import whom, how long files and functions may grow,
// and that no package keeps state of its own. ARCHITECTURE.md tells the reasons at length; every failure names its
// own in one sentence. Nothing is compiled here, the sources are only parsed, so a broken package does not hide the rest.

const (
	modulePath       = "parley"
	maxFileLines     = 500
	maxFunctionLines = 80
)

// exceptions lists deviations that were decided on: "path: what" and the reason. Keep it short; prefer changing the code.
// The key is what a failure prints before its reason.
var exceptions = map[string]string{}

// source is one parsed Go file of the module.
type source struct {
	path  string // slash separated, relative to the module root
	dir   string // "" for the root
	test  bool   // _test.go, or a package that only tests may import
	text  []byte
	fset  *token.FileSet
	file  *ast.File
	lines int
}

// imports returns the module's own packages that the file imports, as directories ("" is the root package).
func (s *source) imports() (own, foreign []string) {
	for _, spec := range s.file.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		if p == modulePath {
			own = append(own, "")
		} else if rest, ok := strings.CutPrefix(p, modulePath+"/"); ok {
			own = append(own, rest)
		} else {
			foreign = append(foreign, p)
		}
	}
	return own, foreign
}

// within tells whether a directory is root or lies below it.
func within(dir, root string) bool { return dir == root || strings.HasPrefix(dir, root+"/") }

// loadSources parses every Go file of the module, testdata and hidden folders apart.
func loadSources(t *testing.T) []*source {
	t.Helper()
	var all []*source
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if path != "." && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "vendor" || name == "node_modules") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		s, err := parseSource(filepath.ToSlash(path))
		if err != nil {
			t.Errorf("%s: does not parse: %v", path, err)
			return nil
		}
		all = append(all, s)
		return nil
	})
	if err != nil {
		t.Fatalf("walk the module: %v", err)
	}
	return all
}

func parseSource(path string) (*source, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, text, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	dir := ""
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		dir = path[:i]
	}
	return &source{
		path: path, dir: dir, text: text, fset: fset, file: file,
		test:  strings.HasSuffix(path, "_test.go") || within(dir, "imtest") || within(dir, "store/storetest"),
		lines: bytes.Count(text, []byte("\n")),
	}, nil
}

// complain reports one broken rule unless it is among the exceptions.
func complain(t *testing.T, what, reason string) {
	t.Helper()
	if _, ok := exceptions[what]; !ok {
		t.Errorf("%s\n\treason: %s", what, reason)
	}
}

// importRule says what the packages at or below root may import of this module.
type importRule struct {
	root   string
	may    []string // directories; "dir/..." includes what lies below; nil: see never
	never  []string // directories and what lies below them
	reason string
}

// importRules is the table of ARCHITECTURE.md. The first rule whose root fits a package counts.
var importRules = []importRule{
	{root: "xmpp", may: []string{"xmpp/..."},
		reason: "the protocol serves both sides of the wire and knows nothing of the server"},
	{root: "config", may: []string{},
		reason: "the configuration is plain values; whoever is configured reads it, it knows nobody"},
	{root: "store", may: []string{"store/...", "xmpp/jid"},
		reason: "the store keeps bytes by owner and knows no stanzas"},
	{root: "backup", may: []string{},
		reason: "the file of a backup is a format; what goes into it is the wiring's business"},
	{root: "auth", may: []string{"auth/...", "xmpp/...", "store"},
		reason: "accounts and credentials stand below the hall and do not choose a database"},
	{root: "im", may: []string{"im/...", "xmpp/...", "store"},
		reason: "the hall must not know accounts' credentials, extensions, connections or a database"},
	{root: "ext", may: []string{"im", "auth", "store", "xmpp/..."},
		reason: "an extension is one folder that can be taken away: it never leans on another one or on the wiring"},
	{root: "c2s", may: []string{"c2s/...", "im", "auth", "xmpp/..."},
		reason: "connections carry stanzas to the hall; what is done with them is not their business"},
	{root: "s2s", may: []string{"s2s/...", "im", "auth", "xmpp/..."},
		reason: "connections carry stanzas to the hall; what is done with them is not their business"},
	{root: "server", never: []string{"tui", "client", "load"},
		reason: "the server wires the server's parts; clients are other programs"},
}

func TestImportRules(t *testing.T) {
	sources := loadSources(t)
	for _, s := range sources {
		own, _ := s.imports()
		for _, dir := range own {
			what := fmt.Sprintf("%s: imports %s/%s", s.path, modulePath, dir)
			if dir == "" {
				complain(t, what, "nothing imports main: what others need belongs into a package")
			}
			if s.test {
				continue
			}
			if within(dir, "imtest") || within(dir, "store/storetest") {
				complain(t, what, "the test harness and the conformance suite are imported by tests only")
			}
			checkImport(t, s, dir, what)
		}
	}
	checkClients(t, sources)
}

func checkImport(t *testing.T, s *source, dir, what string) {
	t.Helper()
	i := slices.IndexFunc(importRules, func(r importRule) bool { return within(s.dir, r.root) })
	if i < 0 {
		return
	}
	r := importRules[i]
	if slices.ContainsFunc(r.never, func(n string) bool { return within(dir, n) }) {
		complain(t, what, r.reason)
		return
	}
	if r.may == nil || dir == s.dir {
		return
	}
	if r.root == "ext" && within(dir, "ext") {
		// Folders inside one extension belong together.
		if a, b := strings.Split(s.dir, "/"), strings.Split(dir, "/"); len(a) > 1 && len(b) > 1 && a[1] == b[1] {
			return
		}
	}
	for _, m := range r.may {
		if root, ok := strings.CutSuffix(m, "/..."); dir == m || ok && within(dir, root) {
			return
		}
	}
	complain(t, what, r.reason+"; it may import "+orNothing(r.may))
}

func orNothing(list []string) string {
	if len(list) == 0 {
		return "nothing of ours"
	}
	return strings.Join(list, ", ")
}

// checkClients follows the imports of the client side to their ends: none of them may lead to the hall.
func checkClients(t *testing.T, sources []*source) {
	t.Helper()
	next := map[string][]string{}
	for _, s := range sources {
		if own, _ := s.imports(); !s.test {
			next[s.dir] = append(next[s.dir], own...)
		}
	}
	for dir := range next {
		if !within(dir, "client") && !within(dir, "tui") && !within(dir, "load") {
			continue
		}
		if way := findWay(next, dir, "im"); way != nil {
			complain(t, dir+": reaches im by "+strings.Join(way, " → "),
				"clients know the protocol only, so that they work with any server and stay small")
		}
	}
}

// findWay returns the chain of imports from one directory to another, nil when there is none.
func findWay(next map[string][]string, from, to string) []string {
	seen := map[string]bool{}
	var walk func(dir string) []string
	walk = func(dir string) []string {
		if dir == to {
			return []string{dir}
		}
		if seen[dir] {
			return nil
		}
		seen[dir] = true
		for _, d := range next[dir] {
			if way := walk(d); way != nil {
				return append([]string{dir}, way...)
			}
		}
		return nil
	}
	return walk(from)
}

func TestForeignImports(t *testing.T) {
	forbidden := map[string]string{
		"encoding/xml": "there is one scanner and one serializer on the wire, parley/xmpp/xml; encoding/xml is for tests to compare with",
		"math/rand":    "identifiers, salts and nonces must not be guessable: use crypto/rand",
		"math/rand/v2": "identifiers, salts and nonces must not be guessable: use crypto/rand",
	}
	for _, s := range loadSources(t) {
		if s.test {
			continue
		}
		_, foreign := s.imports()
		for _, p := range foreign {
			if reason, ok := forbidden[p]; ok {
				complain(t, s.path+": imports "+p, reason)
			}
		}
	}
}

func TestNoDumpingGrounds(t *testing.T) {
	names := []string{"util", "utils", "common", "helper", "helpers"}
	told := map[string]bool{}
	for _, s := range loadSources(t) {
		for _, part := range strings.Split(s.dir, "/") {
			if slices.Contains(names, part) && !told[s.dir] {
				told[s.dir] = true
				complain(t, s.dir+": a folder named "+part, "a package is named for what it provides, not for being used by several")
			}
		}
	}
}

func TestSizeBudgets(t *testing.T) {
	for _, s := range loadSources(t) {
		if s.exempt() {
			continue
		}
		if s.lines > maxFileLines {
			complain(t, fmt.Sprintf("%s: %d lines, at most %d", s.path, s.lines, maxFileLines),
				"a file is one thought; split it by subject (tables start with //arch:table and a reason)")
		}
		if s.test {
			continue
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			n := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1
			if n > maxFunctionLines {
				complain(t, fmt.Sprintf("%s: func %s: %d lines, at most %d", s.path, f.Name.Name, n, maxFunctionLines),
					"a function does one thing; name its steps")
			}
		}
	}
}

// exempt tells whether a file is generated or declared a table (a line "//arch:table reason"), and so may be long.
func (s *source) exempt() bool {
	if ast.IsGenerated(s.file) {
		return true
	}
	for _, g := range s.file.Comments {
		for _, c := range g.List {
			if reason, ok := strings.CutPrefix(c.Text, "//arch:table "); ok && strings.TrimSpace(reason) != "" {
				return true
			}
		}
	}
	return false
}
