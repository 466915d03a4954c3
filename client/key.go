package client

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
)

// Key is what a server proved to hold during the TLS handshake.
type Key struct {
	HostPort    string // where it was met
	Host        string // the name that was asked for
	Fingerprint string // of the public key, see Fingerprint
	Verified    bool   // an authority of this computer vouches for the certificate, and it is made out for Host
}

// KeyError is a refusal of a server's key. Nothing of the user's was sent.
type KeyError struct {
	Key Key
	Err error // what Config.Trust said; nil when there is no Trust
}

// Error says which key was refused.
func (e *KeyError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("client: key %s of %s refused: %v", e.Key.Fingerprint, e.Key.HostPort, e.Err)
	}
	return fmt.Sprintf("client: no authority vouches for the key %s of %s", e.Key.Fingerprint, e.Key.HostPort)
}

// Unwrap is what Config.Trust said.
func (e *KeyError) Unwrap() error { return e.Err }

// Fingerprint names a certificate's public key: "SHA256:" and the unpadded base64 of the SHA-256 of its
// SubjectPublicKeyInfo. It stays the same when a certificate is renewed with the same key.
func Fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// tlsConfig checks the server's key by the configuration's rule in the middle of the handshake.
func (l *link) tlsConfig(cfg *Config, protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		ServerName: l.host,
		NextProtos: protocols,
		// The rule of this package replaces the default one: a key may also be known by its fingerprint.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return errors.New("client: the server showed no certificate")
			}
			return l.checkKey(cfg, state.PeerCertificates)
		},
	}
}

func (l *link) checkKey(cfg *Config, chain []*x509.Certificate) error {
	k := Key{HostPort: l.addr, Host: l.host, Fingerprint: Fingerprint(chain[0])}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{DNSName: l.host, Roots: cfg.Roots, Intermediates: between})
	k.Verified = err == nil
	if cfg.Trust == nil {
		if k.Verified {
			return nil
		}
		return &KeyError{Key: k}
	}
	if err := cfg.Trust(k); err != nil {
		return &KeyError{Key: k, Err: err}
	}
	return nil
}
