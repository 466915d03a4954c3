package main

import (
	"fmt"

	"parley/ext/admin"
)

// lackingNote says what n accounts need that auth.legacy lets sign in with SCRAM-SHA-1, and that have no verifier for it.
func lackingNote(n int) string {
	if n == 1 {
		return "1 account cannot sign in with SCRAM-SHA-1 yet: it needs a new password (parley user reset NAME) or one sign-in with PLAIN"
	}
	return fmt.Sprintf("%d accounts cannot sign in with SCRAM-SHA-1 yet: they need a new password (parley user reset NAME) or one sign-in with PLAIN", n)
}

// sayLacking says that below a list of accounts, on stderr: the list is for programs too.
func (p *program) sayLacking(accounts []admin.Account) {
	n := 0
	for _, acc := range accounts {
		if acc.SHA1 != nil && !*acc.SHA1 {
			n++
		}
	}
	if n > 0 {
		fmt.Fprintln(p.err, lackingNote(n)+".")
	}
}
