package question

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"catenary/internal/fault"
)

const (
	get  = "Get Computer Name from all machines"
	with = get + " with "
)

// readable are texts and their canonical spellings.
var readable = [][2]string{
	{"Get Computer Name from all machines", get},
	{"  get\tcomputer   NAME\nfrom all machines ", get},
	{"GET COMPUTER NAME FROM ALL MACHINES", get},
	{"get computer name", get},
	{`get "computer name" from all machines`, get},
	{"get \"computer  name\"\u00a0from all machines", get},
	{"get computer name and IP address and online", "Get Computer Name and IP Address and Online from all machines"},
	{"get computer name and computer name", "Get Computer Name and Computer Name from all machines"},
	{"get online[]", "Get Online from all machines"},
	{"get größe", "Get Größe from all machines"},
	{"get 50%", "Get 50% from all machines"},
	// Counting.
	{"get number of machines", "Get number of machines"},
	{"GET NUMBER OF MACHINES FROM ALL MACHINES", "Get number of machines"},
	{"get number of machines with online = x", "Get number of machines from all machines with Online equals x"},
	{"get number of machines from all machines where online = x", "Get number of machines from all machines with Online equals x"},
	{`get "number of machines"`, `Get "Number of Machines" from all machines`},
	{"get number of machines online", "Get Number of Machines Online from all machines"},
	// The option after Get.
	{"get ?forceComputerIdFlag=1 online", "Get ?forceComputerIdFlag=1 Online from all machines"},
	{"get ? forcecomputeridflag =1 online", "Get ?forceComputerIdFlag=1 Online from all machines"},
	{"get ?FORCECOMPUTERIDFLAG=0 online", "Get Online from all machines"},
	{"get ?forceComputerIdFlag=1 number of machines", "Get ?forceComputerIdFlag=1 number of machines"},
	// Names with reserved words in them.
	{"get running processes with hash", `Get "Running Processes with Hash" from all machines`},
	{"get running processes", "Get Running Processes from all machines"},
	{"get operating system version", "Get Operating System Version from all machines"},
	{"get operating system", "Get Operating System from all machines"},
	{"get Online and Ready", "Get Online and Ready from all machines"}, // two sensors; quoted it is one
	{`get "Online and Ready"`, `Get "Online and Ready" from all machines`},
	{"get Ready and Online and Ready and A", "Get Ready and Online and Ready and A from all machines"},
	{"get events from disk from all machines", `Get "Events from Disk" from all machines`},
	{"get events from all machines", "Get Events from all machines"},
	{"get online from all machines", "Get Online from all machines"},
	{`get "online from all machines"`, `Get "Online from all machines" from all machines`},
	{"get cpu: load and the \"big\" one", `Get "CPU: Load" and "The ""Big"" One" from all machines`},
	{"get [x]", `Get "[x]" from all machines`},
	{`get "a < b" and a`, `Get "A < B" and A from all machines`}, {"get a < b and a", "Get A < b and A from all machines"},
	{"get file contains text", "Get File contains text from all machines"},
	{with + "not before = 1", `Get Computer Name from all machines with "Not Before" equals 1`},
	{with + "not \"not before\" = 1", `Get Computer Name from all machines with "Not Before" not equals 1`},
	{with + "all users contains x", `Get Computer Name from all machines with "All Users" contains x`},
	{with + "all \"all users\" contains x", `Get Computer Name from all machines with all "All Users" contains x`},
	{with + "file contains text", with + "File contains text"},
	{with + "file contains text contains x", with + `"File contains Text" contains x`},
	{with + "a < b", with + "A < b"},
	{with + "running processes with hash contains ssh", with + `"Running Processes with Hash" contains ssh`},
	// Parameters.
	{"get folder contents[/etc]", "Get Folder Contents[/etc] from all machines"},
	{`get folder contents [C:\Program Files]`, `Get Folder Contents[C:\Program Files] from all machines`},
	{`get folder contents["/etc"]`, "Get Folder Contents[/etc] from all machines"},
	{`get folder contents[ "/a,b" ]`, `Get Folder Contents["/a,b"] from all machines`},
	{`get folder contents["say ""x"""]`, `Get Folder Contents["say ""x"""] from all machines`},
	{"get folder contents[]", "Get Folder Contents[] from all machines"},
	{"get folder contents[ /etc ]", "Get Folder Contents[ /etc ] from all machines"},
	{"get search[No, Program Files, No, , x.*]", "Get Search[No, Program Files, No, , x.*] from all machines"},
	{"get search[a,b,c,d]", "Get Search[a,b,c,d] from all machines"},
	{"get registry value[HKLM\\x] and registry value[HKLM\\x,y]", `Get Registry Value[HKLM\x] and Registry Value[HKLM\x,y] from all machines`},
	{"get application crashes in last x days[5]", `Get "Application Crashes in Last X Days"[5] from all machines`},
	{with + "file exists[/etc/passwd] = Yes", with + "File Exists[/etc/passwd] equals Yes"},
	// Columns.
	{"get installed applications:name", "Get Installed Applications:Name from all machines"},
	{"get installed applications : install date and installed applications:install", "Get Installed Applications:Install Date and Installed Applications:Install from all machines"},
	{`get installed applications:"install date"`, "Get Installed Applications:Install Date from all machines"},
	{"get computer name:computer name", get},
	{"get folder contents[/etc]:size", "Get Folder Contents[/etc]:Size from all machines"},
	{`get odd:in and odd:a:b and odd:a, b and odd:odd`, `Get Odd:"In" and Odd:"A:B" and Odd:"a, b" and Odd:Odd from all machines`},
	{with + "installed applications:version >= 1.10", with + `Installed Applications:Version >= "1.10"`},
	{with + "running processes with hash:SHA-256 = abc", with + `"Running Processes with Hash":SHA-256 equals abc`},
	// Operators in all dialects.
	{with + "online contains x", with + "Online contains x"}, {with + "online containing x", with + "Online contains x"},
	{with + "online does contain x", with + "Online contains x"}, {with + "online does not contain x", with + "Online not contains x"},
	{with + "online not contains x", with + "Online not contains x"}, {with + "online not containing \"x\"", with + "Online not contains x"},
	{with + "online starts with x", with + "Online starts with x"}, {with + "online starting with x", with + "Online starts with x"},
	{with + "online not starting with x", with + "Online not starts with x"}, {with + "online does not start with x", with + "Online not starts with x"},
	{with + "online ends with x", with + "Online ends with x"}, {with + "online not ending with x", with + "Online not ends with x"},
	{with + "online matches x.*", with + `Online matches "x.*"`}, {with + "online matching x", with + "Online matches x"},
	{with + "online does not match x", with + "Online not matches x"}, {with + "online not matches x", with + "Online not matches x"},
	{with + "online equals x", with + "Online equals x"}, {with + "online=x", with + "Online equals x"},
	{with + "online != x", with + "Online not equals x"}, {with + "online not = x", with + "Online not equals x"},
	{with + "online not equals x", with + "Online not equals x"}, {with + "online not != x", with + "Online equals x"},
	{with + "free memory < 1", with + "Free Memory < 1"}, {with + "free memory<=1", with + "Free Memory <= 1"},
	{with + "free memory > 1", with + "Free Memory > 1"}, {with + "free memory>=1", with + "Free Memory >= 1"},
	{with + "free memory not < 1", with + "not Free Memory < 1"}, {with + "not free memory < 1", with + "not Free Memory < 1"},
	{strings.Replace(with, " with ", " WHERE ", 1) + "online = x", with + "Online equals x"},
	// Values.
	{with + "operating system equals Windows 10 Pro", with + "Operating System equals Windows 10 Pro"},
	{with + "ip address = 10.0.0.1", with + `IP Address equals "10.0.0.1"`}, {with + "cpu consumption > 80%", with + "CPU Consumption > 80%"},
	{with + "online = Windows  10", with + `Online equals "Windows  10"`}, {with + `online = ""`, with + `Online equals ""`},
	{with + `online contains """test"""`, with + `Online contains """test"""`}, {with + `online contains "from"`, with + `Online contains "from"`},
	{with + "online contains Google (Search|Chrome)", with + `Online contains "Google (Search|Chrome)"`},
	{with + "(online contains f(x)) and online = y", with + `Online contains "f(x)" and Online equals y`},
	{with + "online matches [a-z]+-\\d", with + `Online matches "[a-z]+-\d"`}, {with + "online = and-or", with + "Online equals and-or"},
	{with + `online = "x y" matching case`, with + "Online equals x y matching case"}, {with + "online matching case matching case", with + `Online matches case matching case`},
	{with + "online = x=y", with + `Online equals "x=y"`}, {with + "online = größer", with + "Online equals größer"},
	// A hash, as programs know rows by.
	{with + "online has hash 5", with + "Online has hash 5"}, {with + "online not has hash 5 matching case", with + "Online not has hash 5"},
	{with + "online does not have hash 5", with + "Online not has hash 5"}, {with + "online = has", with + `Online equals "has"`},
	// Quoted operators.
	{with + `"online" "contains" "x"`, with + "Online contains x"}, {with + `"online" "does not match" "x"`, with + "Online not matches x"},
	{with + `"online" "=" "x"`, with + "Online equals x"}, {`get "online" "starts with" "x"`, "Get Online starts with x from all machines"},
	// Options of sensors.
	{"get online?maxAge=60", "Get Online?maxAge=60 from all machines"}, {"get online ? MAXAGE = 60", "Get Online?maxAge=60 from all machines"},
	{"get online?maxAge=0", "Get Online from all machines"}, {"get online?ignoreCase=0", "Get Online from all machines"},
	{"get online?type=version", "Get Online?type=Version from all machines"}, {"get online?type=string", "Get Online from all machines"},
	{"get online?type=hash", "Get Online from all machines"}, {"get installed applications?type=version", "Get Installed Applications from all machines"},
	{"get installed applications?type=version > 2", "Get Installed Applications?type=Version > 2 from all machines"},
	{"get installed applications:version?type=version&maxAge=5", "Get Installed Applications?maxAge=5&type=Version:Version from all machines"},
	{"get folder contents[/etc]?maxAge=5:size", "Get Folder Contents[/etc]?maxAge=5:Size from all machines"},
	{"get online?type=Version&maxAge=5 and ready", "Get Online?maxAge=5&type=Version and Ready from all machines"},
	{"get online?substringStart=2&substringLength=3", "Get Online?substringStart=2&substringLength=3 from all machines"},
	{`get online?delimiter=|&delimiterIndex=1 and ready?delimiter=","`, `Get Online?delimiter=|&delimiterIndex=1 and Ready?delimiter="," from all machines`},
	{with + "online?maxAge=60&type=version >= 2", with + "Online?maxAge=60&type=Version >= 2"},
	{with + "online?ignoreCase=0 = x", with + "Online equals x matching case"}, {with + "online?ignoreCase=1 = x", with + "Online equals x"},
	{with + "online?type=version contains x", with + "Online contains x"}, {"get online?type=version contains x", "Get Online?type=Version contains x from all machines"},
	{with + "all online?type=string = x", with + "all Online equals x"}, {with + "online?ignoreCase=false has hash 7", with + "Online has hash 7"},
	// Conditions on what is shown.
	{"get online contains x", "Get Online contains x from all machines"}, {"get online does not contain x from all machines", "Get Online not contains x from all machines"},
	{"get online = x and ready != y", "Get Online equals x and Ready not equals y from all machines"}, {"get online not < 5", "Get Online not < 5 from all machines"},
	{"get online?ignoreCase=0 = x", "Get Online equals x matching case from all machines"}, {"get online = x matching case and ready", "Get Online equals x matching case and Ready from all machines"},
	{`get online < ""`, "Get Online from all machines"}, {`get online not < ""`, `Get Online not < "" from all machines`},
	{"get installed applications:name contains Google (Search|Chrome) from all machines", `Get Installed Applications:Name contains "Google (Search|Chrome)" from all machines`},
	{"get installed applications having installed applications:name matches .*sophos.*|.*cylance.*",
		`Get Installed Applications having Installed Applications:Name matches ".*sophos.*|.*cylance.*" from all machines`},
	{"get installed applications:name contains a having installed applications:version > 1 having installed applications:install = x and online",
		"Get Installed Applications:Name contains a having Installed Applications:Version > 1 having Installed Applications:Install equals x and Online from all machines"},
	{"get folder contents[/etc] having folder contents[/etc]:size > 1", "Get Folder Contents[/etc] having Folder Contents:Size > 1 from all machines"},
	{"get folder contents[/etc] having folder contents?type=numeric:size not = 1", "Get Folder Contents[/etc] having Folder Contents?type=Numeric:Size not equals 1 from all machines"},
	{"get running processes with hash having running processes with hash:name = x", `Get "Running Processes with Hash" having "Running Processes with Hash":Name equals x from all machines`},
	// Any, all and not.
	{with + "any online = x", with + "Online equals x"}, {with + "all online = x", with + "all Online equals x"},
	{with + "any online not contains x", with + "any Online not contains x"}, {with + "all online not contains x", with + "Online not contains x"},
	{with + "not online contains x", with + "Online not contains x"}, {with + "not all online contains x", with + "any Online not contains x"},
	{with + "not online not contains x", with + "not Online not contains x"}, {with + "any online not matches .*", with + `any Online not matches ".*"`},
	{with + "not not online = x", with + "not Online not equals x"}, {with + "not all free memory > 1", with + "not all Free Memory > 1"},
	// Lists and parentheses.
	{with + "online = x and ready = y and a = z", with + "Online equals x and Ready equals y and A equals z"},
	{with + "online = x or ready = y", with + "Online equals x or Ready equals y"},
	{with + "(online = x and ready = y) or a = z", with + "(Online equals x and Ready equals y) or A equals z"},
	{with + "online = x and (ready = y or a = z)", with + "Online equals x and (Ready equals y or A equals z)"},
	{with + "online = x and (ready = y and a = z)", with + "Online equals x and (Ready equals y and A equals z)"},
	{with + "((online = x))", with + "Online equals x"}, {with + "not(online = x)", with + "Online not equals x"},
	{with + "not (online = x or ready = y) and a = z", with + "not (Online equals x or Ready equals y) and A equals z"},
	{with + "online = x and online and ready = y", with + `Online equals x and "Online and Ready" equals y`},
}

