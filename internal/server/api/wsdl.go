package api

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"catenary/internal/server/object"
	"catenary/internal/server/rights"
)

// wsdlRoute is where programs of the older API read what objects look like, and
// make their own types of that.
func (s *server) wsdlRoute() route {
	text := sync.OnceValue(func() []byte { return wsdl(s.version, object.Shapes()) })
	return route{"GET", "/libraries/taniumjs/console.wsdl", anyone, rights.None, handler(func(w http.ResponseWriter, _ call) error {
		return sendXML(w, text())
	})}
}

func sendXML(w http.ResponseWriter, b []byte) error {
	w.Header().Set("Content-Type", "application/xml")
	return send(w, b)
}

const xmlHead = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// wsdl describes the objects as they are written in XML. There is no service that
// takes them.
func wsdl(version string, shapes map[string]*object.Shape) []byte {
	var b strings.Builder
	b.WriteString(xmlHead + `<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:o="urn:catenary" targetNamespace="urn:catenary">
<documentation>Catenary ` + escaped(version) + `: the objects of /api/v2 in XML, as transfer answers. There is no SOAP service.</documentation>
<types><xsd:schema targetNamespace="urn:catenary">
<xsd:complexType name="reference"><xsd:all><xsd:element name="id" type="xsd:long"/><xsd:element name="name" type="xsd:string" minOccurs="0"/></xsd:all></xsd:complexType>
`)
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		fmt.Fprintf(&b, "<xsd:complexType name=%q><xsd:all>\n", name)
		for i := range shapes[name].Fields {
			if f := &shapes[name].Fields[i]; !f.Hidden {
				b.WriteString(wsdlElement(f))
			}
		}
		b.WriteString("</xsd:all></xsd:complexType>\n")
	}
	b.WriteString("</xsd:schema></types>\n</definitions>\n")
	return []byte(b.String())
}

func wsdlElement(f *object.Field) string {
	kind := wsdlType(f)
	if f.List {
		return fmt.Sprintf(`<xsd:element name=%q minOccurs="0"><xsd:complexType><xsd:sequence><xsd:element name=%q type=%q minOccurs="0" maxOccurs="unbounded"/></xsd:sequence></xsd:complexType></xsd:element>`+"\n",
			f.Name, singular(f.Name), kind)
	}
	return fmt.Sprintf(`<xsd:element name=%q type=%q minOccurs="0"/>`+"\n", f.Name, kind)
}

func wsdlType(f *object.Field) string {
	switch f.Type {
	case object.Number:
		return "xsd:long"
	case object.Bool, object.Flag:
		return "xsd:int"
	case object.Date:
		return "xsd:dateTime"
	case object.Reference:
		return "o:reference"
	case object.Nested:
		return "o:" + f.Of.Name
	case object.Any:
		return "xsd:anyType"
	case object.Head:
		switch s := headSchema(f.Head); s["type"] {
		case "integer":
			return "xsd:long"
		case "boolean":
			return "xsd:int"
		case nil:
			return "o:reference"
		}
		if f.Head == "created" || f.Head == "modified" {
			return "xsd:dateTime"
		}
	}
	return "xsd:string"
}
