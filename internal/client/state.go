package client

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"catenary/internal/endpoint"
	"catenary/internal/keyfile"
)

// A state is the folder that survives a restart: the client's key, its
// certificate and who it is. The key never leaves it.
type state struct {
	dir string
	key *ecdsa.PrivateKey
	who who
}

// who is the content of identity.json.
type who struct {
	ID          endpoint.ID `json:"id"`
	ComputerID  uint32      `json:"computer_id"`
	Incarnation uint64      `json:"incarnation"` // grows with each start
	Certificate []byte      `json:"certificate"` // DER; empty before enrolment
}

const (
	keyFile = "client.key"
	whoFile = "identity.json"
)

// openState reads the folder, or makes it and a new key, and counts the start.
func openState(dir string) (*state, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	s := &state{dir: dir}
	var err error
	if s.key, err = keyfile.Open(filepath.Join(dir, keyFile), newKey); err != nil {
		return nil, fmt.Errorf("client key: %w", err)
	}
	data, err := os.ReadFile(filepath.Join(dir, whoFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	default:
		if err := json.Unmarshal(data, &s.who); err != nil {
			return nil, fmt.Errorf("%s: %w; remove the file to enrol this machine anew", whoFile, err)
		}
	}
	s.who.Incarnation++
	return s, s.save()
}

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func (s *state) save() error {
	data, err := json.MarshalIndent(s.who, "", "  ")
	if err != nil {
		return err
	}
	return keyfile.Replace(filepath.Join(s.dir, whoFile), append(data, '\n'))
}

// reset forgets who the machine was: its key has turned out to be in use
// elsewhere. The next start of life enrols it under a new one.
func (s *state) reset() error {
	key, err := keyfile.Make(filepath.Join(s.dir, keyFile), newKey)
	if err != nil {
		return err
	}
	s.key, s.who = key, who{Incarnation: 1}
	return s.save()
}

// publicKey is the client's public key in PKIX form.
func (s *state) publicKey() ([]byte, error) { return x509.MarshalPKIXPublicKey(s.key.Public()) }

// certificate is what the client shows on links.
func (s *state) certificate() *tls.Certificate {
	return &tls.Certificate{Certificate: [][]byte{s.who.Certificate}, PrivateKey: s.key}
}