// grouped are conditions with the groups of everydayGroups, and their canonical
// spellings.
var grouped = [][2]string{
	{"All Computers", "All Computers"}, {"all  computers", "All Computers"}, {`"all computers"`, "All Computers"}, {"not all computers", "not All Computers"},
	{"sales", "Sales"}, {"(sales)", "Sales"}, {"not not sales", "not not Sales"}, {"sales or online = x", "Sales or Online equals x"},
	{"online = x and not (sales or all computers)", "Online equals x and not (Sales or All Computers)"},
	{"sales and marketing", `"Sales and Marketing"`}, {"sales and sales", "Sales and Sales"}, {`"sales and marketing" or sales`, `"Sales and Marketing" or Sales`},
	{"(sales and marketing) or online = x", `"Sales and Marketing" or Online equals x`},
	{"servers (eu)", `"Servers (EU)"`}, {"(servers (eu))", `"Servers (EU)"`}, {"servers (eu) and sales", `"Servers (EU)" and Sales`},
	{"online", "Online"}, {"online = online", "Online equals online"}, {"online and online = sales", "Online and Online equals sales"},
	{"not patched", `"Not Patched"`}, {`not "not patched"`, `not "Not Patched"`}, {`"the ""best""" and sales`, `"The ""best""" and Sales`},
	{"manual group membership equals 2", "Sales"}, {`"Manual Group Membership" = "2" and online = x`, "Sales and Online equals x"},
	{"manual group membership not equals 2", "not Sales"}, {"not (manual group membership = 2 or manual group membership != 1)", "not (Sales or not All Computers)"},
	{"all online = x or all computers", "all Online equals x or All Computers"},
}

