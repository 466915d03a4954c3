package main

import (
	"strings"

	"github.com/spf13/cobra"

	"parley/config"
)

// settingFlags collects what the command line says about settings.
type settingFlags struct {
	args map[string]config.Arg
	file string // --config
}

// addTo makes a flag of each setting that want picks, and --config.
func (f *settingFlags) addTo(cmd *cobra.Command, want func(config.Setting) bool) {
	f.args = map[string]config.Arg{}
	cmd.Flags().SortFlags = false
	for _, s := range config.Settings() {
		if !want(s) {
			continue
		}
		doc := s.Doc
		if s.Default != "" {
			doc += " Default: " + s.Default
		} else {
			doc += " Default: " + s.Unset
		}
		flag := cmd.Flags().VarPF(&settingFlag{s, f.args}, s.Flag(), "", strings.ReplaceAll(doc, "`", ""))
		if s.Kind == config.Switch {
			flag.NoOptDefVal = "true"
		}
		// The settings in sections are for few: help shows them on their own page.
		if strings.Contains(s.Key, ".") {
			flag.Annotations = map[string][]string{onOwnPage: {}}
		}
		complete(cmd, s)
	}
	cmd.Flags().StringVar(&f.file, "config", "", "read settings from the TOML `FILE` (or PARLEY_CONFIG); all of them: parley help config")
	must(cmd.MarkFlagFilename("config", "toml"))
}

// onOwnPage is the annotation of a flag that the help of its command leaves out.
const onOwnPage = "on a page of its own"

// complete tells the shells what the value of a setting may be.
func complete(cmd *cobra.Command, s config.Setting) {
	switch {
	case s.Kind == config.Choice:
		must(cmd.RegisterFlagCompletionFunc(s.Flag(), cobra.FixedCompletions(s.Choices, cobra.ShellCompDirectiveNoFileComp)))
	case s.Kind == config.Switch:
		must(cmd.RegisterFlagCompletionFunc(s.Flag(), cobra.FixedCompletions([]string{"true", "false"}, cobra.ShellCompDirectiveNoFileComp)))
	case s.Key == "data":
		must(cmd.MarkFlagDirname(s.Flag()))
	case s.Key != "tls.cert" && s.Key != "tls.key": // those are files
		must(cmd.RegisterFlagCompletionFunc(s.Flag(), cobra.NoFileCompletions))
	}
}

// must is for errors that say that this program was put together wrongly, such as a flag that does not exist.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// sources says where the settings come from.
func (f *settingFlags) sources(p *program) config.Sources {
	file := f.file
	if file == "" {
		file = p.getenv("PARLEY_CONFIG")
	}
	return config.Sources{Args: f.args, Getenv: p.getenv, File: file}
}

// load reads the settings from all sources and checks them.
func (f *settingFlags) load(p *program) (config.Config, error) {
	c, err := config.Load(f.sources(p))
	if err != nil {
		return c, err
	}
	return c, c.Validate()
}

// settingFlag is one setting as a flag. It keeps the text; config parses it like all others.
type settingFlag struct {
	setting config.Setting
	args    map[string]config.Arg
}

// Set takes a value; a list may be given in several flags.
func (f *settingFlag) Set(text string) error {
	if before, ok := f.args[f.setting.Key]; ok && f.setting.Kind == config.List {
		text = before.Text + "," + text
	}
	f.args[f.setting.Key] = config.Arg{Text: text, Name: "--" + f.setting.Flag()}
	return nil
}

// String returns nothing: defaults are in the text of the help.
func (f *settingFlag) String() string { return "" }

// Type is what the help writes for the value.
func (f *settingFlag) Type() string {
	switch f.setting.Kind {
	case config.Number:
		return "number"
	case config.Seconds:
		return "seconds"
	case config.Switch:
		return "bool"
	case config.List:
		return "list"
	case config.Choice:
		return strings.Join(f.setting.Choices, "|")
	default:
		return "text"
	}
}
