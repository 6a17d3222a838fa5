package lab

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"catenary/internal/fault"
)

// TestScenarios: every story that the program brings along can be read, and
// what it is printed as is the same story.
func TestScenarios(t *testing.T) {
	all, err := Scenarios()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range all {
		names = append(names, s.Name)
		again, err := ParseScenario(s.Name+".txt", s.String())
		if err != nil {
			t.Errorf("%s: as printed: %v", s.Name, err)
		} else if again.String() != s.String() || len(again.Steps) != len(s.Steps) {
			t.Errorf("%s: printed\n%s\nis read as\n%s", s.Name, s, again)
		}
	}
	for _, name := range []string{"quick", "first-question", "power-loss", "twenty-killed", "one-way-firewall",
		"server-restart", "wan-cut", "moved-host", "nat", "ipv6", "inbound-blocked", "client-states",
		"quick-power-loss", "quick-restart"} {
		if !slices.Contains(names, name) {
			t.Errorf("there is no scenario %s", name)
		}
	}
}

// everything is a scenario with each kind of line once.
const everything = `# a comment
title  Each kind of line
sites  3
hosts  20 5 40
nat    2
ipv6   1
dual   3
server --register-min 2s "--data dir"

expect chains 1 per site within 1m0s  # behind a line, too
kill s1h3
drop s3h3..22
freeze s2h*
restart s1h3
cut s1
cut server
heal all
heal s1h3
delay s1 40ms
loss s1h3 2.5%
block s1 s2
block-dials all s1h3..7
move s1h3 s2
server stop
server start
server restart
server kill
wait 1.5s
mark
sensor "Slow Name" "sleep 0.4; echo \"#1\""
ask "Get Computer Name from all machines"
remember chains
report traffic
report chains
report wan against chains
report clients
report question
expect complete within 2s
expect complete or closed within 30s
expect living within 2s
expect nobody twice
expect answered 59 within 2s
expect registered 60 within 1m0s
expect chains 2 in s1 within 10s
expect connections 2 per site within 10s
expect wan s1 under 20 kB
expect lan s3 under 1500 B
expect wan at least 5.5 times chains
expect status "Slow Link Ahead" of s1h3..4 within 30s
expect status Blocked of s3h* within 30s as blocked
expect living within 2s as "all of them"
expect wan s1 under 20 kB as "the \"WAN\""
`

// TestEveryLine: each kind of line is read, and printed as it stands there.
func TestEveryLine(t *testing.T) {
	s, err := ParseScenario("all.txt", everything)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for i, line := range strings.Split(everything, "\n") {
		line, _, _ = strings.Cut(line, "  #")
		if i > 8 && line != "" {
			want = append(want, line)
		}
	}
	var got []string
	for _, st := range s.Steps {
		got = append(got, st.String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("read as\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	const head = "sites 3\nhosts 20 5 40\nnat 2\nipv6 1\ndual 3\nserver --register-min 2s \"--data dir\"\n"
	if s.Layout.String() != head || s.Title != "Each kind of line" || s.Name != "all" || s.Steps[0].Line != 10 {
		t.Errorf("head of %q, %q, first step in line %d:\n%v", s.Name, s.Title, s.Steps[0].Line, s.Layout)
	}
}

func TestWrongScenarios(t *testing.T) {
	const head = "title x\nsites 2\nhosts 5\n"
	for _, c := range []struct{ text, want string }{
		{"", `f.txt: the head has no line "title"`},
		{"title x\nsites 2\n", `f.txt: the head has no line "hosts"`},
		{"title x\nsites 2\nmark", `f.txt:3: the head has no line "hosts"`},
		{head, "f.txt: a scenario needs a story"},
		{head + "sites 3\n", `f.txt:4: "sites" is in line 2 already`},
		{head + "mark\nnat 1\n", `f.txt:5: "nat" belongs before the story`},
		{"title\n", "f.txt:1: title needs more words"},
		{"title x\nsites 51\nhosts 5\nmark", "f.txt:4: a lab has 1 to 50 sites, not 51"},
		{"title x\nsites 2\nhosts 5 6 7\nmark", "f.txt:4: hosts: give one number"},
		{"title x\nsites 2\nhosts 0\nmark", "f.txt:4: a site has 1 to 240 hosts, not 0 as site 1"},
		{head + "nat 3\nmark", "f.txt:5: nat: there is no site 3 of 2"},
		{head + "nat -1\nmark", "f.txt:5: nat: there is no site -1 of 2"},
		{head + "hosts x\n", `f.txt:4: "hosts" is in line 3 already`},
		{"title x\nhosts x\n", `f.txt:2: "x" is no number`},
		{head + "\n# no\nfrobnicate s1", `f.txt:6: there is no command "frobnicate"`},
		{head + "kill", "f.txt:4: kill takes some hosts"},
		{head + "kill s1", "f.txt:4: kill takes some hosts, not s1"},
		{head + "kill s3h1", "f.txt:4: s3h1: the lab has 2 sites"},
		{head + "kill s2h6", "f.txt:4: s2h6: site 2 has 5 hosts"},
		{head + "kill s1h4..3", `f.txt:4: "s1h4..3" is none of`},
		{head + "kill s1h4..4", `f.txt:4: "s1h4..4" is none of`},
		{head + "kill s01h4", `f.txt:4: "s01h4" is none of`},
		{head + "cut all", "f.txt:4: cut takes a site"},
		{head + "block all all", "f.txt:4: block takes somebody on one side"},
		{head + "delay s1 -40ms", `f.txt:4: "-40ms" is no time`},
		{head + "delay s1 2h", `f.txt:4: "2h" is no time`},
		{head + "loss s1 5", `f.txt:4: "5" is no percentage`},
		{head + "loss s1 101%", `f.txt:4: "101%" is no percentage`},
		{head + "loss s1 NaN%", `f.txt:4: "NaN%" is no percentage`},
		{head + "move s1h1..2 s2", "f.txt:4: move takes a host and a site"},
		{head + "move s1h1 s1h2", "f.txt:4: move takes a host and a site"},
		{head + "server pause", `f.txt:4: server start, stop, restart or kill, but not "pause"`},
		{head + "ask two words", "f.txt:4: ask takes 1 words, not 2; a text with spaces stands in quotes"},
		{head + `ask "no end`, "f.txt:4: the quotation that begins with"},
		{head + `ask "a"b`, `f.txt:4: a space is missing behind "a"`},
		{head + "wait 0s", `f.txt:4: "0s" is no time`},
		{head + "report weather", "f.txt:4: report traffic, report chains"},
		{head + "report question", "f.txt:4: no question was asked above"},
		{head + "expect status Leader of s1 within 2s", "f.txt:4: a status is one of some hosts, not of s1"},
		{head + "expect status Leader of s3h1 within 2s", "f.txt:4: s3h1: the lab has 2 sites"},
		{head + "expect status Leader of s1h1", `f.txt:4: "status Leader of s1h1" needs time`},
		{head + `expect status "" of s1h1 within 2s`, "f.txt:4: a status needs a word"},
		{head + `expect registered 3 within 2s as ""`, "f.txt:4: a figure needs a name"},
		{head + `expect registered 3 as x within 2s`, "f.txt:4: what is expected has one of these forms"},
		{head + "report wan against x", `f.txt:4: no line above remembers "x"`},
		{head + "expect peace within 2s", "f.txt:4: what is expected has one of these forms"},
		{head + "expect living within 2s", "f.txt:4: no question was asked above"},
		{head + "ask x\nexpect living", `f.txt:5: "living" needs time`},
		{head + "ask x\nexpect answered -1 within 2s", `f.txt:5: "-1" is no number`},
		{head + "ask x\nexpect nobody twice within 2s", `f.txt:5: "nobody twice" holds now or never`},
		{head + "expect chains 1 in s3 within 2s", "f.txt:4: s3: the lab has 2 sites"},
		{head + "expect chains 1 in s1h1 within 2s", "f.txt:4: s1h1 is no site"},
		{head + "expect wan s1 under 20 KB", `f.txt:4: "KB" is no unit of bytes`},
		{head + "expect wan at least 0 times x", `f.txt:4: "0" is no factor`},
		{head + "expect wan at least 2 times x", `f.txt:4: no line above remembers "x"`},
		{strings.Repeat("#", scenarioMax+1), "f.txt: longer than"},
	} {
		_, err := ParseScenario("f.txt", c.text)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q: %v, want %s", c.text, err, c.want)
		} else if k := fault.KindOf(err); k != fault.Invalid && k != fault.NotFound {
			t.Errorf("%q: kind %d", c.text, k)
		}
	}
}

// TestWords: what quoteWord writes splitWords reads, whatever it is.
func TestWords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOf(rapid.String()).Draw(t, "words")
		var line []string
		for _, w := range words {
			line = append(line, quoteWord(w))
		}
		got, err := splitWords(strings.Join(line, " ") + " # and a comment")
		if err != nil || !slices.Equal(got, words) {
			t.Fatalf("%q is read as %q (%v)", strings.Join(line, " "), got, err)
		}
	})
}

