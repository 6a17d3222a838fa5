package store

import (
	"context"
	"database/sql"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"catenary/internal/fault"
)

const (
	// connectionsMax is how many statements PostgreSQL works on at once for one
	// server; its own default admits 100 in all.
	connectionsMax = 16
	// connectionsIdle are kept open when there is little to do, for so long.
	connectionsIdle = 4
	idleMax         = 5 * time.Minute
	// connectTimeout is how long a connection may take to come about, unless
	// the address says otherwise.
	connectTimeout = 5 * time.Second
	// postgresMin is the oldest PostgreSQL that is still maintained.
	postgresMin = 130000
)

// An engine is what keeps the rows.
type engine uint8

const (
	sqlite engine = iota
	postgres
)

func (e engine) String() string {
	if e == postgres {
		return "PostgreSQL"
	}
	return "SQLite"
}

// A place is where a database is.
type place struct {
	engine engine
	path   string          // of SQLite's file
	config *pgx.ConnConfig // of PostgreSQL
	name   string          // as it is shown: without user and password
}

// findPlace understands an address: the path of a file, sqlite:///path, or
// postgres://user@host:port/name with the parameters of libpq. What the address
// of a PostgreSQL leaves out comes from libpq's environment variables (PGHOST,
// PGPASSWORD …) and the password from ~/.pgpass.
func findPlace(address string) (place, error) {
	scheme, rest, isURL := strings.Cut(address, "://")
	switch {
	case !isURL:
		path, err := filepath.Abs(address)
		if address == "" || err != nil {
			return place{}, fault.New(fault.Invalid, "database %q: not a path: %w", address, err)
		}
		return place{engine: sqlite, path: path, name: path}, nil
	case scheme == "sqlite":
		path, err := url.PathUnescape(rest)
		if err != nil || !strings.HasPrefix(path, "/") || strings.ContainsAny(rest, "?#") {
			return place{}, fault.New(fault.Invalid, "database %s: want sqlite:///path", address)
		}
		if filepath.VolumeName(path[1:]) != "" {
			path = path[1:] // a Windows drive
		}
		path = filepath.FromSlash(path)
		return place{engine: sqlite, path: path, name: path}, nil
	case scheme == "postgres" || scheme == "postgresql":
		return findPostgres(address)
	}
	return place{}, fault.New(fault.Invalid, "database %s://…: want a path, sqlite:///path or postgres://user@host/name", scheme)
}

func findPostgres(address string) (place, error) {
	c, err := pgx.ParseConfig(address)
	if err != nil {
		return place{}, fault.New(fault.Invalid, "database: %w", err) // without the password
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = connectTimeout
	}
	for name, value := range map[string]string{
		"client_encoding": "UTF8",
		// The query builder writes texts as the standard says.
		"standard_conforming_strings": "on",
		// What is acknowledged survives a power cut, also if the database's
		// own default is another.
		"synchronous_commit":            "on",
		"default_transaction_isolation": "read committed",
		"TimeZone":                      "UTC",
	} {
		c.RuntimeParams[name] = value
	}
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "catenary"
	}
	// The query builder spells arguments out, so that every text is new: a
	// cache of prepared statements would only churn.
	c.DefaultQueryExecMode = pgx.QueryExecModeExec
	host := net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port)))
	name := (&url.URL{Scheme: "postgres", Host: host, Path: "/" + c.Database}).String()
	if strings.HasPrefix(c.Host, "/") {
		name = "postgres:///" + c.Database + " at " + c.Host
	}
	return place{engine: postgres, config: c, name: name}, nil
}

// Name is how the database at an address is shown: without user and password.
func Name(address string) (string, error) {
	p, err := findPlace(address)
	return p.name, err
}

// connect opens a pool of connections for writing, and one for reading, which
// may be the same.
func (p place) connect() (write, read *sql.DB, err error) {
	if p.engine == postgres {
		db := stdlib.OpenDB(*p.config)
		db.SetMaxOpenConns(connectionsMax)
		db.SetMaxIdleConns(connectionsIdle)
		db.SetConnMaxIdleTime(idleMax)
		return db, db, nil
	}
	// FULL and not NORMAL: with NORMAL a power cut may forget the newest
	// commits, and a forgotten question number would be given out again.
	write, err = sql.Open("sqlite", dsn(p.path, "_txlock=immediate", "_pragma=synchronous(FULL)", "_pragma=journal_mode(WAL)"))
	if err != nil {
		return nil, nil, err
	}
	write.SetMaxOpenConns(1)
	read, err = sql.Open("sqlite", dsn(p.path, "_pragma=query_only(1)"))
	if err != nil {
		return nil, nil, err
	}
	read.SetMaxOpenConns(readersMax)
	read.SetMaxIdleConns(readersMax)
	return write, read, nil
}

// dsn returns the driver's name for path. The parameters are ours alone: a
// _pragma runs as SQL.
func dsn(path string, params ...string) string {
	slashed := filepath.ToSlash(path)
	if !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed // a Windows drive
	}
	params = append(params, "_pragma=busy_timeout("+busyTimeout+")", "_pragma=foreign_keys(1)")
	return "file://" + (&url.URL{Path: slashed}).EscapedPath() + "?" + strings.Join(params, "&")
}

// suitable makes sure that a PostgreSQL is one that we can use.
func suitable(ctx context.Context, db *sql.DB) error {
	version, err := single[string](ctx, db, "SHOW server_version_num")
	if err != nil {
		return err
	}
	if n, err := strconv.Atoi(version); err != nil || n < postgresMin {
		return fault.New(fault.Invalid, "its PostgreSQL is of version %s: want %d or newer", version, postgresMin/10000)
	}
	encoding, err := single[string](ctx, db, "SHOW server_encoding")
	if err != nil {
		return err
	}
	if encoding != "UTF8" {
		return fault.New(fault.Invalid, "its encoding is %s: want one made with ENCODING 'UTF8'", encoding)
	}
	return nil
}
