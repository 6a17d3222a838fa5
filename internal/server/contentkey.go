package server

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"time"

	"catenary/internal/seal"
)

// SignContent signs content with the installation's signing key.
func (s *Server) SignContent(content []byte) []byte {
	sum := sha256.Sum256(content)
	return s.keys.Sign(seal.Content, sum[:])
}

// VerifyContent returns an error unless the signature is that of a signing key
// of this installation over the content.
func (s *Server) VerifyContent(content, signature []byte) error {
	ring := seal.NewRing(s.keys.Root)
	for _, v := range s.keys.Vouchers {
		if err := ring.Add(v); err != nil {
			return err
		}
	}
	said, err := ring.Open(time.Now(), seal.Content, signature)
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(content); !bytes.Equal(said, sum[:]) {
		return errors.New("the content is not what was signed")
	}
	return nil
}
