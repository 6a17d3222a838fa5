package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"catenary/internal/cli"
	"catenary/internal/fault"
	"catenary/internal/server"
	"catenary/internal/server/store"
)

// databaseVariable names the database where no flag does: an address with a
// password is then not seen in the list of processes.
const databaseVariable = "CATENARY_DATABASE"

// databaseFlags are those of every command that opens the database.
func databaseFlags(f *pflag.FlagSet, c *server.Config) {
	f.StringVar(&c.DataDir, "data-dir", "/var/lib/catenary", "folder for keys, and for the database unless it is elsewhere")
	f.StringVar(&c.Database, "database", "", "address of the database: a file, or postgres://user@host/name (default: $"+databaseVariable+", or catenary.db in the data folder)")
}

// databaseAddress is where the database is, by flag, environment or default.
func databaseAddress(c server.Config) string {
	c.Database = cmp.Or(c.Database, os.Getenv(databaseVariable))
	return c.DatabaseAddress()
}

func dbCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "db",
		Short: "Look after the server's database",
		Long: `Look after the server's database: SQLite, in the data folder, or PostgreSQL.

A PostgreSQL is named by postgres://user@host:port/name, with the parameters of
libpq. Leave the password out and put it into ~/.pgpass or $PGPASSWORD; nobody
then sees it in a list of processes, and no command shows it.

The keys in the data folder are not in the database: back them up, too. One of
them, keys/database.key, opens what is encrypted in the database.`,
		Example: `  catenary db status
  catenary db backup /backup/catenary-$(date +%F).backup
  catenary db copy --from /var/lib/catenary/catenary.db --to postgres://catenary@db.example.org/catenary`,
	}
	cmd.AddCommand(dbStatusCommand(), dbMigrateCommand(), dbBackupCommand(), dbRestoreCommand(), dbCopyCommand(), dbSecretsCommand(), dbRekeyCommand())
	cli.Group(cmd)
	return cmd
}

func dbStatusCommand() *cobra.Command {
	var cfg server.Config
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Show what is in the database, and whether its tables are up to date",
		Example: `  catenary db status --database postgres://catenary@db.example.org/catenary`,
		Args:    noWords,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := store.Inspect(cmd.Context(), databaseAddress(cfg))
			if err != nil {
				return err
			}
			if asJSON {
				return writeStateJSON(cmd.OutOrStdout(), s)
			}
			return writeState(cmd.OutOrStdout(), s)
		},
	}
	databaseFlags(cmd.Flags(), &cfg)
	cmd.Flags().BoolVar(&asJSON, "json", false, "as one JSON object")
	return cmd
}

func writeStateJSON(w io.Writer, s store.State) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(struct {
		Database string                `json:"database"`
		Engine   string                `json:"engine"`
		Size     int64                 `json:"size"`
		Version  int64                 `json:"version"`
		Newest   int64                 `json:"newest_version"`
		Tables   []store.TableContents `json:"tables"`
	}{s.Name, s.Engine, s.Size, s.Version, s.Newest, s.Tables})
}

func writeState(w io.Writer, s store.State) error {
	tables := fmt.Sprintf("version %d, up to date", s.Version)
	if s.Version < s.Newest {
		tables = fmt.Sprintf("version %d; this program's are %d: it brings them up to date when it starts, or with `catenary db migrate`", s.Version, s.Newest)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "Database\t%s\nEngine\t%s\nSize\t%s\nTables\t%s\n", s.Name, s.Engine, humanize.IBytes(uint64(s.Size)), tables)
	for _, n := range s.Tables {
		fmt.Fprintf(t, "  %s\t%s\n", n.Name, humanize.Comma(n.Rows))
	}
	return t.Flush()
}

func dbMigrateCommand() *cobra.Command {
	var cfg server.Config
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database's tables up to date",
		Long: `Bring the database's tables up to date, making them where there are none. The
server does the same when it starts. A program that is older than the tables
refuses to use them.`,
		Example: `  catenary db migrate --database postgres://catenary@db.example.org/catenary`,
		Args:    noWords,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, address := cmd.Context(), databaseAddress(cfg)
			before, err := store.Inspect(ctx, address)
			if err != nil && fault.KindOf(err) != fault.NotFound {
				return err
			}
			db, err := store.Open(ctx, address)
			if err != nil {
				return err
			}
			if err := db.Close(); err != nil {
				return err
			}
			now, err := store.Inspect(ctx, address)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: tables of version %d, were %d\n", now.Name, now.Version, before.Version)
			return err
		},
	}
	databaseFlags(cmd.Flags(), &cfg)
	return cmd
}

func dbBackupCommand() *cobra.Command {
	var cfg server.Config
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write everything in the database to a file, while the server runs",
		Long: `Write everything in the database, as of one moment, to a file ("-": to standard
output). The server may go on running. The file fits either kind of database. It
holds hashes of passwords and tokens: keep it secret. Passwords that the server
says to others are in it as in the database: encrypted with keys/database.key.

The keys in the data folder are not in it: back them up, too, and best elsewhere.
Without them no client would know the server again, and nobody could open what is
encrypted.`,
		Example: `  catenary db backup /backup/catenary-$(date +%F).backup
  catenary db backup - | ssh backup@example.org 'cat > catenary.backup'`,
		Args: oneWord("the file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, address, progress := cmd.Context(), databaseAddress(cfg), newRowMeter(cmd.ErrOrStderr())
			var c store.Contents
			var err error
			if args[0] == "-" {
				c, err = store.Backup(ctx, address, cmd.OutOrStdout(), progress.show)
			} else {
				c, err = backupTo(ctx, address, args[0], progress.show)
			}
			if err := progress.end("backed up", c, err); err != nil {
				return err
			}
			v, err := lookAtSecrets(ctx, address, cfg.DatabaseKeyPath())
			if err != nil || v.keyName == "" {
				return err
			}
			return v.say(cmd.ErrOrStderr())
		},
	}
	databaseFlags(cmd.Flags(), &cfg)
	return cmd
}

