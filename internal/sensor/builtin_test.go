package sensor_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"catenary/internal/answer"
	"catenary/internal/sensor"
	"catenary/internal/value"
)

// promised are the native sensors that documents, programs and people rely on.
var promised = strings.Split("Computer Name,Computer ID,Client Version,Online,IP Address,MAC Address,Operating System,"+
	"OS Platform,Kernel Version,CPU Architecture,CPU Model,Number of CPUs,Total Memory,Free Memory,Disk Free Space,"+
	"Uptime,Last Reboot,Time Zone,Logged In Users,Running Processes,Running Processes with Hash,Running Processes with MD5 Hash,Listening Ports,"+
	"Established Connections,Installed Applications,Running Services,Network Adapters,Default Gateway,DNS Servers,"+
	"Chassis Type,Manufacturer,Model,Is Linux,Is Windows,Is Mac,Is Virtual,File Exists,File Hash,Folder Contents,File Contents,"+
	"CPU Consumption,Peer Address,Back Peer Address,Custom Tags,Last Logged In User", ",")

// elsewhere are the sensors that mean nothing on Linux.
var elsewhere = strings.Split("File Version,Installed Updates,Antivirus Products,User Account Control,Remote Desktop,Registry Value,"+
	"System Integrity Protection,Gatekeeper", ",")

// categories are what the sensors are about.
var categories = strings.Split("Client,Containers,Files,Hardware,Network,Operating System,Processes,Security,Services,Software,Users", ",")

func TestBuiltinIsWhatWasPromised(t *testing.T) {
	const least = 150 // sensors that work on Linux
	names, perCategory := map[string]bool{}, map[string]int{}
	linux := 0
	for _, s := range sensor.Builtin() {
		names[s.Name] = true
		perCategory[s.Category]++
		if slices.Contains(s.Platforms, sensor.Linux) {
			linux++
		}
	}
	for _, name := range promised {
		if !names[name] {
			t.Errorf("%s is gone", name)
		}
	}
	if linux < least {
		t.Errorf("%d sensors work on Linux, fewer than %d", linux, least)
	}
	for category, n := range perCategory {
		if !slices.Contains(categories, category) {
			t.Errorf("%d sensors are about %q", n, category)
		}
	}
	if len(perCategory) != len(categories) {
		t.Errorf("the categories are %v", perCategory)
	}
}

func TestBuiltinIsWellFormed(t *testing.T) {
	for _, s := range sensor.Builtin() {
		if err := s.Check(); err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
		if !s.Native() || !s.Shipped || !s.IgnoreCase || s.Mode != answer.Merged {
			t.Errorf("%s is not a native sensor whose answers are merged: %+v", s.Name, s)
		}
		if !strings.HasSuffix(s.Description, ".") {
			t.Errorf("%s: the description is no sentence: %q", s.Name, s.Description)
		}
		if s.MaxAge < 10*time.Second || s.MaxAge > 24*time.Hour {
			t.Errorf("%s: max age %v", s.Name, s.MaxAge)
		}
		if onLinux := slices.Contains(s.Platforms, sensor.Linux); onLinux == slices.Contains(elsewhere, s.Name) || len(s.Platforms) == 0 {
			t.Errorf("%s is computed on %v", s.Name, s.Platforms)
		}
		if len(s.Columns) == 1 && s.Columns[0].Name != s.Name && len(s.Parameters) == 0 {
			t.Errorf("%s: its only column is called %q", s.Name, s.Columns[0].Name)
		}
		for _, c := range s.Columns {
			if c.Type == value.Hash || c.Type == value.RegexMatch {
				t.Errorf("%s: column %+v", s.Name, c)
			}
		}
		for _, p := range s.Parameters {
			if p.Label == "" || p.Help == "" || p.Key != strings.ToLower(p.Key) {
				t.Errorf("%s: parameter %+v", s.Name, p)
			}
		}
	}
	if _, err := sensor.NewCatalogue(sensor.Builtin()); err != nil { // names and hashes are distinct
		t.Error(err)
	}
}

// TestBuiltinIsMerged: whoever installs an update does not find that a native
// sensor suddenly costs bytes for each machine.
func TestBuiltinIsMerged(t *testing.T) {
	for _, s := range sensor.Builtin() {
		if s.Mode != answer.Merged {
			t.Errorf("%s travels %v", s.Name, s.Mode)
		}
	}
}

// TestBuiltinBelongsToTheCaller: a catalogue may change what it was handed
// without changing what the next one gets.
func TestBuiltinBelongsToTheCaller(t *testing.T) {
	for _, s := range sensor.Builtin() {
		s.Columns[0].Name = "changed"
		s.Platforms[0] = "changed"
		s.Platforms = append(s.Platforms[:0], "changed")
		for i := range s.Parameters {
			s.Parameters[i].Key = "changed"
		}
	}
	for _, s := range sensor.Builtin() {
		shared := slices.ContainsFunc(s.Parameters, func(p sensor.Parameter) bool { return p.Key == "changed" })
		if shared || s.Columns[0].Name == "changed" || slices.Contains(s.Platforms, "changed") {
			t.Errorf("%s is shared between callers: %+v", s.Name, s)
		}
	}
}

var placeholder = regexp.MustCompile(`\|\|([a-z]+)\|\|`)

