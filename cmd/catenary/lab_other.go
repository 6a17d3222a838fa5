//go:build !linux

package main

import (
	"runtime"

	"github.com/spf13/cobra"

	"catenary/internal/fault"
)

func labCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "lab",
		Short:              "Run sites, hosts and real networks on this machine (Linux only)",
		DisableFlagParsing: true,
		RunE: func(*cobra.Command, []string) error {
			return fault.New(fault.Unavailable, "a lab is made of Linux network namespaces and cannot run on %s", runtime.GOOS)
		},
	}
}
