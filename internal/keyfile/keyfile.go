// Package keyfile is the files that hold keys: made when they are first
// needed, read by their owner only, and replaced whole or not at all.
package keyfile

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// privateKey is the type of a PEM block with a private key in PKCS #8 form.
const privateKey = "PRIVATE KEY"

// Open reads a private key, or makes one and writes it where there is none.
func Open[K any](path string, make func() (K, error)) (K, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Make(path, make)
	}
	var none K
	if err != nil {
		return none, err
	}
	block, rest := pem.Decode(data)
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return none, fmt.Errorf("%s is not one key in PEM form", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return none, fmt.Errorf("%s: %w", path, err)
	}
	key, ok := parsed.(K)
	if !ok {
		return none, fmt.Errorf("%s holds a %T, want a %T", path, parsed, none)
	}
	return key, nil
}

// Make makes a private key and writes it, in the place of one that is there.
func Make[K any](path string, make func() (K, error)) (K, error) {
	var none K
	key, err := make()
	if err != nil {
		return none, err
	}
	data, err := PEM(key)
	if err != nil {
		return none, err
	}
	if err := Replace(path, data); err != nil {
		return none, err
	}
	return key, nil
}

// PEM is a private key as a file has it.
func PEM(key any) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: privateKey, Bytes: der}), err
}

// Replace writes a file so that after a crash either the old or the new
// content is there, whole. Only its owner reads it.
func Replace(path string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}
