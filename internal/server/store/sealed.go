package store

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"catenary/internal/fault"
)

// What is secret and has to be said to others, or that codes are made from, is
// encrypted in the database: AES-256-GCM, bound to its row, so that nobody who
// writes there can put one secret in another's place.

const (
	// KeySize is the size of a key in bytes, of AES-256.
	KeySize = 32
	// sealedForm is the first byte of what is encrypted as it is here: nonce
	// and ciphertext follow.
	sealedForm = 1
	// sealedSince is the version of the tables since which there is a key.
	sealedSince = 70
)

// A Key encrypts what is secret in the database. It is not in the database.
type Key struct {
	name string
	aead cipher.AEAD
}

// NewKey makes a key of its bytes.
func NewKey(secret []byte) (*Key, error) {
	if len(secret) != KeySize {
		return nil, fault.New(fault.Invalid, "a key of the database has %d bytes, not %d", KeySize, len(secret))
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	sum := sha256.Sum256(append([]byte("catenary database key\n"), secret...))
	return &Key{hex.EncodeToString(sum[:8]), aead}, err
}

// Name tells keys apart, and nothing of what they are.
func (k *Key) Name() string { return k.name }

// seal encrypts the secret of a row.
func (k *Key) seal(secret []byte, row string) []byte {
	return k.aead.Seal([]byte{sealedForm}, nil, secret, []byte(row))
}

// open decrypts the secret of a row.
func (k *Key) open(sealed []byte, row string) ([]byte, error) {
	switch {
	case k == nil:
		return nil, errLocked
	case len(sealed) == 0 || sealed[0] != sealedForm:
		return nil, fault.New(fault.Internal, "its secret is not encrypted as this program does it")
	}
	secret, err := k.aead.Open(nil, nil, sealed[1:], []byte(row))
	if err != nil {
		return nil, fault.New(fault.Internal, "its secret cannot be opened with key %s: it is damaged, of another key, or was another row's", k.name)
	}
	return secret, nil
}

var errLocked = fault.New(fault.Internal, "its secret cannot be read or written: the database has not been unlocked")

// Rows that have a secret.
func objectRow(kind string, id int64) string { return fmt.Sprintf("objects/%s/%d/secrets", kind, id) }
func factorRow(user int64) string            { return fmt.Sprintf("second_factors/%d/secret", user) }

// sealFactor is how the secret of a second factor lies in its column.
func (k *Key) sealFactor(secret string, user int64) string {
	return base64.RawStdEncoding.EncodeToString(k.seal([]byte(secret), factorRow(user)))
}

func (k *Key) openFactor(text string, user int64) (string, error) {
	sealed, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		sealed = nil // open says what is wrong
	}
	secret, err := k.open(sealed, factorRow(user))
	return string(secret), err
}

// inUse makes sure that the key is still the one in use, before something is
// encrypted with it: another server may have changed it since.
func (k *Key) inUse(ctx context.Context, db queryer) error {
	if k == nil {
		return errLocked
	}
	name, err := keyName(ctx, db)
	if err == nil && name != k.name {
		err = fault.New(fault.Unavailable, "the key of the database has been changed to %s, and this server has %s: give it the new key file and restart it", name, k.name)
	}
	return err
}

// keyName is the name of the key in use; "": nothing is encrypted yet.
func keyName(ctx context.Context, db queryer) (string, error) {
	name, err := single[string](ctx, db, "SELECT key_name FROM sealing WHERE id = 1")
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return name, err
}

// KeyName is the name of the key that the secrets are encrypted with; "": none
// has been used yet.
func (s *Store) KeyName(ctx context.Context) (string, error) {
	name, err := keyName(ctx, s.read.DB)
	if err != nil {
		return "", failed(err, "key of database %s", s.name)
	}
	return name, nil
}

// A Splitter finds the secrets of objects that older versions have put among
// the rest.
type Splitter struct {
	Kinds []string // that have any
	// Split parts a body; secrets is nil if there are none in it.
	Split func(kind string, body []byte) (rest, secrets []byte, err error)
}

// Unlock lets the store read and write what is secret. The first key is the one
// to use. What is encrypted with another of them is encrypted anew, and what is
// not encrypted yet is: all of it or nothing. A Conflict if the secrets are
// encrypted with a key that is not among these.
func (s *Store) Unlock(ctx context.Context, keys []*Key, splitter Splitter) error {
	name, err := s.KeyName(ctx)
	if err == nil && name != keys[0].name {
		err = s.change(ctx, keys, splitter)
	}
	if err != nil {
		return err
	}
	s.key = keys[0]
	return nil
}

