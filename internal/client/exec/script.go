package exec

import (
	"context"
	"fmt"
	"strings"
	"time"

	"catenary/internal/fault"
	"catenary/internal/sensor"
)

// Has reports whether a sensor is computed by a script on this platform.
func Has(s sensor.Sensor) bool {
	_, ok := s.Script(platform)
	return ok
}

// Sensor computes a script sensor: it runs the sensor's script for this
// platform and returns one []string per row, one text per column, and what of
// the processor's time that took.
//
// Scripts end with all kinds of exit codes (that of their last grep), so the
// code alone is no failure. A script that fails, complains and says nothing
// is one.
func Sensor(ctx context.Context, s sensor.Sensor, params []string, limit time.Duration) ([][]string, Used, error) {
	script, ok := s.Script(platform)
	if !ok {
		return nil, Used{}, fault.New(fault.NotFound, "the sensor has no script for %s", platform)
	}
	source, err := Fill(script.Source, s.Parameters, params)
	if err != nil {
		return nil, Used{}, err
	}
	r, err := Run(ctx, Command{Language: script.Language, Source: source, Limit: limit})
	if err != nil {
		return nil, r.Used, err
	}
	lines := Lines(r.Stdout)
	if complaint := Lines(r.Stderr); len(lines) == 0 && r.Exit != 0 && len(complaint) > 0 {
		return nil, r.Used, fmt.Errorf("the script failed (exit code %d): %s", r.Exit, complaint[0])
	}
	return Rows(s, lines), r.Used, nil
}

// Fill puts values in the place of a script's placeholders, ||key|| for each
// parameter. Parameters without a value get their default.
//
// A value is percent-encoded first: of its UTF-8 bytes all but ASCII letters,
// digits, "-", "_" and "." become %XX. What is put in therefore means nothing
// to any interpreter and cannot end a quotation; the script decodes it.
func Fill(source string, params []sensor.Parameter, values []string) (string, error) {
	if len(values) > len(params) {
		return "", fault.New(fault.Invalid, "the sensor takes %d parameters, %d were given", len(params), len(values))
	}
	var pairs []string
	for i, p := range params {
		v := p.Default
		if i < len(values) {
			v = values[i]
		}
		pairs = append(pairs, "||"+strings.Trim(p.Key, "|")+"||", percentEncode(v)) // keys are spelled with and without bars
	}
	return strings.NewReplacer(pairs...).Replace(source), nil
}

func percentEncode(s string) string {
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
	var b strings.Builder
	for i := range len(s) {
		if strings.IndexByte(plain, s[i]) >= 0 {
			b.WriteByte(s[i])
		} else {
			fmt.Fprintf(&b, "%%%02X", s[i])
		}
	}
	return b.String()
}

// Lines reads what a program said: UTF-8, in which bytes that are none and
// zero characters are replaced, in lines without their ends. Empty lines and a
// byte order mark are left out.
func Lines(b []byte) []string {
	const replacement = "\uFFFD"
	text := strings.ReplaceAll(strings.ToValidUTF8(string(b), replacement), "\x00", replacement)
	var lines []string
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// Rows cuts each line into the sensor's columns. Columns that a line does not
// have are empty; what it has too many stays, delimiters and all, in the last.
func Rows(s sensor.Sensor, lines []string) [][]string {
	rows := make([][]string, len(lines))
	for i, line := range lines {
		row := make([]string, len(s.Columns))
		if s.Delimiter == "" || len(s.Columns) == 1 {
			row[0] = line
		} else {
			copy(row, strings.SplitN(line, s.Delimiter, len(s.Columns)))
		}
		rows[i] = row
	}
	return rows
}
