package api

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"catenary/internal/server/object"
)

func inXML(t testing.TB, text string) string {
	t.Helper()
	var w xmlWriter
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	must(t, w.member("it", dec))
	return w.String()
}

func wellFormed(text string) error {
	dec := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := dec.Token(); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

func TestObjectsInXML(t *testing.T) {
	for in, want := range map[string]string{
		`{"id":12345678901234567890,"on":true,"off":false,"no":null}`: `<it><id>12345678901234567890</id><on>1</on><off>0</off><no></no></it>`,
		`{"queries":[{"script":"a<b&\u0001"},{"script":"c"}]}`:        "<it><queries><query><script>a&lt;b&amp;\ufffd</script></query><query><script>c</script></query></queries></it>",
		`{"user_list":[{"id":1}],"string_hints":["x","y"]}`:           `<it><user_list><user><id>1</id></user></user_list><string_hints><string_hint>x</string_hint><string_hint>y</string_hint></string_hints></it>`,
		`{"metadata":[{"name":"a"}],"s":[1]}`:                         `<it><metadata><item><name>a</name></item></metadata><s><item>1</item></s></it>`,
		`{"||path||":"/tmp","":[["x"]],"a>b":{}}`:                     `<it><item name="||path||">/tmp</item><item name=""><item><item>x</item></item></item><item name="a&gt;b"></item></it>`,
		`[]`: `<it></it>`,
	} {
		got := inXML(t, in)
		if got != want {
			t.Errorf("%s is written\n%s\nwant\n%s", in, got, want)
		}
		must(t, wellFormed(got))
	}
}

// FuzzObjectsInXML: whatever JSON is written, XML it is.
func FuzzObjectsInXML(f *testing.F) {
	f.Add(`{"a":[{"b":"\u0000<"}],"-":[1.5e9,true,null]}`)
	f.Fuzz(func(t *testing.T, text string) {
		if !json.Valid([]byte(text)) {
			return
		}
		if got := inXML(t, text); wellFormed(got) != nil {
			t.Errorf("%q is written %q: %v", text, got, wellFormed(got))
		}
	})
}

// TestWSDL: it describes each object by its shape, and names no type that it has
// not; what is never shown does not stand in it.
func TestWSDL(t *testing.T) {
	d := newDesk(t)
	w := d.send("GET", "/libraries/taniumjs/console.wsdl", "")
	same(t, []any{w.Code, w.Header().Get("Content-Type")}, []any{200, "application/xml"})
	var doc struct {
		Types []struct {
			Name     string `xml:"name,attr"`
			Elements []struct {
				Name string `xml:"name,attr"`
				Type string `xml:"type,attr"`
				Of   struct {
					Name string `xml:"name,attr"`
					Type string `xml:"type,attr"`
				} `xml:"complexType>sequence>element"`
			} `xml:"all>element"`
		} `xml:"types>schema>complexType"`
	}
	must(t, xml.Unmarshal(w.Body.Bytes(), &doc))
	known, fields := map[string]bool{}, map[string]string{}
	for _, x := range doc.Types {
		known["o:"+x.Name] = true
	}
	for _, x := range doc.Types {
		for _, e := range x.Elements {
			kind := e.Type + e.Of.Type
			if fields[x.Name+"."+e.Name] = e.Of.Name + " " + kind; !known[kind] && !strings.HasPrefix(kind, "xsd:") {
				t.Errorf("%s.%s is of the type %q, which there is not", x.Name, e.Name, kind)
			}
		}
	}
	for name, want := range map[string]string{
		"sensor.queries": "query o:sensor_query", "package_spec.modification_time": " xsd:dateTime", "package_spec.mod_user": " o:reference", "saved_question.question": " xsd:anyType",
		"action_group.and_flag": " xsd:int", "server_throttle.bandwidth_bytes_limit": " xsd:long", "server_throttle.id": " xsd:long", "package_spec.command": " xsd:string", "user_group.user_list": "user o:reference",
		"downloader_auth_user.password": "",
	} {
		if fields[name] != want {
			t.Errorf("%s is %q, want %q", name, fields[name], want)
		}
	}
	if len(doc.Types) != len(object.Shapes())+1 {
		t.Errorf("%d types for %d shapes", len(doc.Types), len(object.Shapes()))
	}
}
