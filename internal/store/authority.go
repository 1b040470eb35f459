package store

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

// An authority of etcd's members, and nobody else's: it vouches for who may
// join the store's consensus, never for a node of Holdfast.

// certificateLife is that of the authority and of what it issues. Members read
// their files anew at every handshake, so a certificate is renewed by replacing
// it.
const certificateLife = 10 * 365 * 24 * time.Hour

// MakeAuthority makes an authority: its certificate and key files, PEM.
func MakeAuthority(certFile, keyFile string, now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{SerialNumber: serial(), Subject: pkix.Name{CommonName: "holdfast etcd members"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certificateLife), IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign}
	return writePair(certFile, keyFile, template, template, key, key)
}

// IssueMember makes a member's certificate and key: for the host that others
// reach it at, as server and as client.
func IssueMember(authorityCert, authorityKey, certFile, keyFile, name, host string, now time.Time) error {
	parent, signer, err := readPair(authorityCert, authorityKey)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{SerialNumber: serial(), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certificateLife), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = append(template.DNSNames, host)
	}
	return writePair(certFile, keyFile, template, parent, key, signer)
}

func serial() *big.Int {
	n, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)) // never fails (crypto/rand)
	return n
}

func writePair(certFile, keyFile string, template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) error {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := replaceFile(keyFile, &pem.Block{Type: "PRIVATE KEY", Bytes: private}, 0o400); err != nil {
		return err
	}
	return replaceFile(certFile, &pem.Block{Type: "CERTIFICATE", Bytes: der}, 0o644)
}

// replaceFile writes a file so that who reads it sees the old one or the new.
func replaceFile(path string, b *pem.Block, mode os.FileMode) error {
	tmp := path + ".new"
	if err := os.Remove(tmp); err != nil && !os.IsNotExist(err) {
		return err
	}
	if err := os.WriteFile(tmp, pem.EncodeToMemory(b), mode); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

func readPair(certFile, keyFile string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	der := func(file string) ([]byte, error) {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		block, _ := pem.Decode(b)
		if block == nil {
			return nil, fmt.Errorf("store: %s is not PEM", file)
		}
		return block.Bytes, nil
	}
	c, err := der(certFile)
	if err != nil {
		return nil, nil, err
	}
	k, err := der(keyFile)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(c)
	if err != nil {
		return nil, nil, err
	}
	private, err := x509.ParsePKCS8PrivateKey(k)
	if err != nil {
		return nil, nil, err
	}
	key, ok := private.(*ecdsa.PrivateKey)
	if !ok {
		return nil, nil, fmt.Errorf("store: %s is no ECDSA key", keyFile)
	}
	return cert, key, nil
}

// proven says why other members would not take this one's certificate. A member
// that they refuse has no majority, and never learns the reason. Its end is left
// out: others say so, and a node's clock may be wrong.
func (c *MemberConfig) proven() error {
	own, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return fmt.Errorf("store: the member's certificate in %s and its key in %s: %w", c.Cert, c.Key, err)
	}
	authority, err := os.ReadFile(c.CA)
	if err != nil {
		return fmt.Errorf("store: the authority of the members' certificates: %w", err)
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return fmt.Errorf("store: %s holds no certificate of an authority", c.CA)
	}
	for _, der := range own.Certificate[1:] {
		if cert, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(cert)
		}
	}
	_, err = own.Leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: own.Leaf.NotBefore, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return fmt.Errorf("store: the authority in %s did not issue the member's certificate in %s: the other members refuse it (%w)", c.CA, c.Cert, err)
	}
	return nil
}
