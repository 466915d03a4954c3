package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"parley/config"
	"parley/store"
)

// Keys of the server itself (owner 0) in the store.
const (
	keyDomain   = "domain"
	keyContacts = "contacts"
)

// The names of the self-signed certificate and its key in the data directory.
const (
	certName = "tls.crt"
	keyName  = "tls.key"
)

// CertificateError says which files of a certificate and its key cannot be used.
type CertificateError struct {
	Cert, Key string
	Err       error
}

// Error says which files, and why.
func (e *CertificateError) Error() string {
	return fmt.Sprintf("the certificate %s with the key %s: %v", e.Cert, e.Key, e.Err)
}

// Unwrap returns the reason.
func (e *CertificateError) Unwrap() error { return e.Err }

// DomainError says that a data directory belongs to another domain.
type DomainError struct{ Recorded, Asked string }

// Error names both domains.
func (e *DomainError) Error() string {
	return fmt.Sprintf("the data belongs to the domain %s, not to %s", e.Recorded, e.Asked)
}

// RecordDomain returns the domain of a data directory. At the first start it writes down whose data this is. Another
// domain than is recorded, if somebody asked for it, is a *DomainError once there are accounts.
func RecordDomain(ctx context.Context, st *store.Store, c config.Config) (string, error) {
	known, err := st.KV.Get(ctx, 0, keyDomain)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return "", fmt.Errorf("server: read the domain: %w", err)
	}
	switch {
	case len(known) > 0 && (!c.Asked("domain") || c.Domain == string(known)):
		return string(known), nil
	case len(known) > 0:
		for _, err := range st.KV.All(ctx, 0, "account/") {
			if err != nil {
				return "", fmt.Errorf("server: look for accounts: %w", err)
			}
			return "", &DomainError{Recorded: string(known), Asked: c.Domain}
		}
	}
	return c.Domain, record(ctx, st, keyDomain, c.Domain)
}

// recordContacts returns whose presence people see. At the first start it writes that down; later only somebody who asks
// for another rule changes it.
func recordContacts(ctx context.Context, st *store.Store, c config.Config) (string, error) {
	known, err := st.KV.Get(ctx, 0, keyContacts)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return "", fmt.Errorf("server: read contacts: %w", err)
	}
	if len(known) > 0 && (!c.Asked("contacts") || c.Contacts == string(known)) {
		return string(known), nil
	}
	return c.Contacts, record(ctx, st, keyContacts, c.Contacts)
}

// record writes down something of the server itself, durably.
func record(ctx context.Context, st *store.Store, key, value string) error {
	j, err := st.Begin(ctx)
	if err == nil {
		err = st.KV.Set(j, 0, key, []byte(value))
		j.End()
	}
	if err == nil {
		err = st.Wait(ctx, j.Mark())
	}
	if err != nil {
		return fmt.Errorf("server: record %s: %w", key, err)
	}
	return nil
}

// certificate reads the configured certificate, or the self-signed one of the data directory, which is made when it is
// not there.
func (s *Server) certificate(c config.Config) (pair *tls.Certificate, made bool, err error) {
	certFile, keyFile := certificateFiles(c)
	switch {
	case c.TLS.Cert != "":
	case !s.kept && s.pair.Load() != nil:
		return s.pair.Load(), false, nil
	case !s.kept:
		certPEM, keyPEM, err := selfSigned(c.Domain)
		if err != nil {
			return nil, false, err
		}
		pair, err := tls.X509KeyPair(certPEM, keyPEM)
		return &pair, false, err
	default:
		if known, err := tls.LoadX509KeyPair(certFile, keyFile); errors.Is(err, fs.ErrNotExist) ||
			err == nil && known.Leaf.VerifyHostname(c.Domain) != nil { // made while the domain was another one
			if err := makeKey(certFile, keyFile, c.Domain); err != nil {
				return nil, false, err
			}
			made = true
		}
	}
	loaded, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, false, &CertificateError{Cert: certFile, Key: keyFile, Err: err}
	}
	return &loaded, made, nil
}

// certificateFiles are the files of the server's certificate and its key.
func certificateFiles(c config.Config) (cert, key string) {
	if c.TLS.Cert != "" {
		return c.TLS.Cert, c.TLS.Key
	}
	return filepath.Join(c.Data, certName), filepath.Join(c.Data, keyName)
}

// KeyFingerprint is the Fingerprint of the certificate that a server with these settings has; an error is
// fs.ErrNotExist when it has none yet. The key itself is not read.
func KeyFingerprint(c config.Config) (string, error) {
	name, _ := certificateFiles(c)
	text, err := os.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("server: read the certificate: %w", err)
	}
	block, rest := pem.Decode(text)
	for block != nil && block.Type != "CERTIFICATE" {
		block, rest = pem.Decode(rest)
	}
	if block == nil {
		return "", fmt.Errorf("server: read the certificate %s: nothing in it is a certificate in PEM form", name)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", fmt.Errorf("server: read the certificate %s: %w", name, err)
	}
	return Fingerprint(&tls.Certificate{Leaf: leaf}), nil
}

// Fingerprint names a certificate's public key as people compare it: SHA256 and the hash of its
// SubjectPublicKeyInfo, in base64.
func Fingerprint(pair *tls.Certificate) string {
	leaf := pair.Leaf
	if leaf == nil {
		return ""
	}
	sum := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

func makeKey(certFile, keyFile, domain string) error {
	certPEM, keyPEM, err := selfSigned(domain)
	if err != nil {
		return err
	}
	// The key last: its presence says that both are there.
	for _, f := range []struct {
		name string
		data []byte
	}{{certFile, certPEM}, {keyFile, keyPEM}} {
		if err := writeDurably(f.name, f.data); err != nil {
			return fmt.Errorf("server: keep the key: %w", err)
		}
	}
	return nil
}

// writeDurably makes a file that is whole after a power cut, or not there.
func writeDurably(name string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return syncDir(filepath.Dir(name))
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// selfSigned makes a key (P-256) and a certificate for it that names the domain.
func selfSigned(domain string) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("server: make a key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, fmt.Errorf("server: make a certificate: %w", err)
	}
	cert := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: domain}, DNSNames: []string{domain},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(20, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	if domain == "localhost" {
		cert.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		return nil, nil, fmt.Errorf("server: make a certificate: %w", err)
	}
	pkcs, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("server: make a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs}), nil
}
