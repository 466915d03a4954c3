package admin

import (
	"context"

	"parley/xmpp/stanza"
	"parley/xmpp/stanza/form"
)

// Nodes that the command line calls by name.
const (
	NodeAdd     = NS + "#add-user"
	NodeRemove  = NS + "#delete-user"
	NodeLock    = NS + "#disable-user"
	NodeUnlock  = NS + "#reenable-user"
	NodeReset   = NS + "#change-user-password"
	NodeCount   = NS + "#get-registered-users-num"
	NodeUsers   = stanza.NSParley + "#users"
	NodePromote = stanza.NSParley + "#promote-user"
	NodeDemote  = stanza.NSParley + "#demote-user"
	NodeImport  = stanza.NSParley + "#import-users"
)

// Command is one administrative act.
type Command struct {
	Node   string
	Word   string // after `parley admin`; "": the command line has other words for it, or none
	Name   string // for people
	Fields []Field
	Live   bool // needs a running server
	Said   bool // the note says all of what the values say

	atOnce bool // its fields need not be asked for
	quiet  bool // changes nothing: not for the log
	file   bool // takes a file, and thus is not for clients
	run    func(*Admin, context.Context, *call) (*result, error)
}

// Field is one field of a command's form.
type Field struct {
	form.Field
	Word string // its name after `parley admin`

	current bool // the form shows the message of the day in it
}

// Commands is the table of all acts, in the order in which they are listed.
func Commands() []Command {
	var list []Command
	for _, part := range [][]Command{accountCommands(), listCommands(), announceCommands(), stopCommands()} {
		list = append(list, part...)
	}
	return list
}

// The fields that several commands have.
func account() Field {
	return Field{Word: "user", Field: form.Field{Var: fieldAccount, Type: form.JIDSingle, Label: "Account", Required: true}}
}

func accounts() Field {
	return Field{Word: "user", Field: form.Field{Var: fieldAccounts, Type: jidMulti, Label: "Accounts, one a line", Required: true}}
}

func password(name, label string, required bool) Field {
	return Field{Field: form.Field{Var: name, Type: form.TextPrivate, Label: label, Required: required}}
}

func text(name, label string, required bool) Field {
	return Field{Word: "text", Field: form.Field{Var: name, Type: form.TextMulti, Label: label, Required: required}}
}

// jidMulti is a type of fields (XEP-0004 §3.3).
const jidMulti = "jid-multi"

func accountCommands() []Command {
	return []Command{
		{Node: NodeAdd, Name: "Add an account", run: (*Admin).add, Fields: []Field{
			account(), password(fieldPassword, "Password", true), password("password-verify", "Password again", false),
			{Field: form.Field{Var: "admin", Type: form.Boolean, Label: "An administrator"}}}},
		{Node: NodeRemove, Name: "Remove accounts with all that is kept for them", Fields: []Field{accounts()}, run: (*Admin).remove},
		{Node: NodeLock, Name: "Lock accounts", Fields: []Field{accounts()}, run: (*Admin).lock},
		{Node: NodeUnlock, Name: "Unlock accounts", Fields: []Field{accounts()}, run: (*Admin).unlock},
		{Node: NodeReset, Name: "Give an account a new password", run: (*Admin).reset, Fields: []Field{
			account(), password(fieldPassword, "Password", true)}},
		{Node: NodePromote, Name: "Make accounts administrators", Fields: []Field{accounts()}, run: (*Admin).promote},
		{Node: NodeDemote, Name: "Make accounts administrators no longer", Fields: []Field{accounts()}, run: (*Admin).demote},
		{Node: NodeImport, file: true, run: (*Admin).importFile},
		{Node: NS + "#end-user-session", Word: "end-session", Name: "End sessions", Live: true, run: (*Admin).endSessions,
			Fields: []Field{accounts()}},
		{Node: NS + "#get-user-lastlogin", Word: "last-seen", Name: "When somebody was last here", Live: true, Said: true, quiet: true,
			Fields: []Field{account()}, run: (*Admin).lastSeen},
		{Node: NS + "#user-stats", Word: "sessions", Name: "Which sessions an account has", Live: true, quiet: true,
			Fields: []Field{account()}, run: (*Admin).stats},
	}
}

func announceCommands() []Command {
	return []Command{
		{Node: NS + "#announce", Word: "announce", Name: "Announce to everybody online", Live: true, run: (*Admin).announce,
			Fields: []Field{text(fieldAnnouncement, "Announcement", true)}},
		{Node: stanza.NSParley + "#announce-all", Word: "announce-all", Name: "Announce to everybody, kept for who is away", Live: true,
			run: (*Admin).announceAll, Fields: []Field{text(fieldAnnouncement, "Announcement", true)}},
		{Node: NS + "#set-motd", Word: "set-motd", Name: "Set the message of the day", Live: true, run: (*Admin).setMOTD,
			Fields: []Field{text(fieldMOTD, "Message of the day: everybody gets it once", true)}},
		{Node: NS + "#edit-motd", Word: "edit-motd", Name: "Edit the message of the day", Live: true, run: (*Admin).editMOTD,
			Fields: []Field{{Word: "text", current: true, Field: form.Field{Var: fieldMOTD, Type: form.TextMulti, Required: true,
				Label: "Message of the day: who has had it does not get it again"}}}},
		{Node: NS + "#delete-motd", Word: "delete-motd", Name: "Delete the message of the day", Live: true, run: (*Admin).deleteMOTD},
	}
}

func stopCommands() []Command {
	var delays []form.Option
	for _, o := range [][2]string{{"at once", "0"}, {"30 seconds", "30"}, {"1 minute", "60"}, {"2 minutes", "120"},
		{"5 minutes", "300"}, {"10 minutes", "600"}, {"30 minutes", "1800"}, {"1 hour", "3600"}} {
		delays = append(delays, form.Option{Label: o[0], Value: o[1]})
	}
	fields := []Field{
		{Word: "delay", Field: form.Field{Var: fieldDelay, Type: form.ListSingle, Label: "Seconds until then", Values: []string{"60"}, Options: delays}},
		text(fieldAnnouncement, "Announcement to everybody online", false),
	}
	return []Command{
		{Node: NS + "#restart", Word: "restart", Name: "Restart the server", Live: true, Fields: fields, run: (*Admin).restart},
		{Node: NS + "#shutdown", Word: "shutdown", Name: "Shut the server down", Live: true, Fields: fields, run: (*Admin).shutdown},
	}
}
