package question

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"catenary/internal/sensor"
)

// large returns a catalogue of 3,000 names as installations with all modules
// have them, and the everyday ones among them.
func large(t testing.TB) *sensor.Catalogue {
	t.Helper()
	first := strings.Fields("Installed Running Active Windows Linux Mac Registry Network Disk Logical Physical Custom Patch Comply Threat Index Client Server Browser Firewall Encryption Local Remote Trusted Pending Failed Recent Expired Scheduled Software")
	second := strings.Fields("Application Process Service Driver User Group Certificate Update Volume Adapter Connection Port File Folder Key Value Package Module Extension Policy Session Task Event Alert Scan Report Deployment Setting Interface Cache")
	third := strings.Fields("Name Version Status Count Size Age Path Hash Details History Errors Health Coverage Owner State Date Type Summary Count Usage")
	r := rand.New(rand.NewPCG(1, 2))
	all := sensors()
	seen := map[string]bool{}
	for len(all) < 3000 {
		name := strings.Join([]string{first[r.IntN(len(first))], second[r.IntN(len(second))], third[r.IntN(len(third))]}, " ")
		if r.IntN(4) == 0 {
			name += " in Last X Days"
		}
		if r.IntN(5) == 0 {
			name += " " + fmt.Sprintf("v%d", r.IntN(900))
		}
		if !seen[name] {
			seen[name] = true
			all = append(all, plain(name))
		}
	}
	c, err := sensor.NewCatalogue(all)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestSuggest: the names expected among the first of so many, in order.
func TestSuggest(t *testing.T) {
	small, big := catalogue(t), large(t)
	for _, line := range []struct {
		text string
		want string // the first suggestion, "" for none
	}{
		{"Computer Name", "Computer Name"}, {"compter nmae", "Computer Name"}, {"Name Computer", "Computer Name"},
		{"comp name", "Computer Name"}, {"computername", "Computer Name"}, {"compuer", "Computer ID"}, {"cmptr name", "Computer Name"},
		{"operating", "Operating System"}, {"operatng sytem", "Operating System"}, {"sytem operating", "Operating System"},
		{"os", "Operating System"}, {"osv", "Operating System Version"}, {"op sys ver", "Operating System Version"},
		{"ip adress", "IP Address"}, {"ipaddress", "IP Address"}, {"IP", "IP Address"}, {"adress ip", "IP Address"},
		{"free mem", "Free Memory"}, {"mem", "Free Memory"}, {"cpu", "CPU: Load"}, {"cpu cons", "CPU Consumption"}, {"cpu usage", ""},
		{"hash proc", "Running Processes with Hash"}, {"runing proceses", "Running Processes"}, {"processes", "Running Processes"},
		{"installed apps", "Installed Applications"}, {"instaled aplications", "Installed Applications"}, {"InstalledApplications", "Installed Applications"},
		{"app crashes", "Application Crashes in Last X Days"}, {"folder contens", "Folder Contents"}, {"grösse", "Größe"}, {"is linx", "Is Linux"},
		{"linux is", "Is Linux"}, {"foldr contnts", "Folder Contents"},
		{"", ""}, {"?!", ""}, {"xyzzy", ""}, {"the quick brown fox", ""}, {"q", ""},
	} {
		got := Suggest(line.text, small, 3)
		if line.want == "" && len(got) > 0 || line.want != "" && (len(got) == 0 || got[0] != line.want) {
			t.Errorf("Suggest(%q) = %q, want %q", line.text, got, line.want)
		}
		if got := Suggest(line.text, big, 10); line.want != "" && line.want != "Computer ID" && !slices.Contains(got, line.want) {
			t.Errorf("among 3,000 names Suggest(%q) = %q, want %q in it", line.text, got, line.want)
		}
	}
	if got := Suggest("online", small, 1); len(got) != 1 {
		t.Errorf("at most one name was asked for, got %q", got)
	}
}

// TestSuggestFindsMisspeltNames: a name with one typing error in a word of some
// length is found.
func TestSuggestFindsMisspeltNames(t *testing.T) {
	c := catalogue(t)
	names := []string{"Computer Name", "Operating System", "Free Memory", "Installed Applications", "Folder Contents", "Registry Value"}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(names).Draw(t, "name")
		at := rapid.IntRange(1, strings.Index(name, " ")-2).Draw(t, "at")
		b := []byte(strings.ToLower(name))
		switch rapid.IntRange(0, 3).Draw(t, "error") {
		case 0:
			b[at], b[at+1] = b[at+1], b[at]
		case 1:
			b[at] = 'q'
		case 2:
			b = slices.Delete(b, at, at+1)
		case 3:
			b = slices.Insert(b, at, 'q')
		}
		if got := Suggest(string(b), c, 3); !slices.Contains(got, name) {
			t.Fatalf("Suggest(%q) = %q", b, got)
		}
	})
}

// TestDistance holds the bounded count against the plain recursion.
func TestDistance(t *testing.T) {
	var slow func(a, b string) int
	slow = func(a, b string) int {
		if a == "" || b == "" {
			return len(a) + len(b)
		}
		x, y := a[:len(a)-1], b[:len(b)-1]
		d := min(slow(x, b), slow(a, y), slow(x, y)) + 1
		if a[len(x)] == b[len(y)] {
			d = min(d, slow(x, y))
		}
		if len(x) > 0 && len(y) > 0 && a[len(x)] == b[len(y)-1] && a[len(x)-1] == b[len(y)] {
			d = min(d, slow(x[:len(x)-1], y[:len(y)-1])+1)
		}
		return d
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.StringMatching(`[abc]{0,6}`).Draw(t, "a"), rapid.StringMatching(`[abc]{0,6}`).Draw(t, "b")
		most := rapid.IntRange(0, 7).Draw(t, "most")
		if got, want := distance(a, b, most), min(slow(a, b), most+1); min(got, most+1) != want {
			t.Fatalf("distance(%q, %q, %d) = %d, want %d", a, b, most, got, want)
		}
	})
	long := strings.Repeat("x", 500)
	if d := distance(long, long+"y", 3); d != 0 {
		t.Errorf("long words differ by %d within the bytes that are looked at", d)
	}
}

