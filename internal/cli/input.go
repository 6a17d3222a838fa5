package cli

import (
	"io"
	"os"

	"github.com/spf13/cobra"

	"catenary/internal/fault"
)

// readInput reads the file at path, or standard input for "-", of which most
// bytes are taken at most.
func readInput(cmd *cobra.Command, path string, most int64) ([]byte, error) {
	in := cmd.InOrStdin()
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, fault.New(fault.Invalid, "%w", err)
		}
		defer file.Close()
		in = file
	}
	data, err := io.ReadAll(io.LimitReader(in, most+1))
	if err == nil && int64(len(data)) > most {
		err = fault.New(fault.Invalid, "%s is larger than %d bytes", path, most)
	}
	return data, err
}