// TestTargets: a target is read as it is written.
func TestTargets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Target{Kind: rapid.SampledFrom([]TargetKind{Everything, TheServer, ASite, SomeHosts}).Draw(t, "kind")}
		if want.Kind == ASite || want.Kind == SomeHosts {
			want.Site = rapid.IntRange(1, sitesMax).Draw(t, "site")
		}
		if want.Kind == SomeHosts && rapid.Bool().Draw(t, "some") {
			want.First = rapid.IntRange(1, hostsMax).Draw(t, "first")
			want.Last = rapid.IntRange(want.First, hostsMax).Draw(t, "last")
		}
		got, err := ParseTarget(want.String())
		if err != nil || got != want {
			t.Fatalf("%v is read as %+v (%v), want %+v", want, got, err, want)
		}
	})
}

func TestIncludes(t *testing.T) {
	for _, c := range []struct {
		target string
		in     []string // of s1h1..3 and s2h1..3
	}{
		{"all", []string{"s1h1", "s1h2", "s1h3", "s2h1", "s2h2", "s2h3"}},
		{"server", nil},
		{"s1", []string{"s1h1", "s1h2", "s1h3"}},
		{"s2h*", []string{"s2h1", "s2h2", "s2h3"}},
		{"s2h2", []string{"s2h2"}},
		{"s1h2..3", []string{"s1h2", "s1h3"}},
	} {
		target, err := ParseTarget(c.target)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for site := 1; site <= 2; site++ {
			for number := 1; number <= 3; number++ {
				if target.includes(site, number) {
					got = append(got, hostName(site, number))
				}
			}
		}
		if !slices.Equal(got, c.in) {
			t.Errorf("%s includes %v, want %v", c.target, got, c.in)
		}
	}
}

// FuzzScenario: what can be read can be printed, and is then read as the same.
func FuzzScenario(f *testing.F) {
	f.Add(everything)
	all, err := Scenarios()
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range all {
		f.Add(s.String())
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseScenario("fuzz.txt", text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "fuzz.txt:") {
				t.Fatalf("error without a place: %v", err)
			}
			return
		}
		again, err := ParseScenario("fuzz.txt", s.String())
		if err != nil {
			t.Fatalf("printed as\n%s\n%v", s, err)
		}
		if again.String() != s.String() {
			t.Fatalf("printed as\n%s\nread as\n%s", s, again)
		}
	})
}
