package config

import "fmt"

// Validate returns nil or an *Error about the first wrong value, naming it as it was given.
func (c Config) Validate() error {
	if faults := c.faults(); len(faults) > 0 {
		return faults[0]
	}
	return nil
}

// faults returns everything that is wrong with the values.
func (c Config) faults() (all []*Error) {
	for _, s := range Settings() {
		if problem := s.problem(&c); problem != "" {
			all = append(all, c.from(s).fault(problem))
		}
	}
	if c.Data == "" {
		all = append(all, &Error{What: "there is no directory for the data", Why: "neither HOME nor XDG_DATA_HOME is set",
			Fix: "--data DIR"})
	}
	for _, e := range []*Error{c.ports(), c.pair()} {
		if e != nil {
			all = append(all, e)
		}
	}
	return all
}

// ports checks that the two listeners get along.
func (c Config) ports() *Error {
	switch tlsPort, asked := c.DirectTLS(); {
	case c.Port == 65535 && !asked:
		return &Error{What: "after port 65535 there is none for direct TLS", Why: "it is the next one if nothing else is said",
			Fix: "--tls-port 5223", Usage: c.usage("port")}
	case tlsPort == c.Port && c.Port != 0:
		return &Error{What: fmt.Sprintf("port and tls_port are both %d", c.Port), Why: "two listeners cannot share a port",
			Fix: fmt.Sprintf("--tls-port %d", 1+c.Port%65535), Usage: asked && c.usage("tls_port")}
	}
	return nil
}

// pair checks that a certificate has its key.
func (c Config) pair() *Error {
	if (c.TLS.Cert == "") == (c.TLS.Key == "") {
		return nil
	}
	have, lack := "tls.cert", "tls.key"
	if c.TLS.Cert == "" {
		have, lack = lack, have
	}
	name := have
	if o, ok := c.origins[have]; ok {
		name = o.name
	}
	return &Error{What: fmt.Sprintf("%s is given, %s is not", name, lack),
		Why: "a certificate and its key belong together", Fix: "give both, or neither for a self-signed key",
		Usage: c.usage(have)}
}

// from returns where the value of a setting came from.
func (c Config) from(s Setting) origin {
	if o, ok := c.origins[s.Key]; ok {
		return o
	}
	return origin{name: s.Key, example: s.line()}
}

// usage reports whether the setting was given on the command line.
func (c Config) usage(key string) bool { return c.origins[key].Arg != "" }
