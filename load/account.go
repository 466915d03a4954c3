package load

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/xdg-go/scram"
)

// Account is one user of the server that is measured.
type Account struct{ Name, Password string }

// Made are accounts that the generator makes up: prefix0, prefix1, … Their passwords are always the same, so that a later
// run finds the accounts of an earlier one.
func Made(prefix string, n int) []Account {
	list := make([]Account, n)
	for i := range list {
		name := fmt.Sprint(prefix, i)
		list[i] = Account{Name: name, Password: "measured-" + name}
	}
	return list
}

// ReadAccounts reads lines of the form name:password. Empty lines, and those that begin with '#', are passed over.
func ReadAccounts(r io.Reader) ([]Account, error) {
	var list []Account
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, password, ok := strings.Cut(line, ":")
		if !ok || name == "" || password == "" {
			return nil, fmt.Errorf("line %d is not name:password", n)
		}
		list = append(list, Account{Name: name, Password: password})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read accounts: %w", err)
	}
	return list, nil
}

// user is an account with what was computed from its password: whoever signs in again does not compute it again.
type user struct {
	Account
	proof *scram.Client // for Config.Mechanism; nil for PLAIN
}

// prover makes the client's side of SCRAM.
func (c *Config) prover(a Account) (*scram.Client, error) {
	hash := scram.SHA256
	switch c.Mechanism {
	case Plain:
		return nil, nil
	case ScramSHA1:
		hash = scram.SHA1
	}
	p, err := hash.NewClient(a.Name, a.Password, "")
	if err != nil {
		return nil, fmt.Errorf("load: password of %s: %w", a.Name, err)
	}
	return p, nil
}
