// Command store measures the server's database: what the usual reads and writes
// take on SQLite and on PostgreSQL, in an installation of 20,000 clients.
//
//	go run ./bench/store
//
// SQLite is in a file, and PostgreSQL (Debian's, started for this) is asked over
// a Unix socket; both are sure that the disk has what they acknowledge.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"catenary/internal/server/store"
	"catenary/internal/server/store/storetest"
)

// size is how much there is in the installation.
type size struct{ clients, objects, questions, audits int }

func main() {
	var n size
	flag.IntVar(&n.clients, "clients", 20_000, "enrolled clients")
	flag.IntVar(&n.objects, "objects", 10_000, "sensors, and saved questions")
	flag.IntVar(&n.questions, "questions", 2_000, "closed questions with a result")
	flag.IntVar(&n.audits, "audits", 50_000, "audit entries")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, n)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "store:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, n size) error {
	dir, err := os.MkdirTemp("", "catenary-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p, err := storetest.New("shared_buffers=256MB", "jit=off")
	if err != nil {
		return err
	}
	defer p.Stop()
	lite, full := filepath.Join(dir, "catenary.db"), p.Address("postgres")
	made, err := inMemory(dir)
	if err != nil {
		return err
	}
	defer os.RemoveAll(filepath.Dir(made))
	c, err := build(ctx, made, n)
	if err != nil {
		return err
	}
	fmt.Printf("an installation of %d rows\n", c.Rows())
	for _, address := range []string{lite, full} {
		name, err := store.Name(address)
		if err != nil {
			return err
		}
		began := time.Now()
		if _, err := store.Copy(ctx, made, address, silent); err != nil {
			return err
		}
		report("copied to "+name, c.Rows(), began)
		began = time.Now()
		if err := backup(ctx, address, filepath.Join(dir, "backup")); err != nil {
			return err
		}
		report("backed up "+name, c.Rows(), began)
	}
	began := time.Now()
	if err := restore(ctx, filepath.Join(dir, "backup"), filepath.Join(dir, "restored.db")); err != nil {
		return err
	}
	report("restored to SQLite", c.Rows(), began)

	first, err := measure(ctx, lite, n)
	if err != nil {
		return err
	}
	second, err := measure(ctx, full, n)
	if err != nil {
		return err
	}
	fmt.Print("\n| | SQLite ms: median / p99 | PostgreSQL ms: median / p99 |\n|---|---|---|\n")
	for i := range first {
		fmt.Printf("| %s | %s | %s |\n", first[i].what, first[i].figures(), second[i].figures())
	}
	return nil
}

// inMemory is a path where nobody waits for a disk, if there is one: making the
// installation takes many small transactions.
func inMemory(dir string) (path string, err error) {
	const memory = "/dev/shm"
	if _, err := os.Stat(memory); err == nil {
		if dir, err = os.MkdirTemp(memory, "catenary-bench-"); err != nil {
			return "", err
		}
	}
	return filepath.Join(dir, "made.db"), nil
}

func silent(store.TableContents, int64) {}

func report(what string, rows int64, began time.Time) {
	took := time.Since(began).Seconds()
	fmt.Printf("%s in %.1f s, %.0f rows/s\n", what, took, float64(rows)/took)
}

func backup(ctx context.Context, address, path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := store.Backup(ctx, address, f, silent); err != nil {
		return err
	}
	return f.Sync()
}

func restore(ctx context.Context, path, address string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = store.Restore(ctx, f, address, silent)
	return err
}

// A timing is how long something took, each time that it was done.
type timing struct {
	what string
	took []time.Duration
}

func (t timing) figures() string {
	slices.Sort(t.took)
	at := func(share float64) float64 {
		return t.took[int(share*float64(len(t.took)-1))].Seconds() * 1000
	}
	return fmt.Sprintf("%.2f / %.2f", at(0.5), at(0.99))
}