// TestShippedScripts: they cannot be run here, but a shell can read them, their
// columns are parted as their definition says, and they name no parameter that
// they are not given. Each file belongs to a sensor.
func TestShippedScripts(t *testing.T) {
	files := map[string]bool{"prelude.ps1": true}
	for _, s := range sensor.Builtin() {
		for _, script := range s.Scripts {
			name := strings.ReplaceAll(strings.ToLower(s.Name), " ", "-")
			switch script.Platform {
			case sensor.Windows:
				files[name+".ps1"] = true
				if script.Language != sensor.Powershell || strings.Count(script.Source, "{") != strings.Count(script.Source, "}") || strings.Count(script.Source, "(") != strings.Count(script.Source, ")") {
					t.Errorf("%s: brackets do not match", s.Name)
				}
			case sensor.Mac:
				files[name+".sh"] = true
				cmd := exec.Command("sh", "-n")
				cmd.Stdin = strings.NewReader(script.Source)
				if out, err := cmd.CombinedOutput(); err != nil || script.Language != sensor.UnixShell {
					t.Errorf("%s: %v\n%s", s.Name, err, out)
				}
			default:
				t.Errorf("%s has a script for %s", s.Name, script.Platform)
			}
			if !slices.Contains(s.Platforms, script.Platform) || len(s.Columns) > 1 && s.Delimiter != "\t" {
				t.Errorf("%s: platforms %v, delimiter %q", s.Name, s.Platforms, s.Delimiter)
			}
			for _, m := range placeholder.FindAllStringSubmatch(script.Source, -1) {
				if !slices.ContainsFunc(s.Parameters, func(p sensor.Parameter) bool { return p.Key == m[1] }) {
					t.Errorf("%s has no parameter %s", s.Name, m[1])
				}
			}
		}
	}
	there, err := filepath.Glob("scripts/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range there {
		if !files[filepath.Base(file)] {
			t.Errorf("%s belongs to no sensor", file)
		}
	}
	if len(there) != len(files) {
		t.Errorf("%d files for %d scripts", len(there), len(files))
	}
}

// macCommands are what the programs of a Mac say, for the scripts that take
// their answers apart.
var macCommands = []struct{ sensor, program, says, want string }{
	{"Serial Number", "/usr/sbin/ioreg", "+-o MacBookPro18,1\n    \"IOPlatformSerialNumber\" = \"C02ABC\"\n    \"IOPlatformUUID\" = \"0A1B-2C\"\n", "C02ABC"},
	{"System UUID", "/usr/sbin/ioreg", "    \"IOPlatformUUID\" = \"0A1B-2C\"\n", "0a1b-2c"},
	{"Batteries", "/usr/sbin/ioreg", "  \"CurrentCapacity\" = 83\n  \"MaxCapacity\" = 100\n  \"AppleRawMaxCapacity\" = 4000\n  \"DesignCapacity\" = 5000\n  \"CycleCount\" = 312\n  \"IsCharging\" = No\n  \"FullyCharged\" = No\n", "Battery\tDischarging\t83\t80\t312"},
	{"Batteries", "/usr/sbin/ioreg", "", ""},
	{"USB Devices", "/usr/sbin/system_profiler", "USB:\n\n    USB 3.1 Bus:\n\n      Host Controller Driver: x\n\n        Ultra Stick:\n\n          Product ID: 0x5581\n          Vendor ID: 0x0781  (SanDisk)\n          Serial Number: 4C53\n          Manufacturer: SanDisk Corp\n", "0781\t5581\tSanDisk Corp\tUltra Stick\t4C53"},
	{"Graphics Adapters", "/usr/sbin/system_profiler", "Graphics/Displays:\n\n    Apple M1:\n\n      Chipset Model: Apple M1 Pro\n      Vendor: Apple (0x106b)\n", "Apple\tApple M1 Pro\t"},
	{"Services", "/bin/launchctl", "PID\tStatus\tLabel\n-\t0\tcom.apple.a\n123\t0\tcom.apple.b\n", "com.apple.a\tStopped\t\tlaunchd\ncom.apple.b\tRunning\t\tlaunchd"},
	{"Local Administrators", "/usr/bin/dscl", "GroupMembership: root alice\n", "root\tgroup admin\nalice\tgroup admin"},
	{"Encrypted Volumes", "/usr/bin/fdesetup", "FileVault is On.\n", "/\tFileVault\tOn\t"},
	{"System Integrity Protection", "/usr/bin/csrutil", "System Integrity Protection status: enabled.\n", "Enabled"},
	{"Gatekeeper", "/usr/sbin/spctl", "assessments disabled\n", "Disabled"},
	{"Last Logged In User", "/usr/bin/defaults", "alice\n", "alice"},
}

// TestMacScriptsReadWhatProgramsSay runs the scripts here with stand-ins for
// the programs of a Mac.
func TestMacScriptsReadWhatProgramsSay(t *testing.T) {
	all, err := sensor.NewCatalogue(sensor.Builtin())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range macCommands {
		s, ok := all.ByName(c.sensor)
		script, ok2 := s.Script(sensor.Mac)
		if !ok || !ok2 || !strings.Contains(script.Source, c.program) {
			t.Fatalf("%s has no script that asks %s", c.sensor, c.program)
		}
		said := filepath.Join(t.TempDir(), "said")
		if err := os.WriteFile(said, []byte(c.says), 0o600); err != nil {
			t.Fatal(err)
		}
		source := "standin() { cat " + said + "; }\n" + strings.ReplaceAll(script.Source, c.program, "standin")
		out, err := exec.Command("sh", "-c", source).Output()
		if err != nil || strings.TrimSuffix(string(out), "\n") != c.want {
			t.Errorf("%s says %q, %v, want %q", c.sensor, out, err, c.want)
		}
	}
}
