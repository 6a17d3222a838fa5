//go:build unix

package probe

import (
	"context"
	"strings"
)

// cupsPrinters reads the print service's own list: between <Printer name> and
// </Printer> a name and a value on each line.
func cupsPrinters(_ context.Context, at tree) ([][]string, error) {
	text, err := at.text("etc/cups/printers.conf")
	return parsePrinters(text), err
}

func parsePrinters(text string) [][]string {
	var rows [][]string
	var row []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if inner, ok := strings.CutPrefix(line, "<"); ok {
			kind, name, _ := strings.Cut(strings.TrimSuffix(inner, ">"), " ")
			row = nil
			if name != "" && (kind == "Printer" || kind == "DefaultPrinter") {
				row = []string{name, "", "", ""}
				rows = append(rows, row)
			}
			continue
		}
		key, value, _ := strings.Cut(line, " ")
		if row == nil {
			continue
		}
		switch key {
		case "DeviceURI":
			row[1] = withoutUser(value)
		case "MakeModel":
			row[2] = value
		case "State":
			row[3] = value
		}
	}
	return rows
}