// change encrypts everything with the first key.
func (s *Store) change(ctx context.Context, keys []*Key, splitter Splitter) error {
	was := 0 // secrets that were not encrypted
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx) error {
		if err := takeTurn(ctx, tx.Tx, "objects"); err != nil {
			return err
		}
		name, err := keyName(ctx, tx.Tx) // as it is now that it is our turn
		if err != nil || name == keys[0].name {
			return err
		}
		if name == "" {
			was, err = keys[0].sealPlain(ctx, tx.Tx, splitter)
		} else {
			err = reseal(ctx, tx.Tx, keys, name)
		}
		if err != nil {
			return err
		}
		return putKeyName(ctx, tx.Tx, keys[0].name)
	})
	if err != nil {
		return failed(err, "secrets in database %s", s.name)
	}
	if was == 0 || s.engine != sqlite {
		return nil
	}
	// The file still has the old rows, in its free pages and its journal.
	for _, query := range []string{"VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"} {
		if _, err := s.write.DB.ExecContext(ctx, query); err != nil { // a large file takes minutes
			return failed(err, "secrets in database %s are encrypted, but may still be read in free pages of the file: run VACUUM", s.name)
		}
	}
	return nil
}

func putKeyName(ctx context.Context, tx execer, name string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO sealing (id, key_name, since) VALUES (1, $1, $2)
		ON CONFLICT (id) DO UPDATE SET key_name = excluded.key_name, since = excluded.since`, name, micros(time.Now()))
	return err
}

// A sealing is one row that has a secret, encrypted or not.
type sealing struct {
	kind    string // of an object; factorKind: it is a user's second factor
	id      int64
	name    string
	gone    bool // of an object that was deleted
	body    []byte
	secrets []byte
}

const factorKind = "second_factor"

// sealPlain encrypts what older versions have written, and counts it.
func (k *Key) sealPlain(ctx context.Context, tx *sql.Tx, splitter Splitter) (n int, err error) {
	for _, kind := range splitter.Kinds {
		rows, err := collect(ctx, tx, func(rows *sql.Rows) (r sealing, err error) { return r, rows.Scan(&r.id, &r.body) },
			"SELECT id, body FROM objects WHERE kind = $1 AND secrets IS NULL ORDER BY id", kind)
		if err != nil {
			return n, err
		}
		for _, r := range rows {
			rest, secrets, err := splitter.Split(kind, r.body)
			if err != nil {
				return n, fmt.Errorf("%s %d: %w", kind, r.id, err)
			}
			if secrets == nil {
				continue
			}
			if _, err := tx.ExecContext(ctx, "UPDATE objects SET body = $1, secrets = $2 WHERE kind = $3 AND id = $4",
				rest, k.seal(secrets, objectRow(kind, r.id)), kind, r.id); err != nil {
				return n, err
			}
			n++
		}
	}
	factors, err := collect(ctx, tx, func(rows *sql.Rows) (r sealing, err error) { return r, rows.Scan(&r.id, &r.name) },
		"SELECT user_id, secret FROM second_factors ORDER BY user_id")
	for i := 0; err == nil && i < len(factors); i++ {
		_, err = tx.ExecContext(ctx, "UPDATE second_factors SET secret = $1 WHERE user_id = $2", k.sealFactor(factors[i].name, factors[i].id), factors[i].id)
	}
	return n + len(factors), err
}

// reseal encrypts with the first of the keys what is encrypted with the one of
// that name.
func reseal(ctx context.Context, tx *sql.Tx, keys []*Key, name string) error {
	old, err := keyOf(keys, name)
	if err != nil {
		return err
	}
	rows, err := sealings(ctx, tx)
	if err != nil {
		return err
	}
	for _, r := range rows {
		secret, err := old.open(r.secrets, r.row())
		if err != nil {
			return fmt.Errorf("%s %d: %w", r.kind, r.id, err)
		}
		if err := r.put(ctx, tx, keys[0].seal(secret, r.row())); err != nil {
			return err
		}
	}
	return nil
}

func keyOf(keys []*Key, name string) (*Key, error) {
	for _, k := range keys {
		if k.name == name {
			return k, nil
		}
	}
	return nil, fault.New(fault.Conflict, "they are encrypted with key %s, and the key file has %s", name, keys[0].name)
}

// sealings are all rows with an encrypted secret.
func sealings(ctx context.Context, db queryer) ([]sealing, error) {
	objects, err := collect(ctx, db, func(rows *sql.Rows) (r sealing, err error) {
		var deleted int64
		err = rows.Scan(&r.kind, &r.id, &r.name, &deleted, &r.secrets)
		r.gone = deleted != 0
		return r, err
	}, "SELECT kind, id, name, deleted, secrets FROM objects WHERE secrets IS NOT NULL ORDER BY kind, id")
	if err != nil {
		return nil, err
	}
	factors, err := collect(ctx, db, func(rows *sql.Rows) (r sealing, err error) {
		var text string
		err = rows.Scan(&r.id, &r.name, &text)
		r.kind = factorKind
		if r.secrets, _ = base64.RawStdEncoding.DecodeString(text); r.secrets == nil { // what is no base64 does not open
			r.secrets = []byte{}
		}
		return r, err
	}, "SELECT f.user_id, u.name, f.secret FROM second_factors f JOIN users u ON u.id = f.user_id ORDER BY f.user_id")
	return append(objects, factors...), err
}

func (r sealing) row() string {
	if r.kind == factorKind {
		return factorRow(r.id)
	}
	return objectRow(r.kind, r.id)
}

// put writes the row's secret; nil takes it away, and with it a second factor.
func (r sealing) put(ctx context.Context, tx execer, sealed []byte) error {
	var err error
	switch {
	case r.kind != factorKind:
		_, err = tx.ExecContext(ctx, "UPDATE objects SET secrets = $1 WHERE kind = $2 AND id = $3", sealed, r.kind, r.id)
	case sealed != nil:
		_, err = tx.ExecContext(ctx, "UPDATE second_factors SET secret = $1 WHERE user_id = $2", base64.RawStdEncoding.EncodeToString(sealed), r.id)
	default:
		if err = putRecoveryCodes(ctx, tx, r.id, nil); err == nil {
			_, err = tx.ExecContext(ctx, "DELETE FROM second_factors WHERE user_id = $1", r.id)
		}
	}
	return err
}

// A SealedSecret is one that is encrypted in the database.
type SealedSecret struct {
	Kind  string // of the object that has it, or "second_factor"
	ID    int64  // of the object, or of the user
	Name  string
	Opens bool // with the key that was given
}

// Sealed lists the secrets of objects that are not deleted, and of users, and
// whether the keys open them. It returns the name of the key in use, too.
func (s *Store) Sealed(ctx context.Context, keys []*Key) (list []SealedSecret, name string, err error) {
	if name, err = s.KeyName(ctx); err != nil || name == "" {
		return nil, name, err
	}
	rows, err := sealings(ctx, s.read.DB)
	if err != nil {
		return nil, name, failed(err, "secrets in database %s", s.name)
	}
	return told(rows, keys), name, nil
}

// SealedAt is Sealed of the database at an address, whose tables may be of an
// older version and stay as they are.
func SealedAt(ctx context.Context, address string, keys []*Key) (list []SealedSecret, name string, err error) {
	s, err := openExisting(address)
	if err != nil {
		return nil, "", err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	v, err := version(ctx, s.engine, s.read.DB)
	switch {
	case err != nil:
		return nil, "", failed(err, "database %s", s.name)
	case v > newest():
		return nil, "", failed(tooNew(v, newest()), "database %s", s.name)
	case v < sealedSince:
		return nil, "", nil
	}
	return s.Sealed(ctx, keys)
}

func told(rows []sealing, keys []*Key) (list []SealedSecret) {
	for _, r := range rows {
		if !r.gone {
			_, opens := r.open(keys)
			list = append(list, SealedSecret{r.kind, r.id, r.name, opens})
		}
	}
	return list
}

// open decrypts the row's secret with whichever of the keys does.
func (r sealing) open(keys []*Key) (secret []byte, ok bool) {
	for _, k := range keys {
		if secret, err := k.open(r.secrets, r.row()); err == nil {
			return secret, true
		}
	}
	return nil, false
}

// Forget gives up what none of the keys opens, and encrypts the rest with the
// first. The list is what was lost: passwords that have to be entered again, and
// people who have to set up a second factor again.
func (s *Store) Forget(ctx context.Context, keys []*Key) (lost []SealedSecret, err error) {
	err = s.inTx(ctx, func(ctx context.Context, tx bun.Tx) error {
		if err := takeTurn(ctx, tx.Tx, "objects"); err != nil {
			return err
		}
		if name, err := keyName(ctx, tx.Tx); err != nil || name == "" {
			return err
		}
		rows, err := sealings(ctx, tx.Tx)
		if err != nil {
			return err
		}
		for _, r := range rows {
			var sealed []byte
			if secret, ok := r.open(keys); ok {
				sealed = keys[0].seal(secret, r.row())
			} else {
				lost = append(lost, told([]sealing{r}, nil)...)
			}
			if err := r.put(ctx, tx.Tx, sealed); err != nil {
				return err
			}
		}
		return putKeyName(ctx, tx.Tx, keys[0].name)
	})
	if err != nil {
		return nil, failed(err, "secrets in database %s", s.name)
	}
	return lost, nil
}
