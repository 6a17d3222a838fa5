package sensor_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"catenary/internal/sensor"
)

var update = flag.Bool("update", false, "write docs/sensors.md anew")

const document = "../../docs/sensors.md"

// about is what the catalogue says before its tables.
const about = `# The shipped sensors

<!-- Made from the code: go test ./internal/sensor -run TestDocument -update -->

Every client can compute these sensors without being sent anything: %d of them, of which %d work on Linux, %d on Windows and %d on macOS.
They are asked by name in a question ([language.md](language.md)): ` + "`Get Operating System and Free Memory from all machines`" + `, with parameters in
brackets: ` + "`Get File Exists[/etc/passwd] from all machines`" + `. A sensor of several columns is shown whole, or one column after a colon:
` + "`Get Installed Applications:Version from all machines`" + `.

**How they are computed.** On Linux all are computed by the client's own code, from what the kernel and the system's own files say; no program is started.
On Windows and macOS it is the client's own code too, through the registry, system calls and gopsutil, except where a sensor is marked *script*: there
a PowerShell or shell script that is part of the client's program asks the system's own tools. The tests hold every sensor on Linux against an independent source:
a tool of the system, or the files of a made-up machine for what the testing machine lacks. What is for Windows and macOS is compiled and vetted,
and the parsers under it are tested on Linux; it is not run by the tests. Some of the scripts for macOS are run against answers that were written for the tests, since there is no Mac here.

**What a sensor cannot tell.** A sensor that a platform does not have answers ` + "`TSE-Error: … cannot be determined on Mac`" + `. One that this machine lacks the source for (no firmware
tables, no systemd) answers ` + "`TSE-Error: … is not known: …`" + ` with the reason, and one that has simply nothing to say ` + "`[no results]`" + `. A fact that cannot be had is an error, never a guess.
An empty cell is a thing that the source leaves open.

**Limits.** A sensor has at most 100,000 rows, a path or other parameter 4,096 bytes. Searches look at no more than 2,000,000 entries, follow no links, stay on the file system on
which they begin, and so come neither to /proc nor to other machines. Only regular files are opened, and never in a way that waits: a pipe or a device is an error.
A sensor that takes longer than the question allows is left alone, and not tried again while it hangs; one that fails by a mistake of its own is an error of that sensor and touches nothing else.
Sensors of one question share one look at the processes and sockets.

**Fresh for** says how old a remembered answer may be; ` + "`?maxAge`" + ` in a question asks for a newer one. Types are those of [language.md](language.md); a column without a type is a text.
A name in brackets is a parameter; \* and ? in names of programs, services and files stand for any text and any character.

`

func TestDocument(t *testing.T) {
	want := catalogueText()
	if *update {
		if err := os.WriteFile(document, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the sensors are; write it anew with -update", document)
	}
}

func catalogueText() string {
	all := sensor.Builtin()
	slices.SortFunc(all, func(a, b sensor.Sensor) int { return strings.Compare(a.Name, b.Name) })
	on := map[sensor.Platform]int{}
	for _, s := range all {
		for _, p := range s.Platforms {
			on[p]++
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, about, len(all), on[sensor.Linux], on[sensor.Windows], on[sensor.Mac])
	b.WriteString("| category | sensors | Linux | Windows | macOS |\n|---|---|---|---|---|\n")
	for _, category := range categories {
		n, per := 0, map[sensor.Platform]int{}
		for _, s := range all {
			if s.Category == category {
				n++
				for _, p := range s.Platforms {
					per[p]++
				}
			}
		}
		fmt.Fprintf(&b, "| [%s](#%s) | %d | %d | %d | %d |\n", category, strings.ReplaceAll(strings.ToLower(category), " ", "-"), n, per[sensor.Linux], per[sensor.Windows], per[sensor.Mac])
	}
	for _, category := range categories {
		fmt.Fprintf(&b, "\n## %s\n\n| sensor | says | columns | on | fresh for |\n|---|---|---|---|---|\n", category)
		for _, s := range all {
			if s.Category == category {
				b.WriteString(line(s))
			}
		}
	}
	return b.String()
}

func line(s sensor.Sensor) string {
	name := "**" + s.Name + "**"
	var says strings.Builder
	says.WriteString(s.Description)
	var keys []string
	for _, p := range s.Parameters {
		keys = append(keys, p.Key)
		fmt.Fprintf(&says, " *%s*: %s", p.Key, strings.ToLower(p.Help[:1])+p.Help[1:])
		if p.Default != "" {
			fmt.Fprintf(&says, " (%s if not given)", p.Default)
		}
		says.WriteString(".")
	}
	if keys != nil {
		name += "[" + strings.Join(keys, ", ") + "]"
	}
	var columns, platforms []string
	for _, c := range s.Columns {
		text := c.Name
		if c.Type.String() != "String" {
			text += " (" + c.Type.String() + ")"
		}
		columns = append(columns, text)
	}
	for _, p := range s.Platforms {
		text := string(p)
		if _, ok := s.Script(p); ok {
			text += " *script*"
		}
		platforms = append(platforms, text)
	}
	return "| " + name + " | " + tidy(says.String()) + " | " + strings.Join(columns, ", ") + " | " + strings.Join(platforms, ", ") + " | " + freshness(s.MaxAge) + " |\n"
}

// tidy keeps what would end a cell, or begin a word in italics.
func tidy(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "|", `\|`), "* stands", `\* stands`)
}

func freshness(age time.Duration) string {
	text := age.String()
	for _, nothing := range []string{"0s", "0m"} {
		if strings.HasSuffix(text, "m"+nothing) || strings.HasSuffix(text, "h"+nothing) {
			text = strings.TrimSuffix(text, nothing)
		}
	}
	return strings.NewReplacer("h", " h", "m", " min", "s", " s").Replace(text)
}
