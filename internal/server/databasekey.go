package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"catenary/internal/fault"
	"catenary/internal/keyfile"
	"catenary/internal/server/shelf"
	"catenary/internal/server/store"
)

// databaseKeyFile has the keys of the database's secrets, a line each, the one
// in use first. There are several only while the key is being changed.
const databaseKeyFile = "database.key"

// DatabaseKeyPath is the file with the key of the database's secrets.
func (c Config) DatabaseKeyPath() string { return filepath.Join(c.DataDir, "keys", databaseKeyFile) }

// DatabaseKeys reads the keys of the database's secrets, the one in use first;
// NotFound if there is no such file.
func DatabaseKeys(path string) ([]*store.Key, error) {
	lines, err := databaseKeyLines(path)
	if err != nil {
		return nil, err
	}
	var keys []*store.Key
	for _, line := range lines {
		key, err := store.NewKey(line)
		if err != nil {
			return nil, fault.New(fault.Invalid, "%s: %w", path, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func databaseKeyLines(path string) (out [][]byte, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.NotFound, "%s is not there", path)
	}
	if err != nil {
		return nil, err
	}
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		key, err := hex.DecodeString(lines.Text())
		if err != nil || len(key) != store.KeySize {
			return nil, fault.New(fault.Invalid, "%s is damaged: it has a line that is not %d hexadecimal digits", path, 2*store.KeySize)
		}
		out = append(out, key)
	}
	if len(out) == 0 {
		return nil, fault.New(fault.Invalid, "%s is damaged: it has no key in it", path)
	}
	return out, nil
}

func writeDatabaseKeys(path string, keys ...[]byte) error {
	var text bytes.Buffer
	for _, key := range keys {
		fmt.Fprintf(&text, "%x\n", key)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return keyfile.Replace(path, text.Bytes())
}

func newDatabaseKey() []byte {
	key := make([]byte, store.KeySize)
	rand.Read(key) // never fails: crypto/rand ends the program instead
	return key
}

// UnlockDatabase lets the store read and write secrets, and makes their key if
// nothing is encrypted yet.
func UnlockDatabase(ctx context.Context, db *store.Store, path string) error {
	keys, err := DatabaseKeys(path)
	if fault.KindOf(err) == fault.NotFound {
		name, nameErr := db.KeyName(ctx)
		switch {
		case nameErr != nil:
			return nameErr
		case name != "":
			return fault.New(fault.Conflict, "secrets in database %s are encrypted with key %s, and %w; %s", db.Name(), name, err, wayOut)
		}
		if err = writeDatabaseKeys(path, newDatabaseKey()); err == nil {
			keys, err = DatabaseKeys(path)
		}
	}
	if err != nil {
		return fmt.Errorf("key of the database: %w", err)
	}
	err = db.Unlock(ctx, keys, shelf.Secrets(shelf.Kinds))
	if fault.KindOf(err) == fault.Conflict {
		return fmt.Errorf("%w (%s); %s", err, path, wayOut)
	}
	return err
}

const wayOut = "bring that file from the server, or the back-up, that the database comes from; without it, `catenary db secrets --forget` gives these secrets up, and says which"

// RekeyDatabase puts a new key in the place of the database's, and encrypts its
// secrets anew. Whenever it is cut off, the file has the key that is in use.
func RekeyDatabase(ctx context.Context, db *store.Store, path string) (name string, err error) {
	if err := UnlockDatabase(ctx, db, path); err != nil { // with the key that there is
		return "", err
	}
	old, err := databaseKeyLines(path)
	if err != nil {
		return "", err
	}
	fresh := newDatabaseKey()
	if err := writeDatabaseKeys(path, slices.Concat([][]byte{fresh}, old)...); err != nil {
		return "", err
	}
	if err := UnlockDatabase(ctx, db, path); err != nil {
		return "", err
	}
	if err := writeDatabaseKeys(path, fresh); err != nil {
		return "", err
	}
	return db.KeyName(ctx)
}

// ForgetSecrets gives up the secrets that no key in the file opens,
// and makes a key if there is none.
func ForgetSecrets(ctx context.Context, db *store.Store, path string) ([]store.SealedSecret, error) {
	keys, err := DatabaseKeys(path)
	if fault.KindOf(err) == fault.NotFound {
		if err = writeDatabaseKeys(path, newDatabaseKey()); err == nil {
			keys, err = DatabaseKeys(path)
		}
	}
	if err != nil {
		return nil, err
	}
	return db.Forget(ctx, keys)
}
