package config

import "fmt"

// Validate returns nil or an *Error about the first wrong value, naming it as it was given.
func (c Config) Validate() error {
	for _, s := range Settings() {
		if problem := s.problem(&c); problem != "" {
			return c.from(s).fault(problem)
		}
	}
	if c.Data == "" {
		return &Error{What: "there is no directory for the data", Why: "neither HOME nor XDG_DATA_HOME is set",
			Fix: "--data DIR"}
	}
	return c.together()
}

// together checks values that are right alone and wrong together.
func (c Config) together() error {
	switch tlsPort, asked := c.DirectTLS(); {
	case tlsPort > 65535:
		return &Error{What: "after port 65535 there is none for direct TLS", Why: "it is the next one if nothing else is said",
			Fix: "--tls-port 5223", Usage: c.usage("port")}
	case tlsPort == c.Port && c.Port != 0:
		return &Error{What: fmt.Sprintf("port and tls_port are both %d", c.Port), Why: "two listeners cannot share a port",
			Fix: fmt.Sprintf("--tls-port %d", 1+c.Port%65535), Usage: asked && c.usage("tls_port")}
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
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
	return nil
}

// from returns where the value of a setting came from.
func (c Config) from(s Setting) origin {
	if o, ok := c.origins[s.Key]; ok {
		return o
	}
	return origin{name: s.Key, example: s.line()}
}

func (c Config) usage(key string) bool { return c.origins[key].usage }
