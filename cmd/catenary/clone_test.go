//go:build unix

package main

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"catenary/internal/demo"
	"catenary/internal/trust"
)

// TestClonedMachine: a machine's state is copied to another one, as with a
// disk image. The server refuses the second; it makes itself a new key, enrols
// anew, and both answer.
func TestClonedMachine(t *testing.T) {
	in := startDemo(t, 3, 3)
	original, clone := t.TempDir(), filepath.Join(t.TempDir(), "clone")
	stop := in.run(t, "original", "127.10.1.70", original)
	in.wantAnswers("original")
	stop()
	if err := os.CopyFS(clone, os.DirFS(original)); err != nil {
		t.Fatal(err)
	}
	defer in.run(t, "original", "127.10.1.70", original)()
	in.wantAnswers("original")
	defer in.run(t, "clone", "127.10.1.71", clone)()
	in.wantAnswers("original", "clone")
}

// run runs one more client in this process until the returned function is
// called.
func (in *installation) run(t *testing.T, name, addr, state string) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- runFleet(ctx, demo.Fleet{
			Init: filepath.Join(in.dir, "server", trust.FileName),
			Seats: []demo.Seat{{
				Name: name, State: state,
				Listen: netip.AddrPortFrom(netip.MustParseAddr(addr), uint16(in.port)),
			}},
		}, slog.New(slog.DiscardHandler))
	}()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// wantAnswers asks until the demo's clients and the further ones have answered
// one question together.
func (in *installation) wantAnswers(further ...string) {
	in.t.Helper()
	want := append(seatNames(in.ready.Clients), further...)
	slices.Sort(want)
	deadline := time.Now().Add(patience)
	for {
		got := names(ask(in.t, "Get Computer Name from all machines", "--quiet", "1s"))
		if slices.Equal(got, want) {
			return
		}
		if time.Now().After(deadline) {
			in.t.Fatalf("answered: %v, want %v", got, want)
		}
	}
}