func TestParseRef(t *testing.T) {
	c := catalogue(t)
	for text, want := range map[string]string{
		"online": "Online", " folder contents[/a b] ": "Folder Contents[/a b]", "running processes with hash:name": `"Running Processes with Hash":Name`,
		"online?maxAge=5": "Online?maxAge=5", `"online"`: "Online", "online and ready": `"Online and Ready"`,
	} {
		if got, err := ParseRef(text, c); err != nil || got.String() != want {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "onlin", "online = x", "online and a", "folder contents", "online from all machines with a = x", "online[", "\xff"} {
		if got, err := ParseRef(text, c); err == nil {
			t.Errorf("%s: %s", text, got)
		} else if strings.Contains(err.Error(), "did you mean") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestGroupsApart: bare names are the shortest groups that make sense, so that
// what is printed without quotes always reads as what it was.
func TestGroupsApart(t *testing.T) {
	groups := groupsCalled("Sales", "Marketing", "Sales and Marketing", "Patched", "Not Patched", "All Sales", "Online equals x")
	for text, want := range map[string]Condition{
		"sales and marketing":     And{Member{1, "Sales"}, Member{2, "Marketing"}},
		`"sales and marketing"`:   Member{3, "Sales and Marketing"},
		"not patched":             Not{Member{4, "Patched"}},
		`"not patched"`:           Member{5, "Not Patched"},
		"all sales":               Member{6, "All Sales"},
		"online equals x":         Test{Ref: Ref{Sensor: "Online"}, Op: Equals, Value: "x"},
		`not "online equals x"`:   Not{Member{7, "Online equals x"}},
		"sales and not marketing": And{Member{1, "Sales"}, Not{Member{2, "Marketing"}}},
	} {
		got, err := ParseCondition(text, catalogue(t), groups)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is read as %+v, %v, want %+v", text, got, err, want)
			continue
		}
		if again, err := ParseCondition(Text(got), catalogue(t), groups); err != nil || !reflect.DeepEqual(again, want) {
			t.Errorf("%s is printed %s and read as %+v, %v", text, Text(got), again, err)
		}
	}
}

func TestGroups(t *testing.T) {
	c := catalogue(t)
	for _, line := range grouped {
		got, err := ParseCondition(line[0], c, everydayGroups)
		if err != nil || Text(got) != line[1] {
			t.Errorf("%s\nis printed as %s, %v\nwant          %s", line[0], Text(got), err, line[1])
			continue
		}
		if again, err := ParseCondition(line[1], c, everydayGroups); err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("%s\nis read again as %+v, %v", line[1], again, err)
		}
		q, err := Parse("get online from all machines where "+line[0], c, everydayGroups)
		if err != nil || !reflect.DeepEqual(q.Where, got) {
			t.Errorf("%s is in a question %+v, %v", line[0], q.Where, err)
		}
	}
	for text, want := range map[string]string{
		"selas":                             `column 1: no sensor or computer group is called "selas"`,
		`"sales" = x`:                       `column 1: no sensor or computer group is called "sales"`,
		"sales and":                         "column 10: expected a sensor, found the end",
		"manual group membership equals 99": "column 1: there is no computer group 99",
		"online = y or (manual group membership=a)":  `column 16: Manual Group Membership is compared with the number of a computer group, not with "a"`,
		"manual group membership contains 2":         `no sensor or computer group is called "manual group membership"`,
		"sales x":                                    `column 1: no sensor or computer group is called "sales x"`,
		"ready":                                      "column 6: expected an operator",
		strings.Repeat("sales ", 9):                  `no sensor or computer group is called`,
		"sales" + strings.Repeat(" and sales", 1000): "the condition has more than 1000 parts",
	} {
		if c, err := ParseCondition(text, c, everydayGroups); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %+v, %v, want %s", text, c, err, want)
		}
	}
	if _, err := ParseCondition("sales", c, nil); err == nil || !strings.Contains(err.Error(), `column 1: no sensor is called "sales"`) {
		t.Errorf("without groups: %v", err)
	}
}

