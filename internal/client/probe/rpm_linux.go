package probe

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // rpm's databases since version 4.16

	"catenary/internal/fault"
)

// rpmFolders are where distributions keep rpm's database.
var rpmFolders = []string{"var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm"}

// rpmFiles are the forms that rpm's database has had, and how each hands over
// the headers of the packages.
var rpmFiles = []struct {
	name string
	read func(ctx context.Context, path string, visit func(header []byte) error) error
}{
	{"rpmdb.sqlite", readRPMSQLite},
	{"Packages.db", readFile(readNDB)},
	{"Packages", readFile(readBDB)},
}

// rpmPackages reads the first database there is. Several folders may be links
// to one.
func rpmPackages(ctx context.Context, root string) (all []application, found bool, err error) {
	for _, folder := range rpmFolders {
		for _, form := range rpmFiles {
			path := filepath.Join(root, folder, form.name)
			if _, err := os.Stat(path); absent(err) {
				continue
			}
			err := form.read(ctx, path, func(header []byte) error {
				a, err := parseRPMHeader(header)
				if err != nil {
					return err
				}
				if a.name != "gpg-pubkey" { // rpm keeps its keys as if they were packages
					all = append(all, a)
				}
				return nil
			})
			return all, true, err
		}
	}
	return nil, false, nil
}

// readFile makes a reader of files from a reader of anything.
func readFile(read func(ctx context.Context, r *io.SectionReader, visit func(header []byte) error) error) func(context.Context, string, func([]byte) error) error {
	return func(ctx context.Context, path string, visit func([]byte) error) error {
		f, err := os.Open(path)
		if err != nil {
			return pathError(err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		return read(ctx, io.NewSectionReader(f, 0, info.Size()), visit)
	}
}

// readRPMSQLite opens the database so that nothing in it can be changed.
func readRPMSQLite(ctx context.Context, path string, visit func(header []byte) error) (err error) {
	link := url.URL{Scheme: "file", Path: path, RawQuery: "mode=ro"}
	db, err := sql.Open("sqlite", link.String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	rows, err := db.QueryContext(ctx, "SELECT blob FROM Packages")
	if err != nil {
		return err
	}
	defer rows.Close() // its error is that of rows.Err
	for rows.Next() {
		var header sql.RawBytes
		if err := rows.Scan(&header); err != nil {
			return err
		}
		if err := visit(header); err != nil {
			return err
		}
	}
	return rows.Err()
}

// damaged is the error for a database that is not as it must be. It may be in
// the middle of a change, so another time can do better.
func damaged(format string, args ...any) error {
	return fault.New(fault.Unavailable, "the database is damaged or being written: %w", fmt.Errorf(format, args...))
}
