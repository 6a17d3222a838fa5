package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"catenary/internal/fault"
	"catenary/internal/server"
	"catenary/internal/server/store"
)

// lostShown is how many lost secrets are named where they are mentioned in
// passing.
const lostShown = 20

func dbSecretsCommand() *cobra.Command {
	var cfg server.Config
	var forget bool
	cmd := &cobra.Command{
		Use:   "secrets",
		Short: "List the encrypted secrets, or give up those that cannot be opened",
		Long: `List what is encrypted in the database, and whether the key in the data folder
(keys/database.key) opens it: passwords and client secrets that the server has
to say to others, and what people's second factors are made from. The secrets
themselves are not shown.

With --forget what the key does not open is given up, and named: these passwords
have to be entered again, and these people set up a second factor again. A key is
made if there is none. Stop the server first.`,
		Example: `  catenary db secrets
  catenary db secrets --forget --database postgres://catenary@db.example.org/catenary`,
		Args: noWords,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, address, out := cmd.Context(), databaseAddress(cfg), cmd.OutOrStdout()
			if forget {
				return forgetSecrets(ctx, out, address, cfg.DatabaseKeyPath())
			}
			v, err := lookAtSecrets(ctx, address, cfg.DatabaseKeyPath())
			if err != nil {
				return err
			}
			for _, n := range v.list {
				opens := "opens"
				if !n.Opens {
					opens = "does not open"
				}
				fmt.Fprintf(out, "%s: %s\n", secretName(n), opens)
			}
			return v.say(out)
		},
	}
	databaseFlags(cmd.Flags(), &cfg)
	cmd.Flags().BoolVar(&forget, "forget", false, "give up what the key does not open")
	return cmd
}

func forgetSecrets(ctx context.Context, out io.Writer, address, path string) error {
	db, err := openDatabase(ctx, address)
	if err != nil {
		return err
	}
	defer db.Close() // nothing is being written any more
	lost, err := server.ForgetSecrets(ctx, db, path)
	if err != nil {
		return err
	}
	for _, n := range lost {
		fmt.Fprintf(out, "%s: given up\n", secretName(n))
	}
	_, err = fmt.Fprintf(out, "%d secrets given up\n", len(lost))
	return err
}

func dbRekeyCommand() *cobra.Command {
	var cfg server.Config
	cmd := &cobra.Command{
		Use:   "rekey",
		Short: "Put a new key in the place of the one that encrypts the secrets",
		Long: `Make a new key (keys/database.key in the data folder), and encrypt all secrets in
the database with it. Stop the server first, and all others that use the same
database; give them the new file before they start.

Backups from before need the old key: keep it with them, or make a new backup.`,
		Example: `  systemctl stop catenary
  catenary db rekey --data-dir /var/lib/catenary
  systemctl start catenary`,
		Args: noWords,
		RunE: func(cmd *cobra.Command, _ []string) error {
			db, err := openDatabase(cmd.Context(), databaseAddress(cfg))
			if err != nil {
				return err
			}
			defer db.Close() // nothing is being written any more
			name, err := server.RekeyDatabase(cmd.Context(), db, cfg.DatabaseKeyPath())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "the secrets in %s are encrypted with key %s now: %s\n", db.Name(), name, cfg.DatabaseKeyPath())
			return err
		},
	}
	databaseFlags(cmd.Flags(), &cfg)
	return cmd
}

// openDatabase opens a database that is there, and brings it up to date.
func openDatabase(ctx context.Context, address string) (*store.Store, error) {
	if _, err := store.Inspect(ctx, address); err != nil {
		return nil, err
	}
	return store.Open(ctx, address)
}

// A vault is the secrets in a database, and the file with their key.
type vault struct {
	list    []store.SealedSecret
	keyName string // with which they are encrypted; "": none is yet
	path    string // of the key's file
	problem error  // with the file
}

func lookAtSecrets(ctx context.Context, address, path string) (v vault, err error) {
	keys, problem := server.DatabaseKeys(path)
	if problem != nil && fault.KindOf(problem) != fault.NotFound && fault.KindOf(problem) != fault.Invalid {
		return v, problem
	}
	v = vault{path: path, problem: problem}
	v.list, v.keyName, err = store.SealedAt(ctx, address, keys)
	if problem == nil && !slices.ContainsFunc(keys, func(k *store.Key) bool { return k.Name() == v.keyName }) {
		v.problem = fmt.Errorf("%s has key %s", path, keys[0].Name())
	}
	return v, err
}

// say says which key the secrets need, and what is lost without it.
func (v vault) say(w io.Writer) error {
	if v.keyName == "" {
		_, err := fmt.Fprintln(w, "no secret is encrypted yet: the server does it when it starts")
		return err
	}
	fmt.Fprintf(w, "%d secrets are encrypted with key %s", len(v.list), v.keyName)
	if v.problem == nil {
		_, err := fmt.Fprintf(w, ", which is in %s\n", v.path)
		return err
	}
	_, err := fmt.Fprintf(w, ", and %v: the server does not start without it.\nIf it is lost, `catenary db secrets --forget` gives them up; to be entered again then: %s\n",
		v.problem, cmp.Or(v.lost(), "nothing"))
	return err
}

func (v vault) lost() string {
	var names []string
	for _, n := range v.list {
		if !n.Opens {
			names = append(names, secretName(n))
		}
	}
	if more := len(names) - lostShown; more > 0 {
		names = append(names[:lostShown], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

func secretName(n store.SealedSecret) string {
	kind := strings.ReplaceAll(n.Kind, "_", " ")
	if n.Name == "" {
		return fmt.Sprintf("%s %d", kind, n.ID)
	}
	return fmt.Sprintf("%s %q", kind, n.Name)
}