func TestParse(t *testing.T) {
	c := catalogue(t)
	for _, line := range readable {
		q, err := Parse(line[0], c, nil)
		if err != nil {
			t.Errorf("%s\n%v", line[0], err)
			continue
		}
		if q.String() != line[1] {
			t.Errorf("%s\nis printed as %s\nwant          %s", line[0], q, line[1])
		}
		if again, err := Parse(q.String(), c, nil); err != nil || !reflect.DeepEqual(again, q) {
			t.Errorf("%s\nis read again as %+v, %v", q, again, err)
		}
		if same, err := Resolve(q, c, nil); err != nil || !reflect.DeepEqual(same, q) {
			t.Errorf("%s\nis resolved to %+v, %v", q, same, err)
		}
	}
}

// TestTree: what the canonical spelling does not show.
func TestTree(t *testing.T) {
	c := catalogue(t)
	online := func(op Op, v string) Test { return Test{Ref: Ref{Sensor: "Online"}, Op: op, Value: v} }
	all := func(t Test) Test { t.All = true; return t }
	for text, want := range map[string]Condition{
		"online contains x":           online(Contains, "x"),
		"all online contains x":       all(online(Contains, "x")),
		"online not contains x":       Not{online(Contains, "x")},
		"any online not contains x":   Not{all(online(Contains, "x"))},
		"online != x":                 Not{online(Equals, "x")},
		"not online not equals x":     Not{Not{online(Equals, "x")}},
		"online = x or (online >= y)": Or{online(Equals, "x"), online(GreaterEqual, "y")},
		"(online = x and online = y) and online = z": And{
			And{online(Equals, "x"), online(Equals, "y")}, online(Equals, "z"),
		},
		"search[, a,\"b,\"\"c\" , d]:search = x matching case": Test{
			Ref: Ref{Sensor: "Search", Params: []string{"", " a", `b,"c`, " d"}}, Op: Equals, Value: "x", MatchCase: true,
		},
	} {
		got, err := ParseCondition(text, c, nil)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s\nis read as %+v, %v\nwant       %+v", text, got, err, want)
		}
	}
	q, err := Parse("get ?forceComputerIdFlag=1 folder contents[/etc]:size and online", c, nil)
	want := Question{ComputerID: true, Selects: showing(Ref{Sensor: "Folder Contents", Params: []string{"/etc"}, Column: "Size"}, Ref{Sensor: "Online"})}
	if err != nil || !reflect.DeepEqual(q, want) {
		t.Errorf("read as %+v, %v", q, err)
	}
}

