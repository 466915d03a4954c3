package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"parley/store/sqlite"
)

// versionCommand is `parley version`.
func (p *program) versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "say which version this is",
		Args:  words(),
		RunE: func(*cobra.Command, []string) error {
			facts := struct {
				Version  string `json:"version"`
				Revision string `json:"revision,omitempty"`
				Go       string `json:"go"`
				System   string `json:"system"`
				SQLite   string `json:"sqlite"`
			}{version, revision(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH, sqlite.LibraryVersion}
			if asJSON {
				return json.NewEncoder(p.out).Encode(facts)
			}
			built := facts.Go + ", " + facts.System + ", SQLite " + facts.SQLite
			if facts.Revision != "" {
				built += ", " + facts.Revision
			}
			_, err := fmt.Fprintf(p.out, "parley %s (%s)\n", facts.Version, built)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print it as JSON")
	return cmd
}

// revision returns the commit that the program was built from, as far as the build knows it.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return s.Value[:12]
		}
	}
	return ""
}
