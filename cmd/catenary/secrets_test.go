//go:build unix

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"catenary/internal/fault"
	"catenary/internal/server/store/storetest"
)

// TestSecretsTravel: a directory's password is nowhere as it is; it goes with
// the database to another one, and by a backup; it needs its key there, and who
// has lost that is told what to enter again.
func TestSecretsTravel(t *testing.T) {
	const password = "bind-pass-4711"
	dir := t.TempDir()
	s := newLoneServer(t, dir, freePort(t))
	session := s.session(s.start())
	if _, err := session.MakeToken(t.Context(), "survivor"); err != nil {
		t.Fatal(err)
	}
	connector := map[string]any{"name": "corp", "host": "127.0.0.1", "port": 1, "secure": true, "ldap_user": "cn=x", "ldap_password": password, "users_base": "dc=x", "enable": false}
	if err := session.Call(t.Context(), "POST", "ldap_sync_connectors", connector, nil); err != nil {
		t.Fatal(err)
	}
	s.kill()
	key := filepath.Join(s.dir, "keys", "database.key")
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v, %v", info, err)
	}
	file, postgres, again := filepath.Join(dir, "x.backup"), storetest.PostgreSQL.Empty(t), filepath.Join(dir, "again.db")
	db := func(args ...string) string {
		t.Helper()
		out, errs, err := run(t, nil, append([]string{"db"}, args...)...)
		if err != nil {
			t.Fatalf("%q: %v", args, err)
		}
		return out + errs
	}
	data := []string{"--data-dir", s.dir}
	wants(t, db(append(data, "backup", file)...), "1 secrets are encrypted with key ", "which is in "+key)
	wants(t, db("copy", "--from", filepath.Join(s.dir, "catenary.db"), "--to", postgres), "copied ")
	wants(t, db(append(data, "secrets", "--database", postgres)...), "ldap sync connector \"corp\": opens\n", "which is in "+key)
	s.serves(session, postgres)

	hidden := key + ".hidden"
	must(t, os.Rename(key, hidden))
	said := db(append(data, "restore", file, "--database", again)...)
	wants(t, said, "and "+key+" is not there: the server does not start without it", `to be entered again then: ldap sync connector "corp"`)
	_, _, err := run(t, nil, append(data, "server", "--database", again, "--listen", s.listen, "--api", s.api)...)
	if fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), key+" is not there") || !strings.Contains(err.Error(), "catenary db secrets --forget") {
		t.Errorf("without its key: %v", err)
	}
	if _, err := os.Stat(key); err == nil {
		t.Error("a new key was made although there are secrets")
	}
	must(t, os.Rename(hidden, key))
	s.serves(session, again)

	wants(t, db(append(data, "rekey", "--database", again)...), "are encrypted with key ")
	wants(t, db(append(data, "secrets", "--database", again)...), `"corp": opens`)
	wants(t, db(append(data, "secrets", "--database", postgres)...), `"corp": does not open`, key+" has key ")
	_, _, err = run(t, nil, append(data, "server", "--database", postgres, "--listen", s.listen, "--api", s.api)...)
	if fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "and the key file has ") {
		t.Errorf("with another key: %v", err)
	}
	before, err := os.ReadFile(key)
	must(t, err)
	if _, _, err := run(t, nil, append([]string{"db", "rekey", "--database", postgres}, data...)...); fault.KindOf(err) != fault.Conflict {
		t.Errorf("rekeyed with another key: %v", err)
	}
	if after, err := os.ReadFile(key); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the key file has changed: %v", err)
	}
	wants(t, db(append(data, "secrets", "--forget", "--database", postgres)...), "ldap sync connector \"corp\": given up\n1 secrets given up\n")
	s.serves(session, postgres)
	wants(t, db(append(data, "secrets", "--database", postgres)...), "0 secrets are encrypted")

	files, err := filepath.Glob(filepath.Join(s.dir, "catenary.db*"))
	must(t, err)
	nowhere(t, password, append(files, again, s.log.Name())...)
}

func nowhere(t *testing.T, secret string, files ...string) {
	t.Helper()
	for _, name := range files {
		content, err := os.ReadFile(name)
		must(t, err)
		if bytes.Contains(content, []byte(secret)) {
			t.Errorf("the password stands in %s", name)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
