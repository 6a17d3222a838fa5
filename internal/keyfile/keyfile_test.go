package keyfile_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"catenary/internal/keyfile"
)

func newECDSA() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func newEd25519() (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return key, err
}

func TestOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.key")
	first, err := keyfile.Open(path, newECDSA)
	if err != nil {
		t.Fatal(err)
	}
	again, err := keyfile.Open(path, newECDSA)
	if err != nil || !first.Equal(again) {
		t.Errorf("opened again: %v, the same: %v", err, first.Equal(again))
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: want a file that only its owner reads", info.Mode(), err)
	}
	other, err := keyfile.Make(path, newECDSA)
	if err != nil || first.Equal(other) {
		t.Errorf("made anew: %v, the same: %v", err, first.Equal(other))
	}
	if _, err := keyfile.Open(path, newEd25519); err == nil || !strings.Contains(err.Error(), "want a ed25519.PrivateKey") {
		t.Errorf("opened as a key of another kind: %v", err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for what, content := range map[string]string{
		"nothing": "", "no PEM": "key", "two keys": strings.Repeat(string(data), 2),
		"damaged": strings.Replace(string(data), "M", "A", 1),
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if key, err := keyfile.Open(path, newECDSA); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, %v: want an error that names the file", what, key, err)
		}
		if left, err := os.ReadFile(path); err != nil || string(left) != content {
			t.Errorf("%s: the file has been changed: %q, %v", what, left, err)
		}
	}
}

func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	for _, text := range []string{"one", "two"} {
		if err := keyfile.Replace(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("%q, %v: want %q", got, err, text)
		}
	}
	if err := keyfile.Replace(dir, []byte("x")); err == nil {
		t.Error("a folder has been replaced by a file")
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*.*")); err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
	if left, err := filepath.Glob(dir + ".*"); err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}
