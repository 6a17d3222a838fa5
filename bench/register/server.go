package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"time"

	"catenary/internal/server"
)

// beServer runs a server until ctx ends. It says its address and bundle in one
// line, and then, for each line that comes in, the processor time it has used.
func beServer(ctx context.Context, dir string) error {
	s, err := server.New(ctx, server.Config{
		DataDir: dir, Listen: "127.0.0.1:0", Servers: []string{"127.0.0.1:1"}, Intervals: server.DefaultIntervals, Version: "bench",
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	bundle, err := s.FirstBundle(ctx)
	if err != nil {
		return err
	}
	fmt.Println(s.Addr(), bundle)
	go func() {
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			var u syscall.Rusage
			if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
				fmt.Fprintln(os.Stderr, "bench:", err)
				return
			}
			fmt.Println(int64(time.Duration(u.Utime.Nano() + u.Stime.Nano())))
		}
	}()
	if err := s.Run(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