// backupTo makes the file only when it is whole.
func backupTo(ctx context.Context, address, path string, progress store.Progress) (c store.Contents, err error) {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return c, fault.New(fault.Conflict, "%s is there already", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.part") // only its owner reads it
	if err != nil {
		return c, fault.New(fault.Invalid, "backup: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	c, err = store.Backup(ctx, address, f, progress)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return c, err
	}
	return c, os.Rename(f.Name(), path)
}

func dbRestoreCommand() *cobra.Command {
	var cfg server.Config
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Fill an empty database from a backup",
		Long: `Fill an empty database from a backup ("-": from standard input), of whichever
kind the backed-up database was. Either everything is restored or nothing. A
database with anything in it is refused: move it away first, or make a new one.

Put the key file that goes with the backup into the data folder, too
(keys/database.key); what has to be entered again without it is said.`,
		Example: `  mv /var/lib/catenary/catenary.db /var/lib/catenary/catenary.db.old
  catenary db restore /backup/catenary-2026-11-22.backup
  createdb -O catenary -E UTF8 -T template0 catenary2
  catenary db restore /backup/catenary-2026-11-22.backup --database postgres://catenary@db.example.org/catenary2`,
		Args: oneWord("the file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			in, progress := cmd.InOrStdin(), newRowMeter(cmd.ErrOrStderr())
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return fault.New(fault.Invalid, "restore: %w", err)
				}
				defer f.Close()
				in = f
			}
			address := databaseAddress(cfg)
			c, err := store.Restore(cmd.Context(), in, address, progress.show)
			if err := finish(cmd.Context(), address, progress, "restored", c, err); err != nil {
				return err
			}
			v, err := lookAtSecrets(cmd.Context(), address, cfg.DatabaseKeyPath())
			if err != nil || v.keyName == "" {
				return err
			}
			return v.say(cmd.ErrOrStderr())
		},
	}
	databaseFlags(cmd.Flags(), &cfg)
	return cmd
}

func dbCopyCommand() *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use:   "copy --from ADDRESS --to ADDRESS",
		Short: "Move an installation from one database to another",
		Long: `Move an installation from one database to another, of the same kind or not.
Either everything is copied, with all numbers, or nothing; the first database
stays as it is. The second one must be empty.

Stop the server first: what it writes during the copy would stay behind. Then
start it with the new --database and the same --data-dir, which has the key of
what is encrypted.`,
		Example: `  systemctl stop catenary
  createdb -O catenary -E UTF8 -T template0 catenary
  catenary db copy --from /var/lib/catenary/catenary.db --to postgres://catenary@db.example.org/catenary
  catenary server --data-dir /var/lib/catenary --database postgres://catenary@db.example.org/catenary`,
		Args: noWords,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if from == "" || to == "" {
				return cli.UsageError(cmd, errors.New("give --from and --to"))
			}
			progress := newRowMeter(cmd.ErrOrStderr())
			c, err := store.Copy(cmd.Context(), from, to, progress.show)
			return finish(cmd.Context(), to, progress, "copied", c, err)
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "address of the database that there is")
	cmd.Flags().StringVar(&to, "to", "", "address of the empty database")
	return cmd
}

// finish brings the tables of a database that has just been filled up to date.
func finish(ctx context.Context, address string, progress *rowMeter, deed string, c store.Contents, err error) error {
	if err := progress.end(deed, c, err); err != nil {
		return err
	}
	db, err := store.Open(ctx, address)
	if err != nil {
		return err
	}
	return db.Close()
}

func noWords(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return cli.UsageError(cmd, fmt.Errorf("%s takes no words besides its flags, but got %q", cmd.Name(), args[0]))
	}
	return nil
}

func oneWord(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return cli.UsageError(cmd, fmt.Errorf("%s takes one word, %s, but got %d", cmd.Name(), what, len(args)))
		}
		return nil
	}
}

// A rowMeter says how far rows have come: a line for each table, and in a long
// one now and then.
type rowMeter struct {
	w    io.Writer
	last time.Time
}

// meterPause lies between two lines about one table.
const meterPause = time.Second

func newRowMeter(w io.Writer) *rowMeter { return &rowMeter{w, time.Now()} }

func (m *rowMeter) show(t store.TableContents, done int64) {
	now := time.Now()
	if done < t.Rows && now.Sub(m.last) < meterPause || t.Rows == 0 {
		return
	}
	m.last = now
	if done < t.Rows {
		fmt.Fprintf(m.w, "%s: %s of %s rows\n", t.Name, humanize.Comma(done), humanize.Comma(t.Rows))
	} else {
		fmt.Fprintf(m.w, "%s: %s rows\n", t.Name, humanize.Comma(done))
	}
}

func (m *rowMeter) end(deed string, c store.Contents, err error) error {
	if err != nil {
		return err
	}
	fmt.Fprintf(m.w, "%s %s rows, tables of version %d\n", deed, humanize.Comma(c.Rows()), c.Version)
	if c.Mended > 0 {
		fmt.Fprintf(m.w, "%s texts were no UTF-8 or had a NUL, which not every database keeps: U+FFFD is in their place\n", humanize.Comma(c.Mended))
	}
	return nil
}