const asked = "Get Online from all machines with " // 34 characters

// unreadable are texts, the columns of their errors, and what these say.
var unreadable = []struct {
	text   string
	column int
	want   string
}{
	{"", 1, `expected "Get", found the end`},
	{"  Computer Name", 3, `expected "Get", found "Computer"`},
	{"gte online", 1, `expected "Get", found "gte"; did you mean "Get"?`},
	{"get", 4, `expected a sensor or "number of machines", found the end`},
	{"get )", 5, `expected a sensor or "number of machines", found ")"`},
	{"get from all machines", 5, `expected a sensor or "number of machines", found "from"`},
	{"get online and", 15, `expected a sensor or "number of machines", found the end`},
	{"get compter nmae", 5, `no sensor is called "compter nmae"; did you mean "Computer Name"?`},
	{"get größe and compter nmae from", 15, `no sensor is called "compter nmae"; did you mean "Computer Name"?`},
	{"get runing processes with hash from all machines", 5, `no sensor is called "runing processes with hash"; did you mean "Running Processes with Hash" or "Running Processes"?`},
	{`get "compter name"`, 5, `no sensor is called "compter name"; did you mean "Computer Name"?`},
	{"get xyzzy", 5, `no sensor is called "xyzzy"`},
	{"get " + strings.Repeat("x", 80), 5, `no sensor is called "` + strings.Repeat("x", 60) + `…"`},
	{`get "online`, 5, `the quotation mark is not closed; a " within quotes is written ""`},
	{"get online xyz", 12, `expected "and", "from all machines" or the end, found "xyz"`},
	{"get operating system versio", 22, `expected "and", "from all machines" or the end, found "versio"; did you mean "Operating System Version"?`},
	{"get online with ready = x", 12, `expected "and", "from all machines" or the end, found "with"; did you mean "from all machines with"?`},
	{"get online form all machines", 12, `expected "and", "from all machines" or the end, found "form"; did you mean "from"?`},
	{"get online from every machine", 17, `expected "all machines", found "every"`},
	{"get online from all machine", 21, `expected "machines", found "machine"; did you mean "machines"?`},
	{"get online from all machines wiht ready = x", 30, `expected "with" or the end, found "wiht"; did you mean "with"?`},
	{"get number of machines from all machines x", 42, `expected "with" or the end, found "x"`},
	{"get online from all machines with", 34, `expected a sensor, found the end`},
	// Parameters and columns.
	{"get folder contents", 20, "Folder Contents takes 1 parameter in brackets (Path), but 0 are given"},
	{"get folder contents [/a,/b]", 21, "Folder Contents takes 1 parameter in brackets (Path), but 2 are given"},
	{"get online[x]", 11, "Online takes no parameters, but 1 are given"},
	{"get registry value", 19, `Registry Value takes 2 parameters in brackets (Key, Name = "(none)"), but 0 are given`},
	{"get search[a,b,c]", 11, `Search takes 5 parameters in brackets (a, b, c, d, e = "x"), but 3 are given`},
	{"get search[" + strings.Repeat(",", 5000), 11, "but 33 are given"},
	{"get folder contents[/etc", 20, `the "[" is not closed`},
	{`get folder contents["/etc"`, 20, `the "[" is not closed`},
	{`get folder contents["/etc" x]`, 28, `expected "," or "]", found "x"`},
	{`get folder contents["/etc`, 21, `the quotation mark is not closed`},
	{"get installed applications:nmae from all machines", 28, `Installed Applications has no column "nmae": its columns are Name, Version, Install Date, Install; did you mean "Name"?`},
	{`get installed applications:"nmae"`, 28, `has no column "nmae"`},
	{"get installed applications:", 28, `Installed Applications has no column "": its columns are`},
	{"get online:x", 12, `Online has no column "x": its only column is Online`},
	{asked + "installed applications:vers = x", 58, `Installed Applications has no column "vers": its columns are Name, Version, Install Date, Install; did you mean "Version"?`},
	// Options.
	{"get ?maxAge=60 online", 6, `the option after Get is forceComputerIdFlag, not "maxAge"`},
	{"get ?forceComputerIdFlag=2 online", 26, `forceComputerIdFlag is 0 or 1, not "2"`},
	{"get ?forceComputerIdFlag online", 26, `expected "=" and a value of forceComputerIdFlag, found "online"`},
	{"get ?forceComputerIdFlag=1&forceComputerIdFlag=1 online", 28, "the option forceComputerIdFlag is there twice"},
	{"get online?maxage=1&maxAge=2", 21, "the option maxAge is there twice"},
	{"get online?max=60", 12, `the options here are maxAge, type, ignoreCase, delimiter, delimiterIndex, substringStart, substringLength, not "max"; did you mean "maxAge"?`},
	{"get online?maxAge=1.5", 19, `maxAge is a whole number from 0 to 315360000, not "1.5"`},
	{"get online?maxAge=-1", 19, `maxAge is a whole number from 0 to 315360000, not "-1"`},
	{"get online?maxAge=", 19, `maxAge is a whole number from 0 to 315360000, not ""`},
	{"get online?maxAge= 99999999999999999999", 20, `maxAge is a whole number`},
	{asked + "online?type=Versoin = x", 47, `type is one of String, Version, Numeric, BESDate, IPAddress, WMIDate, TimeDiff, DataSize, NumericInteger, VariousDate, RegexMatch, not "Versoin"`},
	{asked + "online?ignoreCase=maybe = x", 53, `ignoreCase is 0 or 1, not "maybe"`},
	{"get online?delimiter=\"\"", 22, `delimiter is something to cut the text at, not ""`},
	{"get online?delimiterIndex=2", 11, "piece 2 of a text that is cut at nothing"},
	{"get online?delimiter=aaaaaaaaaaaaaaaaa", 11, "a delimiter has at most 16 bytes"},
	{"get installed applications?delimiter=|", 27, "Installed Applications has columns: one is chosen by a colon and its name, not by a delimiter"},
	{"get online?substringStart=70000", 27, "substringStart is a whole number from 0 to 65535"},
	{"get online?delimiter=\"x", 22, "the quotation mark is not closed"},
	// Conditions on what is shown.
	{"get online contains from all machines", 21, `expected a value, found "from"; a value with a reserved word in it stands in quotes`},
	{"get online contains Mail from Bob from all machines", 31, `expected "all machines", found "Bob"; a value with a reserved word in it stands in quotes`},
	{"get online contains x from every machine", 28, `expected "all machines", found "every"`},
	{"get online having", 18, "expected a sensor, found the end"},
	{"get online having ready = 1", 19, `"having" is about the rows of Online`},
	{"get folder contents[/a] having folder contents[/b]:size > 1", 32, `"having" is about the rows of Folder Contents[/a]`},
	{"get online having online:x = 1", 26, `Online has no column "x": its only column is Online`},
	{"get online having online?maxAge=5 = 1", 19, `how old an answer may be stands with the sensor that is shown, not after "having"`},
	{"get online having onlin = 1", 19, `no sensor is called "onlin"; did you mean`},
	{"get online having online", 25, "expected an operator such as contains, equals or <, found the end"},
	{"get online" + strings.Repeat(" having online = x", 17), 12 + 16*18, `at most 16 conditions after "having"`},
	{"get online has hash x", 21, `a hash is a whole number from 0 to 4294967295, not "x"`},
	{asked + "online has hash 4294967296", 51, `a hash is a whole number from 0 to 4294967295`},
	{asked + "online has hash 05", 51, `a hash is a whole number`},
	{asked + "online \"means\" x", 42, "expected an operator such as contains, equals or <"},
	// Conditions.
	{asked + "onlin = x", 35, `no sensor is called "onlin"; did you mean "Online" or "Online and Ready" or "Online from all machines"?`},
	{asked + "online = x and onlin = y", 50, `no sensor is called "onlin"; did you mean "Online" or "Online and Ready" or "Online from all machines"?`},
	{asked + "online", 41, "expected an operator such as contains, equals or <, found the end"},
	{asked + "online containz x", 42, `expected an operator such as contains, equals or <, found "containz"; did you mean "contains"?`},
	{asked + "online not x", 42, `expected an operator such as contains, equals or <, found "not"`},
	{asked + "online does x", 42, `expected an operator such as contains, equals or <, found "does"`},
	{asked + "and", 35, `expected a sensor, found "and"`},
	{asked + "online =", 43, "expected a value, found the end"},
	{asked + "online = )", 44, `expected a value, found ")"`},
	{asked + "online = in", 44, `expected a value, found "in"; a value with a reserved word in it stands in quotes`},
	{asked + "online = Mail from Bob", 49, `expected "and", "or" or the end, found "from"; a value with a reserved word in it stands in quotes`},
	{asked + "(online = x from y)", 47, `expected "and", "or" or ")", found "from"; a value with`},
	{asked + `online = "x`, 44, "the quotation mark is not closed"},
	{asked + `online = a"b`, 45, `a value with a " in it stands in quotes, and the " is written ""`},
	{asked + "online = f(x", 45, `the "(" in the value is not closed`},
	{asked + `online = "x"y`, 47, `expected "and", "or" or the end, found "y"`},
	{asked + "online = x matching", 46, `expected "and", "or" or the end, found "matching"`},
	{asked + "(online = x", 46, `expected "and", "or" or ")", found the end`},
	{asked + "online = x)", 45, `expected "and", "or" or the end, found ")"`},
	{asked + "online = x and ready = y or a = z", 60, `"and" and "or" stand side by side: add parentheses, as in (a and b) or c`},
	{asked + "online = x or ready = y and a = z", 59, `"and" and "or" stand side by side`},
	{asked + "online = größe or ready = y and a = z", 63, `"and" and "or" stand side by side`},
	// Limits.
	{"get online\xff", 11, "the text is not UTF-8"},
	{"get �\xff", 6, "the text is not UTF-8"},
	{strings.Repeat(" ", TextMax) + "x", 1, "the question's text is longer than 64 KiB"},
	{"get online" + strings.Repeat(" and online", SelectsMax), 5 + 11*SelectsMax, "a question shows at most 64 sensors"},
	{asked + strings.Repeat("(", 101) + "online = x" + strings.Repeat(")", 101), 135, "nested more than 100 deep"},
	{asked + strings.Repeat("not ", 64) + "online > x", 35, "the condition is nested more than 64 deep"},
	{asked + "online = x" + strings.Repeat(" or online = x", 999), 14031, "the condition has more than 1000 parts"},
	{asked + "online = " + strings.Repeat("x", 4097), 44, "the value is longer than 4096 bytes"},
}