func TestCandidates(t *testing.T) {
	c := catalogue(t)
	for _, line := range []struct {
		text string
		want []string
	}{
		{"Get Computer Name from all machines", []string{"Get Computer Name from all machines"}},
		{"operating system", []string{"Get Operating System from all machines"}},
		{"computer name and ip address with is windows = true", []string{"Get Computer Name and IP Address from all machines with Is Windows equals true"}},
		{"operatng sytem and comp name", []string{"Get Operating System and Computer Name from all machines", "Get Operating System Version and Computer Name from all machines"}},
		{"gte computer name", []string{"Get Computer Name from all machines"}},
		{"get onlne form all machine wiht is linx containz true", []string{"Get Online from all machines with Is Linux contains true"}},
		{"get folder contnts[/etc]", []string{"Get Folder Contents[/etc] from all machines"}},
		{"get installed applications:nmae", []string{"Get Installed Applications:Name from all machines"}},
		{"hash proc", []string{`Get "Running Processes with Hash" from all machines`}},
		{"show me the free memory of every machine", []string{"Get Free Memory from all machines"}},
		{"Get?forceComputerIdFlag=1 comp name", []string{"Get ?forceComputerIdFlag=1 Computer Name from all machines"}},
		// Parts of a sentence, words that are left out, and single words.
		{"show me operating system and free memory of laptops", []string{"Get Operating System and Free Memory from all machines"}},
		{"computer name with ip address 10.0.0.1", []string{`Get Computer Name from all machines with IP Address contains "10.0.0.1"`}},
		{"free mem, cpu consumption, and the moon", []string{"Get Free Memory and CPU Consumption from all machines"}},
		{"where is chrome installed", []string{"Get Installed Applications from all machines"}},
		{"get folder", []string{"Get Folder Contents[] from all machines"}},
		{"get file", []string{"Get File from all machines"}},
		{"fil", []string{"Get File from all machines", `Get "File contains Text" from all machines`, "Get File Exists[] from all machines"}},
		{"number of machines", []string{"Get number of machines"}},
		{"folder contents", []string{"Get Folder Contents[] from all machines"}}, // the parameter is asked for then
		{"folder contens and online", []string{"Get Folder Contents[] and Online from all machines"}},
		{"search[a]", []string{"Get Search[a,,,] from all machines"}},
		{"", nil}, {"   ", nil}, {"get", nil}, {"xyzzy", nil}, {"get xyzzy from all machines", nil}, {"\xff", nil},
		{strings.Repeat("operating system ", 200), nil},
	} {
		var got []string
		for _, q := range Candidates(line.text, c, nil) {
			got = append(got, q.Question.String())
		}
		if len(got) > len(line.want) && len(line.want) > 0 {
			got = got[:len(line.want)] // what comes after the best is a matter of taste
		}
		if !slices.Equal(got, line.want) {
			t.Errorf("Candidates(%.80q) = %q, want %q", line.text, got, line.want)
		}
	}
	if got := Candidates("get comp and comp and comp and comp", c, nil); len(got) > CandidatesMax {
		t.Errorf("%d candidates", len(got))
	}
}

// TestCandidatesWithBrackets: values in brackets find a parameter or are left
// over.
func TestCandidatesWithBrackets(t *testing.T) {
	for _, line := range []struct {
		text, want string
		canonical  bool
		extra      []string
	}{
		{"application crashes in last x days[5]", `Get "Application Crashes in Last X Days"[5] from all machines`, true, nil},
		{"get app crashes last days [5] from all machines", `Get "Application Crashes in Last X Days"[5] from all machines`, false, nil},
		{"operatng sytem[5, x]", "Get Operating System from all machines", false, []string{"5", " x"}},
		{"get online[1] and folder contens[/a,b] and ready[]", "Get Online and Folder Contents[/a] and Ready from all machines", false, []string{"1", "b"}},
		{"please show me the contents of every folder [/etc,\"x\"]", "Get Folder Contents[/etc] from all machines", false, []string{`"x"`}},
		{"get registry value[a,b,c] from all machines with file exists = x", "Get Registry Value[a,b] from all machines with File Exists[] equals x", false, []string{"c"}},
		{"sales", "", false, nil},
		{"get online with sales", "Get Online from all machines with Sales", false, nil},
	} {
		found := Candidates(line.text, catalogue(t), everydayGroups)
		if line.want == "" {
			if len(found) > 0 {
				t.Errorf("%s: %+v", line.text, found)
			}
			continue
		}
		if len(found) == 0 {
			t.Errorf("%s: nothing", line.text)
			continue
		}
		if got := found[0]; got.Question.String() != line.want || got.Canonical != line.canonical || !slices.Equal(got.Extra, line.extra) {
			t.Errorf("%s: %s, %v, %q", line.text, got.Question, got.Canonical, got.Extra)
		}
	}
}

func BenchmarkSuggest(b *testing.B) {
	c := large(b)
	for _, text := range []string{"compter nmae", "instaled aplication verson in last x days", "os", "app", "xyzzy"} {
		b.Run(text, func(b *testing.B) {
			for b.Loop() {
				Suggest(text, c, 3)
			}
		})
	}
}

func BenchmarkCandidates(b *testing.B) {
	c := large(b)
	for b.Loop() {
		Candidates("get onlne form all machine wiht is linx containz true and computr nmae = x", c, nil)
	}
}
