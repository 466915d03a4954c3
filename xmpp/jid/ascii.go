package jid

// What an ASCII byte may be part of in a canonical address, as a set of bits.
const (
	inLocal    = 1 << iota // IdentifierClass without upper case and without what RFC 7622 §3.3.1 takes out
	inDomain               // letters, digits, hyphen (RFC 5890 §2.3.1); dots separate them
	inResource             // FreeformClass: everything printable
)

// canonical says for each byte where it may stand as it is. Everything outside ASCII takes the slow way.
var canonical = func() (table [256]uint8) {
	for c := byte(' '); c < 0x7f; c++ {
		table[c] = inResource
		if c != ' ' && !(c >= 'A' && c <= 'Z') && !excluded(rune(c)) {
			table[c] |= inLocal
		}
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' {
			table[c] |= inDomain
		}
	}
	return table
}()

// excluded tells of the characters that the profile of usernames allows and a localpart may not have (RFC 7622 §3.3.1).
func excluded(r rune) bool {
	switch r {
	case '"', '&', '\'', '/', ':', '<', '>', '@':
		return true
	}
	return false
}

// parseCanonical is Parse for addresses of ASCII that are canonical as they stand. It says no to everything else,
// right or wrong, and to domains that need a closer look (IPv6, a trailing dot, xn--).
func parseCanonical(s string) (JID, bool) {
	at := 0
	for at < len(s) && canonical[s[at]]&inLocal != 0 {
		at++
	}
	local, domain := 0, 0
	if at < len(s) && s[at] == '@' {
		local, domain = at, at+1
		if local == 0 || local > MaxPart {
			return JID{}, false
		}
	}
	bare, ok := scanDomain(s, domain)
	if !ok || bare-domain > MaxPart {
		return JID{}, false
	}
	if bare == len(s) {
		return JID{full: s, local: uint16(local), bare: uint16(bare)}, true
	}
	if s[bare] != '/' || !plainResource(s[bare+1:]) {
		return JID{}, false
	}
	return JID{full: s, local: uint16(local), bare: uint16(bare)}, true
}

// scanDomain returns where the domain that begins at from ends, and whether each of its labels is canonical.
func scanDomain(s string, from int) (end int, ok bool) {
	label, i := from, from
	for ; i < len(s); i++ {
		c := s[i]
		if canonical[c]&inDomain != 0 {
			continue
		}
		if c != '.' {
			break
		}
		if !plainLabel(s[label:i]) {
			return i, false
		}
		label = i + 1
	}
	return i, plainLabel(s[label:i])
}

// plainLabel tells whether a label of letters, digits and hyphens has its hyphens where it may (RFC 5891 §4.2.3.1).
func plainLabel(l string) bool {
	return l != "" && l[0] != '-' && l[len(l)-1] != '-' && (len(l) < 4 || l[2] != '-' || l[3] != '-')
}

// plainResource tells whether r is a canonical resourcepart of ASCII.
func plainResource(r string) bool {
	for i := 0; i < len(r); i++ {
		if canonical[r[i]]&inResource == 0 {
			return false
		}
	}
	return r != "" && len(r) <= MaxPart
}

// plainLocal tells whether l is a canonical localpart of ASCII.
func plainLocal(l string) bool {
	for i := 0; i < len(l); i++ {
		if canonical[l[i]]&inLocal == 0 {
			return false
		}
	}
	return l != "" && len(l) <= MaxPart
}