func TestErrors(t *testing.T) {
	c := catalogue(t)
	for _, line := range unreadable {
		_, err := Parse(line.text, c, nil)
		e, ok := errors.AsType[*SyntaxError](err)
		if !ok || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%.99q: got %v, want a SyntaxError", line.text, err)
			continue
		}
		if !strings.Contains(err.Error(), line.want) || e.Column != line.column {
			t.Errorf("%.99q:\ngot  %v\nwant column %d: %s", line.text, err, line.column, line.want)
		}
		if !strings.HasPrefix(line.text, asked) {
			continue
		}
		if _, err := ParseCondition(line.text[len(asked):], c, nil); err == nil {
			t.Errorf("%.99q is a condition", line.text[len(asked):])
		}
	}
}

// TestCanonicalTextFits: a text that would grow too long by its quotes is
// refused, so that every canonical text can be read.
func TestCanonicalTextFits(t *testing.T) {
	text := "get online from all machines with online = ." + strings.Repeat(" or online=.", 900)
	text += " or online = " + strings.Repeat(".", 4000)
	for range 11 {
		text += " or online = " + strings.Repeat(".", 4000)
	}
	if len(text) > TextMax {
		t.Fatal("the text itself is too long")
	}
	if q, err := Parse(text, catalogue(t), nil); err == nil {
		t.Errorf("read, and printed with %d bytes", len(q.String()))
	}
	if _, err := ParseCondition(text[34:], catalogue(t), nil); err == nil {
		t.Error("the condition was read")
	}
}

func TestLargestTextsAreRead(t *testing.T) {
	c := catalogue(t)
	for _, text := range []string{
		strings.Repeat("(", 100) + "online = x" + strings.Repeat(")", 100),
		strings.Repeat("not ", 63) + "online > x",
		"online = x" + strings.Repeat(" or online = x", 998),
		"online = x" + strings.Repeat(" ", TextMax-10),
		"online = " + strings.Repeat("x", 4096),
	} {
		got, err := ParseCondition(text, c, nil)
		if err != nil {
			t.Errorf("%.60s…: %v", text, err)
			continue
		}
		if again, err := ParseCondition(Text(got), c, nil); err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("%.60s… is read again differently: %v", text, err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	c := catalogue(b)
	for b.Loop() {
		if _, err := Parse(`Get Computer Name and "Running Processes with Hash" from all machines with Is Linux equals True and (Free Memory > 1 or Installed Applications:Name contains chrome)`, c, nil); err != nil {
			b.Fatal(err)
		}
	}
}
