package main

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestPromiseIsTested: every test that docs/promise.md names exists.
func TestPromiseIsTested(t *testing.T) {
	text, err := os.ReadFile("docs/promise.md")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	err = fs.WalkDir(os.DirFS("."), ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		p, err := os.ReadFile(path)
		all.Write(p)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile("`(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(string(text), -1)
	for _, name := range names {
		if !strings.Contains(all.String(), "\nfunc "+name[1]+"(") {
			t.Errorf("docs/promise.md names %s, which there is not", name[1])
		}
	}
	if len(names) < 30 {
		t.Errorf("docs/promise.md names only %d tests", len(names))
	}
}
