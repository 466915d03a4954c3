package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"parley/config"
	"parley/server"
)

// configCommand is `parley config` with the commands below it. They take the settings as `parley server` does.
func (p *program) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "the settings of the server: init, show, validate",
		Long: `parley config works on the settings of parley server. They come from the same places: a flag is stronger than
the environment, the environment stronger than the TOML file, and the file stronger than the default.`,
	}
	cmd.AddCommand(p.configInit(), p.configShow(), p.configValidate())
	return cmd
}

func (p *program) configInit() *cobra.Command {
	return &cobra.Command{
		Use:     "init [FILE]",
		Short:   "write a file with every setting, commented out",
		Example: "  parley config init /etc/parley/parley.toml",
		Long: `parley config init writes a TOML file with every setting, what it means and its default, all of it commented
out. Without FILE, or with "-", it goes to the output. A file that exists is left alone.`,
		Args: words("[FILE]"),
		RunE: func(_ *cobra.Command, given []string) error {
			if len(given) == 0 || given[0] == "-" {
				_, err := fmt.Fprint(p.out, config.Template())
				return err
			}
			return p.writeTemplate(given[0])
		},
	}
}

// writeTemplate writes the template to a file that does not exist yet.
func (p *program) writeTemplate(name string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err == nil {
		_, err = f.WriteString(config.Template())
		err = errors.Join(err, f.Close())
	}
	if errors.Is(err, fs.ErrExist) {
		return &failure{code: exitFailed, what: name + " exists already; nothing was changed",
			fix: "another name:  parley config init " + quoted(name+".new") + "\nsee it here:  parley config init"}
	}
	if err != nil {
		return &failure{code: exitFailed, what: "cannot write " + name, why: reason(err), fix: "parley config init > FILE"}
	}
	fmt.Fprintf(p.out, "Wrote %s. Use it:  parley server --config %s\n", harmless(name), harmless(quoted(name)))
	return nil
}

// reason is what the system said about a file, without the name of the file.
func reason(err error) string {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err.Error()
	}
	return err.Error()
}

func (p *program) configShow() *cobra.Command {
	var flags settingFlags
	var origin, asJSON, fingerprint bool
	cmd := &cobra.Command{
		Use:     "show",
		Short:   "print what every setting is, and where it came from",
		Example: "  parley config show --origin --config /etc/parley/parley.toml",
		Long: `parley config show prints every setting with its value, as lines of a TOML file, or as JSON with what it came
from. With --fingerprint it prints the fingerprint of the server's key instead: what people compare who meet the
server for the first time.`,
		Args: words(),
		RunE: func(*cobra.Command, []string) error {
			c, err := flags.load(p)
			switch {
			case err != nil:
				return err
			case fingerprint:
				return p.showFingerprint(c, asJSON)
			case asJSON:
				return json.NewEncoder(p.out).Encode(settingFacts(c))
			}
			p.showSettings(c, origin)
			return nil
		},
	}
	cmd.Flags().BoolVar(&origin, "origin", false, "say where each value came from")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print it as JSON")
	cmd.Flags().BoolVar(&fingerprint, "fingerprint", false, "print the fingerprint of the server's key, and no setting")
	flags.addTo(cmd, func(config.Setting) bool { return true })
	return cmd
}

// showSettings prints the settings as lines of a file.
func (p *program) showSettings(c config.Config, origin bool) {
	for _, s := range config.Settings() {
		line, set := s.Line(c)
		if origin && set {
			line = fmt.Sprintf("%-40s # %s", line, c.Origin(s.Key))
		}
		fmt.Fprintln(p.out, harmless(line))
	}
}

// settingFact is one setting as JSON.
type settingFact struct {
	Key    string `json:"key"`
	Value  any    `json:"value"`  // null: not set
	Origin string `json:"origin"` // default, file, environment, flag
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Name   string `json:"name,omitempty"` // of the variable or the flag
	Reload bool   `json:"reload"`         // a running server takes it over at SIGHUP
}

func settingFacts(c config.Config) (facts []settingFact) {
	for _, s := range config.Settings() {
		f := settingFact{Key: s.Key, Value: s.Value(c), Origin: "default", Reload: s.Reload}
		if _, set := s.Line(c); !set {
			f.Value = nil
		}
		switch o := c.Origin(s.Key); {
		case o.File != "":
			f.Origin, f.File, f.Line = "file", o.File, o.Line
		case o.Env != "":
			f.Origin, f.Name = "environment", o.Env
		case o.Arg != "":
			f.Origin, f.Name = "flag", o.Arg
		}
		facts = append(facts, f)
	}
	return facts
}

func (p *program) showFingerprint(c config.Config, asJSON bool) error {
	print, err := server.KeyFingerprint(c)
	switch {
	case errors.Is(err, fs.ErrNotExist) && c.TLS.Cert == "":
		return &failure{code: exitFailed, what: "there is no key in " + c.Data + " yet", why: "the server makes it at its first start",
			fix: "parley server" + dataFlag(c) + "\nanother directory:  --data DIR"}
	case errors.Is(err, fs.ErrPermission):
		return &failure{code: exitFailed, what: fmt.Sprintf("cannot read the server's certificate: permission denied (running as user %s)", userName()),
			fix: "run it as the user that the server runs as"}
	case err != nil:
		return &failure{code: exitFailed, what: "cannot read the server's certificate", why: reason(err)}
	}
	if asJSON {
		return json.NewEncoder(p.out).Encode(map[string]string{"fingerprint": print})
	}
	_, err = fmt.Fprintln(p.out, print)
	return err
}

func (p *program) configValidate() *cobra.Command {
	var flags settingFlags
	cmd := &cobra.Command{
		Use:     "validate [FILE]",
		Short:   "say everything that is wrong with the settings",
		Example: "  parley config validate /etc/parley/parley.toml",
		Long: `parley config validate reads the settings as parley server would, from FILE or the file of --config, the
environment and the flags, and says everything that is wrong with them. It ends with 3 if anything is.`,
		Args: words("[FILE]"),
		RunE: func(_ *cobra.Command, given []string) error {
			if len(given) == 1 {
				if flags.file != "" && flags.file != given[0] {
					return misuse("leave one of them out", "FILE is given twice: %s as a word and %s as --config", given[0], flags.file)
				}
				flags.file = given[0]
			}
			return p.validate(flags.sources(p))
		},
	}
	flags.addTo(cmd, func(config.Setting) bool { return true })
	return cmd
}

// validate prints all faults of the settings but the last, and returns that one.
func (p *program) validate(src config.Sources) error {
	c, faults := config.Check(src)
	var all []*failure
	for _, e := range faults {
		all = append(all, asFailure(e))
	}
	var cert *failure
	if c.TLS.Cert != "" && c.TLS.Key != "" && errors.As(checkCertificate(c.TLS), &cert) {
		all = append(all, cert)
	}
	if last := len(all) - 1; last >= 0 {
		for _, f := range all[:last] {
			f.print(p.err)
		}
		all[last].code = exitConfig
		return all[last]
	}
	given := 0
	for _, s := range config.Settings() {
		if c.Asked(s.Key) {
			given++
		}
	}
	file := src.File
	if file == "" {
		file = "no file"
	}
	fmt.Fprintf(p.out, "%s: nothing is wrong, %s given\n", harmless(file), count(given, "setting"))
	return nil
}
