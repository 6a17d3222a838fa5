package resultset

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestFormats(t *testing.T) {
	s := New(Source{Plan: planOf(true, 1, 1), Rows: rowsOf(`7|a,b|x=1`, `8|"q"|<&>`), Computers: true})
	v := looked(t, s, Query{Order: []int{-1}})
	w := Writing{Question: "Get A|B", Number: 5, Version: "1.2", Head: [][2]string{{"id", "5"}}, Leading: "begin\n", Trailing: "end\n"}
	const none = "\n"
	for _, tt := range []struct {
		format Format
		hide   bool
		want   string
	}{
		{CSV, false, "begin\nS0 C0,S1 C0,Count\n\"a\nb\",x=1,1\n\"\"\"q\"\"\",<&>,1\nend\n"},
		{FlatCSV, true, "begin\na,x=1,1\nb,x=1,1\n\"\"\"q\"\"\",<&>,1\nend\n"},
		{CEF, false, "begin\n" +
			`CEF:0|Catenary|Catenary|1.2|5|Get A\|B|1|S0_C0=a S1_C0=x\=1 Count=1` + none +
			`CEF:0|Catenary|Catenary|1.2|5|Get A\|B|1|S0_C0=b S1_C0=x\=1 Count=1` + none +
			`CEF:0|Catenary|Catenary|1.2|5|Get A\|B|1|S0_C0="q" S1_C0=<&> Count=1` + "\nend\n"},
		{JSON, false, "begin\n{\"columns\":[\"S0 C0\",\"S1 C0\"]}\n" +
			`{"id":ID1,"cid":7,"cells":[["a","b"],["x=1"]],"count":1}` + none +
			`{"id":ID2,"cid":8,"cells":[["\"q\""],["<&>"]],"count":1}` + "\nend\n"},
		{XML, false, "begin\n" + xml.Header + `<rss><rs><id>5</id><cs><c><wh>0</wh><dn>S0 C0</dn><rt>1</rt></c>` +
			`<c><wh>0</wh><dn>S1 C0</dn><rt>1</rt></c><c><wh>0</wh><dn>Count</dn><rt>3</rt></c></cs><rs>` +
			`<r><id>ID1</id><cid>7</cid><c><v>a</v><v>b</v></c><c><v>x=1</v></c><c><v>1</v></c></r>` +
			`<r><id>ID2</id><cid>8</cid><c><v>&#34;q&#34;</v></c><c><v>&lt;&amp;&gt;</v></c><c><v>1</v></c></r></rs></rs></rss>` + "\nend\n"},
	} {
		var b bytes.Buffer
		w.Format, w.HideHeader = tt.format, tt.hide
		must(t, v.Write(&b, w, goOn))
		got := b.String()
		for i, name := range []string{"ID1", "ID2"} {
			got = strings.ReplaceAll(got, strconv.FormatUint(uint64(v.Row(i).ID), 10), name)
		}
		same(t, got, tt.want)
	}
	if _, err := ParseFormat(5); err == nil {
		t.Error("there are six formats")
	}
	if err := v.Write(&bytes.Buffer{}, Writing{}, func() error { return errCut }); err != errCut {
		t.Errorf("goes on: %v", err)
	}
}

// TestCSVReadsBack: whatever machines say.
func TestCSVReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[a-z",;=\n\t| ]{1,20}`).Draw(t, "text")
		s := New(Source{Plan: planOf(false, 1), Rows: rowsOf("x")})
		s.Rows[0].Cells = s.Rows[0].Cells[:1:1]
		s.Rows[0].Cells[0] = []string{text}
		v, err := s.Look(Query{}, goOn)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := v.Write(&b, Writing{HideHeader: true}, goOn); err != nil {
			t.Fatal(err)
		}
		records, err := csv.NewReader(&b).ReadAll()
		if err != nil || len(records) != 1 || records[0][0] != text {
			t.Fatalf("%q: %q, %v", text, records, err)
		}
	})
}
